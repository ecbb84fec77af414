"""How a deployment is put together: each node with its host and the way in, each cluster of its nodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dsi.config import models
from dsi.hosts.base import Host
from dsi.state import State
from dsi.systems.mongodb import credentials, mongod_config
from dsi.systems.mongodb.access import Access
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.layout import Layout
from dsi.systems.mongodb.node import Limits, Node
from dsi.systems.mongodb.plan import ClusterPlan, NodePlan
from dsi.systems.mongodb.replica_set import ReplicaSet
from dsi.systems.mongodb.sharded_cluster import ShardedCluster
from dsi.systems.mongodb.standalone import Standalone
from dsi.systems.mongodb.tls import client_tls, member_tls

HostOf = Callable[[models.Node], Host]
"""Gives a node's host; raises Preflight where there is none."""


class Assembly:
    """Makes nodes and clusters from their plans. `user` is who clients are, None where anybody may do everything.

    Raises:
        Preflight: the user has no name, or no password.
    """

    def __init__(self, setup: models.MongodbSetup, host_of: HostOf, state: State, prefix: Sequence[str]) -> None:
        self._setup = setup
        self.host_of = host_of
        self._folder = state.work_directory
        self._limits = Limits(setup.timeouts, setup.shutdown_options)
        self._prefix = tuple(prefix)
        self._secrets = credentials.make(state) if setup.authentication.enabled else credentials.kept(state)
        self.user = credentials.user(setup.authentication, self._secrets)

    def node(self, plan: NodePlan) -> Node:
        """Make a node.

        Raises:
            Preflight: it has no host.
        """
        host = self.host_of(plan.model)
        shares_machine = host.is_local and plan.address.startswith("127.") and plan.address != "127.0.0.1"
        access = self._access(plan.model.config_file)
        layout = Layout.of(
            plan,
            prefix=self._prefix,
            local_address=plan.address if shares_machine else None,
            has_key=access.key is not None,
        )
        return Node(plan, host, layout, self._limits, access=access)

    def clusters(self, plans: Sequence[ClusterPlan], nodes: Sequence[Node]) -> Iterator[Cluster]:
        """Make the clusters that these nodes are in."""
        by_name = {node.name: node for node in nodes}
        for plan in plans:
            theirs = [by_name[node.name] for node in plan.nodes]
            if plan.is_sharded:
                yield ShardedCluster(plan, theirs)
            else:
                yield ReplicaSet(plan, theirs) if plan.replica_set else Standalone(plan, theirs[0])

    def recorded_access(self, record: Mapping[str, Any]) -> Access:
        """Give how a node is asked that an earlier dsi has started, by what `Access.record` gave then."""
        key = self._secrets.key if self._secrets else None
        return Access.of_record(record, key=key, folder=self._folder)

    def _access(self, config: Mapping[str, Any]) -> Access:
        if self.user and mongod_config.is_x509(config):
            return Access(tls=member_tls(config, self._setup.client_tls), folder=self._folder)
        key = self._secrets.key if self.user and self._secrets else None
        return Access(key=key, tls=client_tls(config, self._setup.client_tls), folder=self._folder)
