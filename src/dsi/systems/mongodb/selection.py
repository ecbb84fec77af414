"""Which nodes are meant: by the `id` of a node, replica set, shard or cluster, or by present role (`rs0:primary`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from dsi.errors import ClusterError, InvalidCommand
from dsi.suggest import did_you_mean
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.members import MemberState
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.roles import shown, states
from dsi.systems.mongodb.topology import Topology
from dsi.systems.mongodb.waiting import side_by_side

PresentRole = Literal["primary", "secondaries"]
STATES: Final[dict[PresentRole, MemberState]] = {"primary": "PRIMARY", "secondaries": "SECONDARY"}


@dataclass(frozen=True, slots=True)
class Selector:
    """One entry of `nodes`. `role` None: all that the id stands for."""

    id: str
    role: PresentRole | None = None


def parse_selectors(
    names: Sequence[str], ids: Collection[str], replica_sets: Collection[str] | None = None, *, path: str = "nodes"
) -> list[Selector]:
    """Read what stands in `nodes`, and check it against what there is (`replica_sets` None: not known yet).

    `path` is where it stands, for the error.

    Raises:
        InvalidCommand: an id that nothing has; a role that there isn't, or of what has no roles.
    """
    return [_parse(name, ids, replica_sets, path) for name in names]


def _parse(name: str, ids: Collection[str], replica_sets: Collection[str] | None, path: str) -> Selector:
    if name in ids:
        return Selector(name)
    own_id, colon, role = name.rpartition(":")
    if not colon:
        own_id, role = name, ""
    if own_id not in ids:
        known = sorted(ids)
        raise InvalidCommand(
            f'{path}: nothing in mongodb_setup.topology has the id "{own_id}"{did_you_mean(own_id, known)}',
            path=path,
            allowed=known,
        )
    if role not in STATES:
        roles = [f"{own_id}:{known}" for known in STATES]
        raise InvalidCommand(f'{path}: no role "{role}"{did_you_mean(name, roles)}', path=path, allowed=roles)
    if replica_sets is not None and own_id not in replica_sets:
        raise InvalidCommand(
            f'{path}: "{own_id}" is no replica set, and has no {role}: write {own_id} alone',
            path=path,
            allowed=sorted(replica_sets),
        )
    return Selector(own_id, role)


async def choose(names: Sequence[str] | None, topology: Topology, clusters: Sequence[Cluster]) -> set[str]:
    """Give the names of the nodes that are meant now; None stands for all.

    Raises:
        InvalidCommand: see `parse_selectors`.
        ClusterError: at present nobody has that role.
    """
    if names is None:
        return {node.name for node in topology.nodes}
    ids = topology.ids()
    selectors = parse_selectors(names, ids, topology.replica_sets())
    sets = {part.plan.id or part.plan.name: part for cluster in clusters for part in _with_parts(cluster)}
    by_id = {node.name for chosen in selectors if chosen.role is None for node in ids[chosen.id]}
    by_role = await side_by_side(
        members_now(sets[chosen.id], chosen.role) for chosen in selectors if chosen.role is not None
    )
    return by_id | {node.name for members in by_role for node in members}


def _with_parts(cluster: Cluster) -> list[Cluster]:
    """Give a cluster and what it consists of: shards have roles, too."""
    return [*(part for group in cluster.start_order for part in group), cluster]


async def members_now(cluster: Cluster, role: PresentRole) -> list[Node]:
    """Give the members of a replica set that have this role at present.

    Raises:
        ClusterError: none has; it says what each member is.
    """
    await side_by_side(node.look() for node in cluster.nodes)
    present = await states(cluster.nodes)
    found = [node for node, state in zip(cluster.nodes, present, strict=True) if state == STATES[role]]
    if not found:
        what = "has no primary" if role == "primary" else "has no secondary"
        raise ClusterError(
            cluster.plan.name, f"{what} at present: {shown(cluster.nodes, present)}; name nodes by their id instead"
        )
    return found
