"""Whether the data are still whole: the server's own `validate` on every collection, and the members compared.

`local` is every server's own, and left out of both; `config` has what each member notes for itself, and is not
compared.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from dsi.clock import SYSTEM
from dsi.config import models
from dsi.errors import ClusterError, raise_together
from dsi.model import Problem
from dsi.suggest import did_you_mean
from dsi.systems.mongodb.client import said
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.roles import state_of, states
from dsi.systems.mongodb.waiting import failures, side_by_side, until

log = structlog.get_logger()

_NOT_VALIDATED = {"local"}
_NOT_COMPARED = {"local", "config"}

_GONE = {26, 166}
"""NamespaceNotFound: it was dropped meanwhile. CommandNotSupportedOnView."""

_ELECTION_S = 30.0
"""How long a set may be without a primary when the test has ended: an election may be under way."""

_CATCH_UP_S = 300.0
"""How long a member may need until it has all that was written."""

_ATTEMPTS = 3
"""How often members are compared before they count as different: something may still be writing."""

_SHOWN_CHARS = 500

Hashes = dict[str, str]
"""By `DATABASE.COLLECTION`, one server's hash of it."""


# --- which nodes --------------------------------------------------------------------------------------------


def validated_problems(wanted: models.Validated, nodes: Sequence[NodePlan]) -> list[Problem]:
    """Give what is listed in `mongodb_setup.validate` and isn't there; what can't be known yet passes."""
    places = _places(nodes)
    if any(map(_is_unknown, places)):
        return []
    return [
        Problem(
            path=f"mongodb_setup.validate.{key}.{index}",
            message=f'no node of mongodb_setup.topology is at "{place}"{did_you_mean(place, places)}',
            allowed=tuple(places),
        )
        for key, index, place in _listed(wanted)
        if not _is_unknown(place) and place not in places
    ]


def validated_nodes(wanted: models.Validated, nodes: Sequence[NodePlan]) -> set[str] | None:
    """Give the names of the nodes that `mongodb_setup.validate` lists; None where it lists none, which means all."""
    if wanted.standalone is None and wanted.primaries is None:
        return None
    places = _places(nodes)
    return {places[place] for _, _, place in _listed(wanted) if place in places}


def _is_unknown(place: str) -> bool:
    """Tell whether a reference still stands in it, as before provisioning."""
    return "${" in place


def _listed(wanted: models.Validated) -> Iterator[tuple[str, int, str]]:
    for key, places in (("standalone", wanted.standalone), ("primaries", wanted.primaries)):
        yield from ((key, index, place) for index, place in enumerate(places or ()))


def _places(nodes: Sequence[NodePlan]) -> dict[str, str]:
    """Give each node's name by `HOST:PORT`, its `id`, and its other address."""
    data = [node for node in nodes if node.role != "mongos"]
    found = {f"{node.model.public_ip}:{node.port}": node.name for node in data}
    found |= {node.id: node.name for node in data if node.id}
    return found | {f"{node.address}:{node.port}": node.name for node in data}


# --- one cluster --------------------------------------------------------------------------------------------


async def check(cluster: Cluster, names: Collection[str] | None) -> None:
    """Check a cluster; of one that has none of these nodes (None: any) nothing.

    `validate` runs on those nodes (None: on the primary), and each member of a set is compared with the primary. What
    was taken down on purpose is left out.

    Raises:
        ClusterError: what is damaged or differs, with the names of the collections; also where that can't be told.
        SeveralFailed: several of these.
    """
    parts = [part for group in cluster.start_order for part in group]
    if parts:
        await side_by_side(check(part, names) for part in parts)
        return
    named = [node for node in cluster.nodes if names is None or node.name in names]
    if named and named[0].plan.role != "mongos":
        await _check(cluster, named, all_of_it=names is None)


async def _check(cluster: Cluster, named: Sequence[Node], *, all_of_it: bool) -> None:
    """Check a standalone or a replica set."""
    await side_by_side(node.look() for node in cluster.nodes)
    there = [node for node in cluster.nodes if node.process is not None or not node.is_down_as_meant]
    if not there:
        log.warning("it was taken down on purpose, and is not validated", cluster=cluster.plan.name)
        return
    if cluster.plan.replica_set is None:
        await _validate_alone(cluster.nodes[0])
        return
    primary = await _primary(cluster)
    targets = [primary] if all_of_it else [node for node in named if node in there]
    members = [node for node in there if node is not primary and _has_all_data(node)]
    failed = await failures(_validate(node) for node in targets)
    failed += await failures(_compare(primary, member) for member in members)
    raise_together(failed)


async def _primary(cluster: Cluster) -> Node:
    found: list[Node] = []

    async def is_there() -> bool:
        members = zip(cluster.nodes, await states(cluster.nodes), strict=True)
        found.extend(node for node, state in members if state == "PRIMARY")
        return bool(found)

    running = sum(node.process is not None for node in cluster.nodes)
    can_elect = running * 2 > len(cluster.nodes)
    if not await until(is_there, within_s=_ELECTION_S if can_elect else 0):
        waited = f"has had no primary for {_ELECTION_S:g} s"
        why = waited if can_elect else f"has no primary, with {running} of {len(cluster.nodes)} members running"
        raise ClusterError(cluster.plan.name, f"{why}: its collections were neither validated nor compared")
    return found[0]


