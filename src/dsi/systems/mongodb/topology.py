"""`mongodb_setup.topology`, put in order: which nodes there are, what they are called, whether they can be together.

Pure: it looks at what the user wrote and touches no host.
"""

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsi.config import models
from dsi.errors import ConfigError, InvalidCommand
from dsi.model import Problem, Role
from dsi.suggest import did_you_mean
from dsi.systems.mongodb import mongod_config
from dsi.systems.mongodb.tls import old_spellings

MAX_MEMBERS = 50
MAX_VOTING_MEMBERS = 7
"""https://www.mongodb.com/docs/manual/reference/limits/#replica-sets"""

_FAVOURED = {"priority": 2}
"""What the first member of a replica set has, unless its `rs_conf_member` says otherwise: runs are alike when the same
member is primary in all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One server process as the user wants it.

    `name` is its `id`, or `CLUSTER.INDEX` where it has none. `address` is where the hosts find each other.
    `model` is what the user wrote, `path` where.
    """

    name: str
    id: str | None
    role: Role
    model: models.Node
    path: str
    mongo_dir: str
    archive: str | None
    replica_set: str | None = None
    member: Mapping[str, Any] | None = None

    @property
    def address(self) -> str:
        """`private_ip`; `public_ip` stands for it where that is missing."""
        return self.model.private_ip or self.model.public_ip

    @property
    def port(self) -> int:
        """`net.port` of its configuration."""
        return mongod_config.port_of(self.model.config_file)

    @property
    def label(self) -> str:
        """What it is called in errors: `primary (10.0.0.11:27017)`."""
        return f"{self.name} ({self.address}:{self.port})"

    @property
    def machine(self) -> tuple[str, str]:
        """Nodes with the same machine share a host."""
        return (self.model.public_ip, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """One entry of the topology. `replica_set` is the set's name, None for a standalone."""

    name: str
    id: str | None
    path: str
    nodes: tuple[NodePlan, ...]
    replica_set: str | None = None
    rs_conf: Mapping[str, Any] | None = None


class Topology:
    """All clusters, and what their ids stand for."""

    def __init__(self, setup: models.MongodbSetup) -> None:
        self.clusters = tuple(_clusters(setup))
        self.nodes = tuple(node for cluster in self.clusters for node in cluster.nodes)
        self.problems = (
            *_unsupported(setup), *_clashes(self.nodes), *_wrong_sets(self.clusters), *_passed_over(setup, self.nodes),
            *_wrong_security(setup, self.nodes),
        )  # fmt: skip

    def insist(self) -> None:
        """Go on only with a topology that can be brought up.

        Raises:
            ConfigError: nodes that can't be together, or what this version doesn't bring up; all problems at once.
        """
        wrong = [problem for problem in self.problems if not problem.warning]
        if wrong:
            raise ConfigError(wrong)

    def ids(self) -> dict[str, tuple[NodePlan, ...]]:
        """Give the nodes that each id stands for; a replica set without an id goes by its name (`rs0`)."""
        found: dict[str, tuple[NodePlan, ...]] = {}
        for cluster in self.clusters:
            called = cluster.id or cluster.replica_set
            if called:
                found[called] = cluster.nodes
            found |= {node.id: (node,) for node in cluster.nodes if node.id}
        return found

    def replica_sets(self) -> list[str]:
        """Give the ids of the replica sets: their members have roles."""
        return [cluster.id or cluster.name for cluster in self.clusters if cluster.replica_set]

    def select(self, ids: Sequence[str] | None) -> tuple[NodePlan, ...]:
        """Give the nodes behind these ids, each once, in the topology's order; None stands for all.

        Raises:
            InvalidCommand: nothing has that id.
        """
        if ids is None:
            return self.nodes
        known = self.ids()
        for unknown in (name for name in ids if name not in known):
            raise InvalidCommand(
                f'nodes: nothing in mongodb_setup.topology has the id "{unknown}"{did_you_mean(unknown, known)}',
                path="nodes",
                allowed=sorted(known),
            )
        chosen = {node.name for name in ids for node in known[name]}
        return tuple(node for node in self.nodes if node.name in chosen)


# --- from what the user wrote -------------------------------------------------------------------------------


def _clusters(setup: models.MongodbSetup) -> Iterator[ClusterPlan]:
    unnamed_sets = 0
    for index, cluster in enumerate(setup.topology):
        path = f"mongodb_setup.topology.{index}"
        if isinstance(cluster, models.Standalone):
            name = cluster.id or f"standalone.{index}"
            node = _node(setup, cluster, name=name, path=path)
            yield ClusterPlan(name=name, id=cluster.id, path=path, nodes=(node,))
        elif isinstance(cluster, models.ReplicaSet):
            name = cluster.id or f"rs{unnamed_sets}"
            unnamed_sets += not cluster.id
            yield _replica_set(setup, cluster, name, path)


def _replica_set(setup: models.MongodbSetup, cluster: models.ReplicaSet, name: str, path: str) -> ClusterPlan:
    nodes = tuple(
        _node(
            setup,
            node,
            name=node.id or f"{name}.{index}",
            path=f"{path}.mongod.{index}",
            replica_set=name,
            member=_member(node, index),
        )
        for index, node in enumerate(cluster.mongod)
    )
    return ClusterPlan(name=name, id=cluster.id, path=path, nodes=nodes, replica_set=name, rs_conf=cluster.rs_conf)


def _node(
    setup: models.MongodbSetup,
    node: models.Node,
    *,
    name: str,
    path: str,
    replica_set: str | None = None,
    member: Mapping[str, Any] | None = None,
) -> NodePlan:
    return NodePlan(
        name=name,
        id=node.id,
        role="mongod",
        model=node,
        path=path,
        mongo_dir=node.mongo_dir or setup.mongo_dir,
        archive=node.mongodb_binary_archive or setup.mongodb_binary_archive or None,
        replica_set=replica_set,
        member=member,
    )


def _member(node: models.Node, index: int) -> dict[str, Any]:
    """Put together an entry of `members` of the replica set's configuration."""
    address = node.private_ip or node.public_ip
    given = node.rs_conf_member
    favoured = _FAVOURED if index == 0 and not given.get("arbiterOnly") else {}
    host = f"{address}:{mongod_config.port_of(node.config_file)}"
    return {"_id": index, "host": host, **favoured, **given}


# --- what can't be ------------------------------------------------------------------------------------------


def _unsupported(setup: models.MongodbSetup) -> Iterator[Problem]:
    for index, cluster in enumerate(setup.topology):
        if isinstance(cluster, models.ShardedCluster):
            yield Problem(
                path=f"mongodb_setup.topology.{index}.cluster_type",
                message="sharded clusters are not brought up by this version of dsi yet",
                allowed=("standalone", "replset"),
            )
    for index, cluster in enumerate(setup.topology):
        yield from _unsupported_options(f"mongodb_setup.topology.{index}", cluster)


def _unsupported_options(path: str, cluster: object) -> Iterator[Problem]:
    nodes: list[tuple[str, models.Node]] = []
    if isinstance(cluster, models.Standalone):
        nodes = [(path, cluster)]
    elif isinstance(cluster, models.ReplicaSet):
        nodes = [(f"{path}.mongod.{index}", node) for index, node in enumerate(cluster.mongod)]
    for where, node in nodes:
        for option in mongod_config.unsupported(node.config_file):
            yield Problem(
                path=f"{where}.config_file.{option}",
                message="is not supported by this version of dsi yet: leave it out",
            )


def _clashes(nodes: Sequence[NodePlan]) -> Iterator[Problem]:
    """Yield what two nodes of one host can't share."""
    ports: dict[tuple[object, ...], NodePlan] = {}
    folders: dict[tuple[object, ...], NodePlan] = {}
    archives: dict[tuple[object, ...], NodePlan] = {}
    for node in nodes:
        first = ports.setdefault((node.machine, node.port), node)
        if first is not node:
            yield _clash(node, first, f"net.port {node.port}", "give one of them another net.port")
        folder = posixpath.normpath(mongod_config.db_path_of(node.model.config_file))
        first = folders.setdefault((node.machine, folder), node)
        if first is not node:
            yield _clash(node, first, f"storage.dbPath {folder}", "give one of them another storage.dbPath")
        first = archives.setdefault((node.machine, node.mongo_dir), node)
        if first.archive != node.archive:
            yield _clash(node, first, f"mongo_dir {node.mongo_dir}, but not the archive", "give one another mongo_dir")
        if mongod_config.is_dangerous(folder):
            yield Problem(
                path=f"{node.path}.config_file.storage.dbPath",
                message=f"{folder} is no folder for data alone, and clean_db_dir would empty it: name one below it",
            )


def _clash(node: NodePlan, first: NodePlan, shared: str, remedy: str) -> Problem:
    return Problem(path=node.path, message=f"shares host {node.address} and {shared} with {first.path}: {remedy}")


def _wrong_sets(clusters: Sequence[ClusterPlan]) -> Iterator[Problem]:
    names = Counter(cluster.name for cluster in clusters)
    for cluster in clusters:
        if names[cluster.name] > 1:
            yield Problem(
                path=cluster.path, message=f"several clusters are called {cluster.name}: give each its own id"
            )
        members = [node.member for node in cluster.nodes if node.member is not None]
        voting = [member for member in members if member.get("votes", 1)]
        if len(members) > MAX_MEMBERS or len(voting) > MAX_VOTING_MEMBERS:
            yield Problem(
                path=f"{cluster.path}.mongod",
                message=f"{len(members)} members, {len(voting)} of them voting: MongoDB allows {MAX_MEMBERS} and "
                f"{MAX_VOTING_MEMBERS}; give the others rs_conf_member: {{votes: 0, priority: 0}}",
            )
        if members and not any(can_be_primary(member) for member in members):
            yield Problem(
                path=f"{cluster.path}.mongod", message="no member can be primary: give one a priority above 0"
            )


def _passed_over(setup: models.MongodbSetup, nodes: Sequence[NodePlan]) -> Iterator[Problem]:
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
    if setup.journal_dir or any(node.model.journal_dir for node in nodes):
        message = "is not supported yet: the journal stays in the data folder"
        yield Problem(path="mongodb_setup.journal_dir", message=message, warning=True)


def _wrong_security(setup: models.MongodbSetup, nodes: Sequence[NodePlan]) -> Iterator[Problem]:
    enabled = setup.authentication.enabled
    if enabled and not setup.authentication.username:
        yield Problem(path="mongodb_setup.authentication.username", message="enabled: true needs a username")
    for node in nodes:
        for option, value in mongod_config.own_security(node.model.config_file):
            path = f"{node.path}.config_file.{option}"
            if not enabled:
                yield Problem(
                    path=path,
                    message="dsi would not get in: leave it out, and write mongodb_setup: "
                    "{authentication: {enabled: true}}, which has it set on every node",
                )
            elif value == "x509":
                yield Problem(
                    path=path, message="x509 is not supported: sendX509 also takes the key file, dsi's way in"
                )
            elif option == "security.keyFile":
                yield Problem(
                    path=path, message=f"dsi makes a key file of its own; {value} is passed over", warning=True
                )


def can_be_primary(member: Mapping[str, Any]) -> bool:
    """Whether a member of a replica set's configuration can be elected."""
    return not member.get("arbiterOnly") and float(member.get("priority", 1)) > 0


def favourites(members: Sequence[Mapping[str, Any]]) -> set[int]:
    """Give the positions of the members with the highest priority: one of them ends up as primary, by itself even."""
    priorities = [float(member.get("priority", 1)) if can_be_primary(member) else 0.0 for member in members]
    return {position for position, priority in enumerate(priorities) if priority == max(priorities) and priority > 0}
