"""`mongodb_setup.meta`: the table of what clients need to know of the clusters. Pure."""

import urllib.parse
from collections.abc import Sequence
from typing import Any

from dsi.config import models
from dsi.systems.mongodb.credentials import User
from dsi.systems.mongodb.members import favourites
from dsi.systems.mongodb.plan import ClusterPlan, NodePlan
from dsi.systems.mongodb.tls import client_tls
from dsi.systems.mongodb.topology import Topology

DEFAULT_ENGINE = "wiredTiger"


def meta(setup: models.MongodbSetup, user: User | None = None) -> dict[str, Any]:
    """Work out what a file may leave out of `mongodb_setup.meta`; what it says there wins, which is the caller's part.

    Where there are several clusters, the first is the one that `mongodb_url`, `hosts`, `hostname` and `port` speak of
    (of its mongos, where it is sharded);
    `primaries` and `secondaries` speak of all. Addresses are `private_ip`s. A topology that can't be brought up
    has a table too: whether it can be is another question. `user` is who clients are, None where anybody may do
    everything: the connection strings have name and password, percent-encoded.

    - `mongodb_url_base`: `mongodb://USER:PASSWORD@HOST:PORT,…/admin`, to which `?` and options can be added;
      `mongodb_url`: the same, whole: `mongodb://USER:PASSWORD@HOST:PORT,…/?replicaSet=rs0&authSource=admin`
    - `hosts`: `HOST:PORT,…`; `hostname`, `port`: of the first node
    - `is_sharded`, `is_replset`
    - `primaries`: `HOST:PORT` of the node of each cluster (of a sharded one: of each shard) that is primary unless
      something happens; `secondaries`: of the others
    - `shell_ssl_options`: text, what a mongo shell needs for TLS: `--tls --tlsCAFile …`; empty without TLS
    - `storageEngine`; `net`: the section of the first node's configuration
    """
    topology = Topology(setup)
    if not topology.clusters or not topology.clusters[0].entrances:
        return {}
    first = topology.clusters[0]
    entrance = first.entrances[0]
    hosts = ",".join(_place(node) for node in first.entrances)
    sets = [each for cluster in topology.clusters for each in cluster.sets]
    data = (*(node for each in first.sets for node in each.nodes), entrance)[0]
    tls = client_tls(entrance.model.config_file, setup.client_tls)
    return {
        "mongodb_url": url(first, user, setup.client_tls),
        "mongodb_url_base": f"mongodb://{login(user)}{hosts}/admin",
        "hosts": hosts,
        "hostname": entrance.address,
        "port": entrance.port,
        "is_sharded": first.is_sharded,
        "is_replset": first.replica_set is not None,
        "primaries": [_place(_primary(each)) for each in sets],
        "secondaries": [_place(node) for each in sets for node in each.nodes if node is not _primary(each)],
        "storageEngine": (data.model.config_file.get("storage") or {}).get("engine", DEFAULT_ENGINE),
        "shell_ssl_options": tls.shell_options() if tls else "",
        "net": dict(entrance.model.config_file.get("net") or {}),
    }


def url(cluster: ClusterPlan, user: User | None, own_tls: models.ClientTls) -> str:
    """Give the connection string of a cluster."""
    options = [f"replicaSet={cluster.replica_set}"] if cluster.replica_set else []
    return _url(cluster.entrances, user, own_tls, options)


def node_url(node: NodePlan, user: User | None, own_tls: models.ClientTls) -> str:
    """Give the connection string of one node, whatever its role is."""
    return _url([node], user, own_tls, ["directConnection=true"])


def login(user: User | None) -> str:
    """Give the part of a connection string before the hosts: `USER:PASSWORD@`, percent-encoded; or nothing."""
    if user is None:
        return ""
    return ":".join(urllib.parse.quote(part, safe="") for part in (user.name, user.password)) + "@"


def _url(nodes: Sequence[NodePlan], user: User | None, own_tls: models.ClientTls, options: Sequence[str]) -> str:
    tls = client_tls(nodes[0].model.config_file, own_tls)
    every = [*options, *(["authSource=admin"] if user else []), *(tls.url_options() if tls else [])]
    places = ",".join(_place(node) for node in nodes)
    return f"mongodb://{login(user)}{places}/{'?' if every else ''}{'&'.join(every)}"


def _primary(cluster: ClusterPlan) -> NodePlan:
    members = [node.member or {} for node in cluster.nodes]
    return cluster.nodes[min(favourites(members), default=0)]


def _place(node: NodePlan) -> str:
    return f"{node.address}:{node.port}"
