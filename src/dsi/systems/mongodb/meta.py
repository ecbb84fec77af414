"""`mongodb_setup.meta`: the table of what clients need to know of the clusters. Pure."""

from typing import Any

from dsi.config import models
from dsi.systems.mongodb.plan import ClusterPlan, NodePlan
from dsi.systems.mongodb.topology import Topology, favourites

DEFAULT_ENGINE = "wiredTiger"


def meta(setup: models.MongodbSetup) -> dict[str, Any]:
    """Work out what a file may leave out of `mongodb_setup.meta`; what it says there wins, which is the caller's part.

    Where there are several clusters, the first is the one that `mongodb_url`, `hosts`, `hostname` and `port` speak of
    (of its mongos, where it is sharded);
    `primaries` and `secondaries` speak of all. Addresses are `private_ip`s. A topology that can't be brought up
    has a table too: whether it can be is another question.

    - `mongodb_url_base`: `mongodb://HOST:PORT,…`, to which a database and options can be added;
      `mongodb_url`: the same, whole: `mongodb://HOST:PORT,…/?replicaSet=rs0`
    - `hosts`: `HOST:PORT,…`; `hostname`, `port`: of the first node
    - `is_sharded`, `is_replset`
    - `primaries`: `HOST:PORT` of the node of each cluster (of a sharded one: of each shard) that is primary unless
      something happens; `secondaries`: of the others
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
    return {
        "mongodb_url": url(first),
        "mongodb_url_base": f"mongodb://{hosts}",
        "hosts": hosts,
        "hostname": entrance.address,
        "port": entrance.port,
        "is_sharded": first.is_sharded,
        "is_replset": first.replica_set is not None,
        "primaries": [_place(_primary(each)) for each in sets],
        "secondaries": [_place(node) for each in sets for node in each.nodes if node is not _primary(each)],
        "storageEngine": (data.model.config_file.get("storage") or {}).get("engine", DEFAULT_ENGINE),
        "net": dict(entrance.model.config_file.get("net") or {}),
    }


def url(cluster: ClusterPlan) -> str:
    """Give the connection string of a cluster."""
    options = f"?replicaSet={cluster.replica_set}" if cluster.replica_set else ""
    return f"mongodb://{','.join(_place(node) for node in cluster.entrances)}/{options}"


def node_url(node: NodePlan) -> str:
    """Give the connection string of one node, whatever its role is."""
    return f"mongodb://{_place(node)}/?directConnection=true"


def _primary(cluster: ClusterPlan) -> NodePlan:
    members = [node.member or {} for node in cluster.nodes]
    return cluster.nodes[min(favourites(members), default=0)]


def _place(node: NodePlan) -> str:
    return f"{node.address}:{node.port}"
