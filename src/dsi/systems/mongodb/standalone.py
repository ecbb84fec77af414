"""A cluster of one mongod."""

from collections.abc import Collection, Sequence

from dsi.errors import ClusterError
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.plan import ClusterPlan
from dsi.systems.mongodb.roles import state_of
from dsi.systems.mongodb.waiting import until


class Standalone:
    """One node by itself."""

    start_order: Sequence[Sequence[Cluster]] = ()
    keeps_users = True

    def __init__(self, plan: ClusterPlan, node: Node) -> None:
        self.plan = plan
        self.nodes: tuple[Node, ...] = (node,)

    async def form(self, *, emptied: bool, within_s: float) -> None:
        """Return when it takes writes: there is nothing to form."""
        await self.become_whole(self.nodes, within_s=within_s)

    async def complete(self) -> None:
        """There is nothing more to it."""

    async def before_stop(self, stopping: Sequence[Node]) -> None:
        """There is nothing to say."""

    async def insist_on_a_primary_after(self, restarted: Collection[Node]) -> None:
        """There are no elections."""

    async def term(self) -> object:
        """There are no elections: the process is what changes."""
        return self.nodes[0].process

    async def hand_over(self, leaving: Node) -> None:
        """Nobody can take over."""

    async def become_whole(self, waited_for: Sequence[Node], *, within_s: float) -> float:
        """Return when it takes writes. What joins a set later takes none until then: an answer is all there is."""
        node = self.nodes[0]

        async def is_whole() -> bool:
            state = state_of(await node.hello())
            return state != "down" if node.plan.joins_later else state == "STANDALONE"

        if waited_for and not await until(is_whole, within_s=within_s):
            state = state_of(await node.hello())
            raise ClusterError(
                node.plan.label, f"does not take writes after {within_s:g} s: it is {state}", await node.log_tail()
            )
        return 0.0
