"""What of a topology can't be, or does not come true: nodes that can't be together, options that don't fit. Pure."""

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dsi.config import models
from dsi.model import Problem
from dsi.systems.mongodb import mongod_config, old_options
from dsi.systems.mongodb.members import can_be_primary
from dsi.systems.mongodb.plan import ClusterPlan, NodePlan
from dsi.systems.mongodb.tls import mode, old_spellings, translated

MAX_MEMBERS = 50
MAX_VOTING_MEMBERS = 7
"""https://www.mongodb.com/docs/manual/reference/limits/#replica-sets"""


def problems(setup: models.MongodbSetup, clusters: Sequence[ClusterPlan]) -> Iterator[Problem]:
    """Yield all that is wrong, and warnings of what is passed over."""
    nodes = [node for cluster in clusters for node in cluster.nodes]
    yield from _clashes(nodes)
    yield from _journals_among_the_data(nodes)
    yield from _wrong_sets(clusters)
    yield from _missing_parts(clusters)
    yield from _passed_over(nodes)
    yield from _old_options(nodes)
    yield from _wrong_security(setup, nodes)
    yield from _mixed_tls(clusters)
    yield from _mixed_certificates(clusters)


def _clashes(nodes: Sequence[NodePlan]) -> Iterator[Problem]:
    """Yield what two nodes of one host can't share."""
    ports: dict[tuple[object, ...], NodePlan] = {}
    folders: dict[tuple[object, ...], NodePlan] = {}
    archives: dict[tuple[object, ...], NodePlan] = {}
    logs: dict[tuple[object, ...], NodePlan] = {}
    for node in nodes:
        first = ports.setdefault((node.machine, node.port), node)
        if first is not node:
            yield _clash(node, first, f"net.port {node.port}", "give one of them another net.port")
        if node.db_path is not None:
            yield from _clashing_data(node, posixpath.normpath(node.db_path), folders)
        first = logs.setdefault((node.machine, node.log_path), node)
        if node.log_path and first is not node:
            remedy = "clean_logs of one deletes that of both; give one of them another systemLog.path"
            yield replace(_clash(node, first, f"systemLog.path {node.log_path}", remedy), warning=True)
        first = archives.setdefault((node.machine, node.mongo_dir), node)
        if first.archive != node.archive:
            yield _clash(node, first, f"mongo_dir {node.mongo_dir}, but not the archive", "give one another mongo_dir")


def _clashing_data(node: NodePlan, folder: str, folders: dict[tuple[object, ...], NodePlan]) -> Iterator[Problem]:
    first = folders.setdefault((node.machine, folder), node)
    if first is not node:
        yield _clash(node, first, f"storage.dbPath {folder}", "give one of them another storage.dbPath")
    if mongod_config.is_dangerous(folder):
        yield Problem(
            path=f"{node.path}.config_file.storage.dbPath",
            message=f"{folder} is no folder for data alone, and clean_db_dir would empty it: name one below it",
        )


def _clash(node: NodePlan, first: NodePlan, shared: str, remedy: str) -> Problem:
    return Problem(path=node.path, message=f"shares host {node.address} and {shared} with {first.path}: {remedy}")


def _journals_among_the_data(nodes: Sequence[NodePlan]) -> Iterator[Problem]:
    """Yield journals that are to lie in the data folder, whose `journal` would be a link to them."""
    for node in nodes:
        if node.journal_dir is None or node.db_path is None:
            continue
        folder = posixpath.normpath(node.db_path)
        if f"{posixpath.normpath(node.journal_dir)}/".startswith(f"{folder}/"):
            yield Problem(
                path=f"{node.path if node.model.journal_dir else 'mongodb_setup'}.journal_dir",
                message=f"{node.journal_dir} lies in storage.dbPath {folder}, and is for journals outside of it: write "
                f"{folder}-journal, say, or leave it out: the journal is in {folder}/journal then",
            )


def _wrong_sets(clusters: Sequence[ClusterPlan]) -> Iterator[Problem]:
    called = [part for cluster in clusters for part in (cluster, *cluster.shards)]
    names = Counter(part.name for part in called)
    for part in called:
        if names[part.name] > 1:
            yield Problem(path=part.path, message=f"several clusters are called {part.name}: give each its own id")
        yield from _wrong_members(part, f"{part.path}.mongod")
        if part.config_set is not None:
            yield from _wrong_members(part.config_set, f"{part.path}.configsvr")


def _wrong_members(replica_set: ClusterPlan, path: str) -> Iterator[Problem]:
    members = [node.member for node in replica_set.nodes if node.member is not None and replica_set.replica_set]
    voting = [member for member in members if member.get("votes", 1)]
    if len(members) > MAX_MEMBERS or len(voting) > MAX_VOTING_MEMBERS:
        yield Problem(
            path=path,
            message=f"{len(members)} members, {len(voting)} of them voting: MongoDB allows {MAX_MEMBERS} and "
            f"{MAX_VOTING_MEMBERS}; give the others rs_conf_member: {{votes: 0, priority: 0}}",
        )
    if members and not any(can_be_primary(member) for member in members):
        yield Problem(path=path, message="no member can be primary: give one a priority above 0")