def _has_all_data(node: Node) -> bool:
    """Tell whether a member is to have what the primary has: an arbiter has nothing, a delayed one has it later."""
    member = node.plan.member or {}
    return not (member.get("arbiterOnly") or member.get("secondaryDelaySecs") or member.get("slaveDelay"))


async def _validate_alone(node: Node) -> None:
    if node.plan.joins_later and state_of(await node.hello()) == "NOT READY":
        log.info("it is a member of no replica set yet, and is not validated", node=node.name)
        return
    await _validate(node)


# --- one server's collections -------------------------------------------------------------------------------


async def _validate(node: Node) -> None:
    """Run `validate` on every collection of a server; all that is damaged is said at once."""
    if await node.hello() is None:
        how = "is down" if node.process is None else "does not answer"
        raise ClusterError(node.plan.label, f"{how}: its collections were not validated", await node.log_tail())
    damaged: list[str] = []
    namespace = "its collections"
    try:
        for database in await _databases(node, but=_NOT_VALIDATED):
            for collection in await _collections(node, database):
                namespace = f"{database}.{collection}"
                damage = await _damage(node, database, collection)
                damaged += [f"{namespace} ({damage})"] if damage else []
    except PyMongoError as problem:
        raise await _broke_off(node, namespace, damaged, problem) from problem
    if damaged:
        raise ClusterError(node.plan.label, f"validate found damaged collections: {'; '.join(damaged)}")


async def _broke_off(node: Node, namespace: str, damaged: Sequence[str], problem: PyMongoError) -> ClusterError:
    """Say at which collection it was: a server that reads what it can't trust ends itself."""
    what = f"validate broke off at {namespace}: {said(problem)}"
    if damaged:
        what = f"validate found damaged collections: {'; '.join(damaged)}; it {what.removeprefix('validate ')}"
    return ClusterError(node.plan.label, what, await node.log_tail())


async def _damage(node: Node, database: str, collection: str) -> str:
    try:
        found = await node.ask_at_length("validate", collection, database=database, full=True)
    except OperationFailure as refusal:
        if refusal.code in _GONE:
            return ""
        return str(refusal.details.get("errmsg") if refusal.details else refusal)[:_SHOWN_CHARS]
    if found.get("valid") and not found.get("errors"):
        return ""
    indexes: Mapping[str, Any] = found.get("indexDetails") or {}
    said = [*found.get("errors", ()), *(error for index in indexes.values() for error in index.get("errors", ()))]
    return "; ".join(dict.fromkeys(map(str, said)))[:_SHOWN_CHARS] or "not valid"


async def _databases(node: Node, *, but: Collection[str]) -> list[str]:
    found = await node.ask_at_length("listDatabases", nameOnly=True)
    return sorted(database["name"] for database in found["databases"] if database["name"] not in but)


async def _collections(node: Node, database: str) -> list[str]:
    """Give the names of a database's collections, without views. One batch holds up to 16 MB of them."""
    everything = {"batchSize": 1_000_000}
    found = await node.ask_at_length("listCollections", database=database, cursor=everything, nameOnly=True)
    return sorted(entry["name"] for entry in found["cursor"]["firstBatch"] if entry["type"] == "collection")


# --- members of a set ---------------------------------------------------------------------------------------


async def _compare(primary: Node, member: Node) -> None:
    """Compare a member's collections with the primary's.

    Raises:
        ClusterError: they differ, also when looked at again; or the member can't be compared.
    """
    different: set[str] = set()
    try:
        for attempt in range(_ATTEMPTS):
            await _catch_up(primary, member)
            ours, theirs = await side_by_side(_hashes(node) for node in (primary, member))
            now = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
            different = now if attempt == 0 else different & now
            if not different:
                return
    except PyMongoError as problem:
        raise ClusterError(
            member.plan.label,
            f"could not be compared with {primary.plan.label}: {said(problem)}",
            await member.log_tail(),
        ) from problem
    raise ClusterError(
        member.plan.label, f"has other data than {primary.plan.label} in: {', '.join(sorted(different))}"
    )


async def _hashes(node: Node) -> Hashes:
    databases = await _databases(node, but=_NOT_COMPARED)
    found = [(name, await node.ask_at_length("dbHash", database=name)) for name in databases]
    return {f"{name}.{one}": md5 for name, hashes in found for one, md5 in hashes["collections"].items()}


async def _catch_up(primary: Node, member: Node) -> None:
    """Wait until a member has all that the primary has now."""
    wanted = _last_write(await primary.ask("hello"))
    begun_s = SYSTEM.monotonic_s()

    async def has_it() -> bool:
        hello = await member.hello() or {}
        return state_of(hello or None) in {"SECONDARY", "PRIMARY"} and _last_write(hello) >= wanted

    await member.look()
    if member.process is None:
        raise ClusterError(member.plan.label, "is down, and was not compared", await member.log_tail())
    if not await until(has_it, within_s=_CATCH_UP_S):
        state = state_of(await member.hello())
        waited_s = SYSTEM.monotonic_s() - begun_s
        raise ClusterError(
            member.plan.label,
            f"is {state}, and has not all that {primary.plan.label} has after {waited_s:.0f} s: it was not compared",
            await member.log_tail(),
        )


def _last_write(hello: Mapping[str, Any]) -> Any:
    return hello["lastWrite"]["opTime"]["ts"]
