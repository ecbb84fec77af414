"""`mongodb_setup.topology`, put in order: which nodes there are, and what they are called.

Pure: it looks at what the user wrote and touches no host.
"""

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dsi.config import models
from dsi.errors import ConfigError
from dsi.model import Role
from dsi.systems.mongodb import mongod_config
from dsi.systems.mongodb.contradictions import problems
from dsi.systems.mongodb.plan import ClusterPlan, NodePlan

CONFIG_SET = "configSvrRS"
"""What the original calls the replica set of the config servers."""

_FAVOURED = {"priority": 2}
"""What the first member of a replica set has, unless its `rs_conf_member` says otherwise: runs are alike when the same
member is primary in all of them."""


class Topology:
    """All clusters, and what their ids stand for."""

    def __init__(self, setup: models.MongodbSetup) -> None:
        self.clusters = tuple(_clusters(setup))
        self.nodes = tuple(node for cluster in self.clusters for node in cluster.nodes)
        self.problems = tuple(problems(setup, self.clusters))

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
            for part in (cluster, *cluster.shards):
                called = part.id or part.replica_set
                if called:
                    found[called] = part.nodes
            found |= {node.id: (node,) for node in cluster.nodes if node.id}
        return found

    def replica_sets(self) -> list[str]:
        """Give the ids of the replica sets, shards among them: their members have roles."""
        parts = [part for cluster in self.clusters for part in (cluster, *cluster.shards)]
        return [part.id or part.name for part in parts if part.replica_set]


def _clusters(setup: models.MongodbSetup) -> Iterator[ClusterPlan]:
    unnamed = (f"rs{number}" for number in itertools.count())
    for index, cluster in enumerate(setup.topology):
        path = f"mongodb_setup.topology.{index}"
        if isinstance(cluster, models.Standalone):
            name = cluster.id or f"standalone.{index}"
            node = _node(setup, cluster, name=name, path=path)
            yield ClusterPlan(name=name, id=cluster.id, path=path, nodes=(node,))
        elif isinstance(cluster, models.ReplicaSet):
            yield _replica_set(setup, cluster, cluster.id or next(unnamed), path)
        else:
            yield _sharded_cluster(setup, cluster, cluster.id or f"sharded.{index}", path, unnamed)


def _replica_set(
    setup: models.MongodbSetup,
    cluster: models.ReplicaSet,
    name: str,
    path: str,
    sharding: Mapping[str, str] = MappingProxyType({}),
) -> ClusterPlan:
    nodes = tuple(
        _node(
            setup,
            node,
            name=node.id or f"{name}.{index}",
            path=f"{path}.mongod.{index}",
            replica_set=name,
            member=_member(node, index),
            sharding=sharding,
        )
        for index, node in enumerate(cluster.mongod)
    )
    return ClusterPlan(name=name, id=cluster.id, path=path, nodes=nodes, replica_set=name, rs_conf=cluster.rs_conf)


def _sharded_cluster(
    setup: models.MongodbSetup, cluster: models.ShardedCluster, name: str, path: str, unnamed: Iterator[str]
) -> ClusterPlan:
    config_set = _config_set(setup, cluster, name, path)
    shards = tuple(
        _replica_set(setup, shard, shard.id or next(unnamed), f"{path}.shard.{index}", {"clusterRole": "shardsvr"})
        for index, shard in enumerate(cluster.shard)
    )
    config_db = f"{CONFIG_SET}/{','.join(f'{node.address}:{node.port}' for node in config_set.nodes)}"
    routers = tuple(
        _node(
            setup,
            node,
            role="mongos",
            name=node.id or f"{name}.mongos.{index}",
            path=f"{path}.mongos.{index}",
            sharding={"configDB": config_db},
        )
        for index, node in enumerate(cluster.mongos)
    )
    return ClusterPlan(
        name=name,
        id=cluster.id,
        path=path,
        nodes=(*config_set.nodes, *(node for shard in shards for node in shard.nodes), *routers),
        config_set=config_set,
        shards=shards,
        routers=routers,
        disable_balancer=cluster.disable_balancer,
    )


def _config_set(setup: models.MongodbSetup, cluster: models.ShardedCluster, name: str, path: str) -> ClusterPlan:
    nodes = tuple(
        _node(
            setup,
            node,
            role="configsvr",
            name=node.id or f"{name}.configsvr.{index}",
            path=f"{path}.configsvr.{index}",
            replica_set=CONFIG_SET,
            member=_member(node, index),
            sharding={"clusterRole": "configsvr"},
        )
        for index, node in enumerate(cluster.configsvr)
    )
    rs_conf = {**setup.rs_conf, "configsvr": True}
    return ClusterPlan(
        name=f"{name}.configsvr", id=None, path=path, nodes=nodes, replica_set=CONFIG_SET, rs_conf=rs_conf
    )


def _node(
    setup: models.MongodbSetup,
    node: models.Node,
    *,
    name: str,
    path: str,
    role: Role = "mongod",
    replica_set: str | None = None,
    member: Mapping[str, Any] | None = None,
    sharding: Mapping[str, str] = MappingProxyType({}),
) -> NodePlan:
    # As in the original, the general one is for what holds the data alone.
    journal_dir = node.journal_dir or (setup.journal_dir if role == "mongod" else None)
    return NodePlan(
        name=name,
        id=node.id,
        role=role,
        model=node,
        path=path,
        mongo_dir=node.mongo_dir or setup.mongo_dir,
        archive=node.mongodb_binary_archive or setup.mongodb_binary_archive or None,
        journal_dir=journal_dir if node.use_journal_mnt and role != "mongos" else None,
        replica_set=replica_set,
        member=member,
        sharding=sharding,
    )


def _member(node: models.Node, index: int) -> dict[str, Any]:
    """Put together an entry of `members` of the replica set's configuration."""
    address = node.private_ip or node.public_ip
    given = node.rs_conf_member
    favoured = _FAVOURED if index == 0 and not given.get("arbiterOnly") else {}
    host = f"{address}:{mongod_config.port_of(node.config_file)}"
    return {"_id": index, "host": host, **favoured, **given}
