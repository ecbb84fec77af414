"""What the user wants of each node and cluster, in order; made by `topology`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dsi.config import models
from dsi.model import Role
from dsi.systems.mongodb import mongod_config
from dsi.systems.mongodb.options import at


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One server process as the user wants it.

    `name` is its `id`, or `CLUSTER.INDEX` where it has none. `address` is where the hosts find each other.
    `model` is what the user wrote, `path` where. `sharding` is what its configuration must say of
    the sharded cluster that it is part of.
    """

    name: str
    id: str | None
    role: Role
    model: models.Node
    path: str
    mongo_dir: str
    archive: str | None
    journal_dir: str | None = None
    replica_set: str | None = None
    member: Mapping[str, Any] | None = None
    sharding: Mapping[str, str] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """The program that it runs."""
        return "mongos" if self.role == "mongos" else "mongod"

    @property
    def db_path(self) -> str | None:
        """`storage.dbPath` of its configuration; None for a mongos, which has no data."""
        return None if self.role == "mongos" else mongod_config.db_path_of(self.model.config_file)

    @property
    def log_path(self) -> str | None:
        """`systemLog.path` of its configuration; None where it logs to syslog."""
        if at(self.model.config_file, "systemLog.destination") == "syslog":
            return None
        return mongod_config.log_path_of(self.model.config_file, role=self.role)

    @property
    def address(self) -> str:
        """`private_ip`; `public_ip` stands for it where that is missing."""
        return self.model.private_ip or self.model.public_ip

    @property
    def port(self) -> int:
        """`net.port` of its configuration."""
        return mongod_config.port_of(self.model.config_file)

    @property
    def joins_later(self) -> bool:
        """Whether it is a standalone with a `replSetName`: an empty member, which a test adds to its set."""
        name = at(self.model.config_file, "replication.replSetName")
        return self.role == "mongod" and self.replica_set is None and bool(name)

    @property
    def label(self) -> str:
        """What it is called in errors: `primary (10.0.0.11:27017)`."""
        return f"{self.name} ({self.address}:{self.port})"

    @property
    def machine(self) -> tuple[str, str]:
        """Nodes with the same machine share a host: as `Inventory.at` has it, which knows a host by both addresses.

        Not by `public_ip` alone: machines behind one address (NAT) have it all.
        """
        return (self.model.public_ip, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """One entry of the topology, or a replica set that is part of one.

    `replica_set` is the set's name, None for what is no set. A sharded cluster has `config_set`, `shards` and `routers`
    (its mongos); `nodes` are those of all of them.
    """

    name: str
    id: str | None
    path: str
    nodes: tuple[NodePlan, ...]
    replica_set: str | None = None
    rs_conf: Mapping[str, Any] | None = None
    config_set: "ClusterPlan | None" = None
    shards: "tuple[ClusterPlan, ...]" = ()
    routers: tuple[NodePlan, ...] = ()
    disable_balancer: bool = False

    @property
    def is_sharded(self) -> bool:
        """Whether it is a sharded cluster."""
        return self.config_set is not None

    @property
    def entrances(self) -> tuple[NodePlan, ...]:
        """The nodes that clients connect to."""
        return self.routers or self.nodes

    @property
    def sets(self) -> "tuple[ClusterPlan, ...]":
        """The replica sets (or the standalone) that hold its data: itself, or its shards."""
        return self.shards if self.is_sharded else (self,)
