"""A replica set: made once, and brought to a primary that stays, as fast as the servers can.

Left alone, a set that was started anew has a primary after the election timeout (10 s). Asked to (`replSetStepUp`), a
member stands for election at once.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from dsi.clock import SYSTEM
from dsi.errors import ClusterError
from dsi.systems.mongodb.client import said
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.election import elect_one, hand_over
from dsi.systems.mongodb.members import SETTLED, Members, can_elect, favourites
from dsi.systems.mongodb.node import HELLO_LIMIT_S, Node
from dsi.systems.mongodb.plan import ClusterPlan
from dsi.systems.mongodb.roles import shown, states
from dsi.systems.mongodb.waiting import Patience, until

log = structlog.get_logger()

_ALREADY_INITIALIZED = 23
_LAST_WORD_S = 0.5

_ANSWERS = 1
"""The `health` of a member that has answered a heartbeat: https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/
(0: it did not; below, not told there: it was not asked yet)."""

_HEARTBEATS_S = 5.0
"""How long a member may take to answer another one for the first time: three heartbeats. Past the election timeout
(10 s) the server gives that for the reason, and no longer what was wrong with the connection."""

_HAND_OVER_S = 60.0
"""How long a rolling restart tries to have another member elected. One that lacks the newest writes gets no votes, and
where there is much to write it has them only now and then."""


class ReplicaSet:
    """Some nodes that hold the same data."""

    start_order: Sequence[Sequence[Cluster]] = ()
    keeps_users = True

    def __init__(self, plan: ClusterPlan, nodes: Sequence[Node]) -> None:
        self.plan = plan
        self.nodes = tuple(nodes)
        self._entries: list[Mapping[str, Any]] = [node.plan.member or {} for node in nodes]

    # --- made once ------------------------------------------------------------------------------------------

    def configuration(self, of: Collection[Node]) -> dict[str, Any]:
        """Give the configuration of a set of these nodes: `rs_conf`, with each member's `rs_conf_member`."""
        members = [member for node, member in zip(self.nodes, self._entries, strict=True) if node in of]
        return {"_id": self.plan.replica_set, **(self.plan.rs_conf or {}), "members": members}

    async def form(self, *, emptied: bool, within_s: float) -> None:
        """Make the set, and return when it takes writes. Kept data that is a set's already stays one.

        Where all is empty, one member is enough for that, and `complete` takes in the others. They have a primary to
        copy from at once then: members that look for one while it is being elected look again a second later. Where
        data were kept, the server makes the whole set: it refuses members that are in another one.

        Raises:
            ClusterError: the server refuses the configuration, with its reason; or it takes longer.
        """
        founders = self._founders() if emptied else self.nodes
        try:
            await self._first.ask("replSetInitiate", self.configuration(founders))
        except OperationFailure as refusal:
            if refusal.code != _ALREADY_INITIALIZED:
                raise self._refused("replSetInitiate", refusal) from refusal
            founders = self.nodes
            await self.complete()
        except PyMongoError as problem:
            raise self._refused("replSetInitiate", problem) from problem
        await self.become_whole(founders, within_s=within_s)

    @property
    def _first(self) -> Node:
        return self.nodes[min(favourites(self._entries))]

    def _founders(self) -> Sequence[Node]:
        """Give the first member; but all where there is an arbiter.

        With one, the write concern of clients that name none is another (w: 1), and servers from 5.0 on refuse a
        reconfiguration that would change it.
        """
        return self.nodes if any(member.get("arbiterOnly") for member in self._entries) else [self._first]

    async def complete(self) -> None:
        """Have the set consist of all its members, at their present addresses.

        Forced: without, members are added one by one, and kept ones that have moved reach nobody who could agree.

        Raises:
            ClusterError: the server refuses the configuration, with its reason; or it does not reach a member.
        """
        try:
            present = (await self._first.ask("replSetGetConfig"))["config"]
            if [member["host"] for member in present["members"]] == [member["host"] for member in self._entries]:
                return
            whole = {**self.configuration(self.nodes), "version": present["version"] + 1}
            await self._first.ask("replSetReconfig", whole, force=True)
            # Two things need a write behind it. On its disk the first member is a set of its own until the journal is
            # flushed: killed before, it would come back as one, and the others would lose what they have written
            # meanwhile. And with its old configuration it has forgotten what a majority has: who waits for one and
            # writes nothing (addShard does) would wait for the server's own next write, ten seconds.
            note = {"msg": "all members are in the set"}
            await self._first.ask("appendOplogNote", data=note, writeConcern={"w": 1, "j": True})
            await self._insist_on_heartbeats()
        except PyMongoError as problem:
            raise self._refused("replSetReconfig", problem) from problem

    async def _insist_on_heartbeats(self) -> None:
        """See that the first member reaches the others, which a server tries before `replSetInitiate`, but not here."""
        silent: list[Mapping[str, Any]] = []

        async def all_answer() -> bool:
            members = (await self._first.ask("replSetGetStatus"))["members"]
            silent[:] = [member for member in members if member["health"] != _ANSWERS]
            return not silent

        if not await until(all_answer, within_s=_HEARTBEATS_S):
            reasons = "; ".join(f"{member['name']}: {member.get('lastHeartbeatMessage', '')}" for member in silent)
            raise ClusterError(self._first.plan.label, f"does not reach all of {self.plan.name}: {reasons}")

    def _refused(self, command: str, problem: PyMongoError) -> ClusterError:
        return ClusterError(
            self._first.plan.label,
            f"{command} of {self.plan.name} failed: {said(problem)}; see rs_conf, rs_conf_member",
        )

    # --- brought to a primary -------------------------------------------------------------------------------

    async def become_whole(self, waited_for: Sequence[Node], *, within_s: float) -> float:
        """Return when there is a primary that stays and takes writes, and each of these members is in the set again.

        A primary stays if no member that answers has a higher priority: else that one would take over ten seconds
        later, and writes would be refused once more. So the favourite is the one that is stepped up, or, where it has
        fallen behind, stepped up as soon as it has caught up. Gives for how long that election refused writes.

        Raises:
            ClusterError: not within that time.
        """
        positions = [position for position, node in enumerate(self.nodes) if node in waited_for]
        patience = Patience(within_s)
        elected_s: float | None = None
        while not (members := await self._present()).is_whole(positions, patience.waited_s):
            asked_s = SYSTEM.monotonic_s()
            if await elect_one([self.nodes[position] for position in members.candidates(patience.waited_s)]):
                elected_s = asked_s
            if not await patience.lasts():
                raise await self._not_whole(within_s)
        return 0.0 if elected_s is None else SYSTEM.monotonic_s() - elected_s

    async def _present(self) -> Members:
        return Members(self._entries, await states(self.nodes))

    async def _not_whole(self, within_s: float) -> ClusterError:
        present = await states(self.nodes)
        worst = next(
            (node for node, state in zip(self.nodes, present, strict=True) if state not in SETTLED), self.nodes[0]
        )
        return ClusterError(
            self.plan.name,
            f"is not whole after {within_s:g} s: {shown(self.nodes, present)}; log of {worst.name}",
            await worst.log_tail(),
        )

    # --- before it stops ------------------------------------------------------------------------------------

    async def insist_on_a_primary_after(self, restarted: Collection[Node]) -> None:
        """See that enough members will have a process to elect a primary, once these are restarted.

        Raises:
            ClusterError: there won't be; it names those that are down.
        """
        ended = {
            entry.get("host"): node
            for node, entry in zip(self.nodes, self._entries, strict=True)
            if node.process is None and node not in restarted
        }
        if not ended:
            return
        entries = await self._present_entries()
        down = {position: ended[entry["host"]] for position, entry in enumerate(entries) if entry["host"] in ended}
        if not can_elect(entries, without=down):
            raise ClusterError(
                self.plan.name,
                "nothing was stopped: it could have no primary after this restart, with these down: "
                f"{', '.join(node.plan.label for node in down.values())}; restart them too: without nodes, or with "
                "their ids among them",
            )

    async def _present_entries(self) -> Sequence[Mapping[str, Any]]:
        """Give the entries that the set has now, since a test may have changed them; where no member tells, ours."""
        for node in self.nodes:
            if node.process is None:
                continue
            try:
                async with asyncio.timeout(HELLO_LIMIT_S):
                    members: list[Mapping[str, Any]] = (await node.ask("replSetGetConfig"))["config"]["members"]
                    return members
            except (PyMongoError, TimeoutError) as problem:
                log.debug("a member does not tell the set's configuration", node=node.name, reason=str(problem))
        return self._entries

    async def before_stop(self, stopping: Sequence[Node]) -> None:
        """Where all members stop, let the primary hand over to none of them.

        A primary that is shut down without waiting has one of the others elected, which may not have its last writes
        yet: they would be rolled back when it starts again. This way it comes back with the newest data, and is elected
        at once.
        (`enableElectionHandoff` is forgotten with the process.)
        """
        running = [node for node in self.nodes if node.process is not None]
        if len(running) < 2 or any(node not in stopping for node in running):
            return
        asking = [node.ask("setParameter", enableElectionHandoff=False) for node in running]
        try:
            async with asyncio.timeout(_LAST_WORD_S):
                await asyncio.gather(*asking, return_exceptions=True)
        except TimeoutError:
            log.warning("a member of the replica set does not answer", replica_set=self.plan.name)

    async def hand_over(self, leaving: Node) -> float | None:
        """Have another member elected, if this one is primary, and return when that one takes writes.

        None: no other member can be primary at present.

        Raises:
            ClusterError: nobody was elected; where there is much to write, the others may be too far behind.
        """
        here = self.nodes.index(leaving)
        members = await self._present()
        if here not in members.those("PRIMARY"):
            return 0.0
        if not members.successors():
            return None
        refused_s = await hand_over(self.nodes, here, self._present, within_s=_HAND_OVER_S)
        if refused_s is None:
            said = shown(self.nodes, await states(self.nodes))
            raise ClusterError(leaving.plan.label, f"handed over to nobody within {_HAND_OVER_S:g} s: {said}")
        return refused_s

    async def term(self) -> object:
        """Give the present primary's election; None where there is no primary."""
        for hello in await asyncio.gather(*(node.hello() for node in self.nodes)):
            if hello and hello.get("isWritablePrimary"):
                return hello.get("electionId")
        return None
