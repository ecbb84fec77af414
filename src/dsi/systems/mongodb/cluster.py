"""What every kind of cluster can do. `Standalone`, `ReplicaSet` and `ShardedCluster` are the kinds there are."""

from collections.abc import Collection, Sequence
from typing import Protocol

from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.plan import ClusterPlan


class Cluster(Protocol):
    """Some nodes that belong together. They are started side by side, or part by part where it has parts."""

    plan: ClusterPlan
    nodes: tuple[Node, ...]

    @property
    def keeps_users(self) -> bool:
        """Whether users are made in it. Those of a sharded cluster are kept, and so made, by its config servers.

        A shard has users of its own as well, for who connects to one of its members.
        """
        ...

    @property
    def start_order(self) -> "Sequence[Sequence[Cluster]]":
        """Its parts, in groups: the parts of a group start side by side, and are whole before the next group starts.

        Empty where it has no parts.
        """
        ...

    async def form(self, *, emptied: bool, within_s: float) -> None:
        """Make a cluster of nodes that were just started for the first time, and return when it takes writes.

        `emptied`: all their data were deleted before. Some nodes may be left for `complete` then.

        Raises:
            ClusterError
        """
        ...

    async def complete(self) -> None:
        """Take in the nodes that `form` has left out. They copy what was written until now.

        Raises:
            ClusterError
        """
        ...

    async def become_whole(self, waited_for: Sequence[Node], *, within_s: float) -> float:
        """Return when it takes writes and each of these nodes has taken its place.

        It gives how long the last election that it asked for has refused writes, in seconds; 0 where it asked for none.

        Raises:
            ClusterError: not within that time; it names the nodes and what each says that it is.
        """
        ...

    async def before_stop(self, stopping: Sequence[Node]) -> None:
        """Say to the nodes what they should know before these ones are stopped."""
        ...

    async def insist_on_a_primary_after(self, restarted: Collection[Node]) -> None:
        """See that nodes without a process, other than these, don't keep it from having a primary after a restart.

        Raises:
            ClusterError: they do; it names them.
        """
        ...

    async def hand_over(self, leaving: Node) -> float | None:
        """Have another node take writes, if this one does; give for how long that refused them, in seconds.

        None: no other can, and this one still does.

        Raises:
            ClusterError: another could, but didn't in time.
        """
        ...

    async def term(self) -> object:
        """Give what changes with every election; None where nobody takes writes."""
        ...
