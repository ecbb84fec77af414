"""`mongodb_setup.meta`: the table of what clients need to know of the clusters. Pure."""

from typing import Any

from dsi.config import models
from dsi.systems.mongodb.topology import ClusterPlan, NodePlan, Topology, favourites

DEFAULT_ENGINE = "wiredTiger"


def meta(setup: models.MongodbSetup) -> dict[str, Any]:
    """Work out what a file may leave out of `mongodb_setup.meta`; what it says there wins, which is the caller's part.

    Where there are several clusters, the first is the one that `mongodb_url`, `hosts`, `hostname` and `port` speak of;
    `primaries` and `secondaries` speak of all. Addresses are `private_ip`s. A topology that can't be brought up
    has a table too: whether it can be is another question.

    - `mongodb_url_base`: `mongodb://HOST:PORT,…`, to which a database and options can be added;
      `mongodb_url`: the same, whole: `mongodb://HOST:PORT,…/?replicaSet=rs0`
    - `hosts`: `HOST:PORT,…`; `hostname`, `port`: of the first node
    - `is_sharded`, `is_replset`
    - `primaries`: `HOST:PORT` of the node of each cluster that is primary unless something happens; `secondaries`: of
      the others
    - `storageEngine`; `net`: the section of the first node's configuration
    """
    topology = Topology(setup)
    if not topology.clusters:
        return {}
    first = topology.clusters[0]
    hosts = ",".join(_place(node) for node in first.nodes)
    config = first.nodes[0].model.config_file
    return {
        "mongodb_url": url(first),
        "mongodb_url_base": f"mongodb://{hosts}",
        "hosts": hosts,
        "hostname": first.nodes[0].address,
        "port": first.nodes[0].port,
        "is_sharded": False,
        "is_replset": first.replica_set is not None,
        "primaries": [_place(_primary(cluster)) for cluster in topology.clusters],
        "secondaries": [
            _place(node) for cluster in topology.clusters for node in cluster.nodes if node is not _primary(cluster)
        ],
        "storageEngine": (config.get("storage") or {}).get("engine", DEFAULT_ENGINE),
        "net": dict(config.get("net") or {}),
    }


def url(cluster: ClusterPlan) -> str:
    """Give the connection string of a cluster."""
    options = f"?replicaSet={cluster.replica_set}" if cluster.replica_set else ""
    return f"mongodb://{','.join(_place(node) for node in cluster.nodes)}/{options}"


def node_url(node: NodePlan) -> str:
    """Give the connection string of one node, whatever its role is."""
    return f"mongodb://{_place(node)}/?directConnection=true"


def _primary(cluster: ClusterPlan) -> NodePlan:
    members = [node.member or {} for node in cluster.nodes]
    return cluster.nodes[min(favourites(members), default=0)]


def _place(node: NodePlan) -> str:
    return f"{node.address}:{node.port}"
