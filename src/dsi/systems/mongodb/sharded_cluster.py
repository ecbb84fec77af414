"""A sharded cluster: config servers, shards, and the mongos that clients connect to."""

from collections.abc import Collection, Sequence

from pymongo.errors import PyMongoError

from dsi.errors import ClusterError
from dsi.systems.mongodb.client import said
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.plan import ClusterPlan
from dsi.systems.mongodb.replica_set import ReplicaSet
from dsi.systems.mongodb.roles import state_of, states
from dsi.systems.mongodb.waiting import side_by_side, until


class Routers:
    """The mongos. They hold nothing, and start once there is something to route to."""

    start_order: Sequence[Sequence[Cluster]] = ()
    keeps_users = False

    def __init__(self, plan: ClusterPlan, nodes: Sequence[Node]) -> None:
        self.plan = plan
        self.nodes = tuple(nodes)

    async def form(self, *, emptied: bool, within_s: float) -> None:
        """There is nothing to form."""

    async def complete(self) -> None:
        """There is nothing more to it."""

    async def before_stop(self, stopping: Sequence[Node]) -> None:
        """There is nothing to say."""

    async def insist_on_a_primary_after(self, restarted: Collection[Node]) -> None:
        """There are no elections."""

    async def term(self) -> object:
        """There are no elections: the processes are what changes."""
        return tuple(node.process for node in self.nodes)

    async def become_whole(self, waited_for: Sequence[Node], *, within_s: float) -> float:
        """Return when each of these answers as a mongos. There are no elections: it gives 0.

        Raises:
            ClusterError: one doesn't, within that time.
        """
        await side_by_side(_insist_on_router(node, within_s) for node in waited_for)
        return 0.0

    async def hand_over(self, leaving: Node) -> float | None:
        """Give 0 where another mongos takes writes; None: this is the only one that runs."""
        others = [node for node in self.nodes if node is not leaving]
        return 0.0 if "MONGOS" in await states(others) else None


async def _insist_on_router(node: Node, within_s: float) -> None:
    async def routes() -> bool:
        return state_of(await node.hello()) == "MONGOS"

    if not await until(routes, within_s=within_s):
        state = state_of(await node.hello())
        raise ClusterError(
            node.plan.label, f"does not answer as a mongos after {within_s:g} s: it is {state}", await node.log_tail()
        )


class ShardedCluster:
    """Its config servers and shards are replica sets; its mongos know them all."""

    keeps_users = False

    def __init__(self, plan: ClusterPlan, nodes: Sequence[Node]) -> None:
        assert plan.config_set is not None, "a sharded cluster has config servers"
        self.plan = plan
        self.nodes = tuple(nodes)
        self._by_name = {node.name: node for node in nodes}
        self._shards = tuple(self._set(shard) for shard in plan.shards)
        self._routers = Routers(plan, [self._by_name[router.name] for router in plan.routers])
        self.start_order: Sequence[Sequence[Cluster]] = (
            (self._set(plan.config_set), *self._shards),
            (self._routers,),
        )

    def _set(self, plan: ClusterPlan) -> ReplicaSet:
        return ReplicaSet(plan, [self._by_name[node.name] for node in plan.nodes])

    @property
    def _parts(self) -> list[Cluster]:
        return [part for group in self.start_order for part in group]

    async def form(self, *, emptied: bool, within_s: float) -> None:
        """Add each shard under its id. One that kept data has added already stays as it is.

        Raises:
            ClusterError: mongos refuses; with its reason.
        """
        router = self._routers.nodes[0]
        for shard in self._shards:
            members = ",".join(f"{node.plan.address}:{node.plan.port}" for node in shard.nodes)
            place = f"{shard.plan.replica_set}/{members}"
            await self._tell(router, f"addShard of {shard.plan.name}", "addShard", place, name=shard.plan.name)
        if self.plan.disable_balancer:
            await self._tell(router, "balancerStop", "balancerStop")

    async def complete(self) -> None:
        """There is nothing more to it: its parts are complete."""

    async def _tell(self, router: Node, what: str, command: str, value: object = 1, **arguments: object) -> None:
        try:
            await router.ask(command, value, **arguments)
        except PyMongoError as problem:
            raise ClusterError(
                router.plan.label, f"{what} failed: {said(problem)}", await router.log_tail()
            ) from problem

    async def become_whole(self, waited_for: Sequence[Node], *, within_s: float) -> float:
        """Return when a mongos knows every shard. That each part is whole has been seen before, and so it gives 0.

        Raises:
            ClusterError: not within that time.
        """
        running = [node for node in self._routers.nodes if node.process is not None]
        if not running:
            return 0.0
        wanted = {shard.plan.name for shard in self._shards}

        async def knows_all() -> bool:
            return wanted <= await self._known_to(running[0])

        if not await until(knows_all, within_s=within_s):
            missing = sorted(wanted - await self._known_to(running[0]))
            raise ClusterError(
                running[0].plan.label,
                f"does not know these shards after {within_s:g} s: {', '.join(missing)}",
                await running[0].log_tail(),
            )
        return 0.0

    async def _known_to(self, router: Node) -> set[str]:
        try:
            return {shard["_id"] for shard in (await router.ask("listShards"))["shards"]}
        except PyMongoError:
            return set()

    async def before_stop(self, stopping: Sequence[Node]) -> None:
        """Say to each part what it should know."""
        await side_by_side(part.before_stop(stopping) for part in self._parts)

    async def insist_on_a_primary_after(self, restarted: Collection[Node]) -> None:
        """See to it in each part that is restarted.

        Raises:
            ClusterError
        """
        touched = [part for part in self._parts if any(node in restarted for node in part.nodes)]
        await side_by_side(part.insist_on_a_primary_after(restarted) for part in touched)

    async def hand_over(self, leaving: Node) -> float | None:
        """Have the part that the node is in hand over.

        Raises:
            ClusterError: another member could take over, but didn't in time.
        """
        part = next(part for part in self._parts if leaving in part.nodes)
        return await part.hand_over(leaving)

    async def term(self) -> object:
        """Give the present elections of all parts, and the mongos; None where one of them takes no writes."""
        terms = await side_by_side(part.term() for part in self._parts)
        return None if None in terms else tuple(terms)