def _missing_parts(clusters: Sequence[ClusterPlan]) -> Iterator[Problem]:
    for cluster in clusters:
        if cluster.config_set is None:
            continue
        parts = {"configsvr": cluster.config_set.nodes, "mongos": cluster.routers, "shard": cluster.shards}
        for missing in (name for name, there in parts.items() if not there):
            yield Problem(path=cluster.path, message=f"a sharded cluster needs at least one {missing}")


def _passed_over(nodes: Sequence[NodePlan]) -> Iterator[Problem]:
    """Warn of what somebody wrote that does not come true."""
    for node in nodes:
        for old, new in old_spellings(node.model.config_file.get("net") or {}):
            yield Problem(
                path=f"{node.path}.config_file.{old}", message=f"is an old spelling, read as {new}", warning=True
            )
        name = (node.model.config_file.get("replication") or {}).get("replSetName")
        if node.replica_set is not None and name not in (None, node.replica_set):
            yield Problem(
                path=f"{node.path}.config_file.replication.replSetName",
                message=f'the replica set is called "{node.replica_set}", by its id; "{name}" is passed over',
                warning=True,
            )


def _old_options(nodes: Sequence[NodePlan]) -> Iterator[Problem]:
    for node in nodes:
        config = mongod_config.whole(
            node.model.config_file,
            role=node.role,
            replica_set=node.replica_set,
            sharding=node.sharding,
            local_address=None,
        )
        yield from old_options.doubts(config, path=f"{node.path}.config_file")


def _wrong_security(setup: models.MongodbSetup, nodes: Sequence[NodePlan]) -> Iterator[Problem]:
    enabled = setup.authentication.enabled
    if enabled and not setup.authentication.username:
        yield Problem(path="mongodb_setup.authentication.username", message="enabled: true needs a username")
    for node in nodes:
        if node.role == "mongos" and "authorization" in (node.model.config_file.get("security") or {}):
            yield Problem(
                path=f"{node.path}.config_file.security.authorization",
                message="a mongos has no such option: leave it out; its shards and config servers see to it",
            )
            continue
        for option, value in mongod_config.own_security(node.model.config_file):
            path = f"{node.path}.config_file.{option}"
            if not enabled:
                yield Problem(
                    path=path,
                    message="dsi would not get in: leave it out, and write mongodb_setup: "
                    "{authentication: {enabled: true}}, which gives every node dsi's key file and authorization",
                )
            elif option == "security.clusterAuthMode":
                yield from _wrong_certificates(node, value, path)
            elif option == "security.keyFile":
                yield Problem(
                    path=path, message=f"dsi makes a key file of its own; {value} is passed over", warning=True
                )


def _wrong_certificates(node: NodePlan, value: str, path: str) -> Iterator[Problem]:
    """See whether a `clusterAuthMode` other than keyFile can be."""
    tls = translated(node.model.config_file.get("net") or {}).get("tls") or {}
    if value != "x509":
        yield Problem(path=path, message=f"{value} is a step between keyFile and x509: write one of these")
    elif tls.get("mode") not in ("requireTLS", "preferTLS") or not tls.get("CAFile"):
        yield Problem(path=path, message="x509 needs net.tls, with a CAFile, and mode requireTLS or preferTLS")


def _mixed_certificates(clusters: Sequence[ClusterPlan]) -> Iterator[Problem]:
    for cluster in clusters:
        with_key = next((node for node in cluster.nodes if not mongod_config.is_x509(node.model.config_file)), None)
        for node in cluster.nodes:
            if with_key and mongod_config.is_x509(node.model.config_file):
                yield Problem(
                    path=f"{node.path}.config_file.security.clusterAuthMode",
                    message=f"{with_key.path} has no x509: members know each other all in one way",
                )


def _mixed_tls(clusters: Sequence[ClusterPlan]) -> Iterator[Problem]:
    """Yield the nodes that go to others in plain, where one of those takes no plain connections.

    https://www.mongodb.com/docs/manual/reference/configuration-options/#mongodb-setting-net.tls.mode
    """
    for cluster in clusters:
        nodes = [(node, mode(node.model.config_file.get("net") or {})) for node in cluster.nodes]
        strict = next((node for node, its_mode in nodes if its_mode == "requireTLS"), None)
        for node, its_mode in nodes:
            if strict and its_mode in ("disabled", "allowTLS"):
                yield Problem(
                    path=f"{node.path}.config_file.net.tls.mode",
                    message=f"with {its_mode} it can't connect to {strict.path}, which has requireTLS: "
                    "write requireTLS or preferTLS",
                )
