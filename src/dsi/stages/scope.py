"""What commands may refer to at each place of the configuration."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dsi import config
from dsi.commands import Scope
from dsi.config import Tree
from dsi.provisioning import counts

_BEFORE_THE_CLUSTERS = ("infrastructure_provisioning.", "workload_setup.", "mongodb_setup.pre_cluster_start")


def scope_of(tree: Tree) -> Scope:
    """Give what commands may refer to once the clusters are up."""
    return Scope(
        ids=frozenset(ids_in(tree.get_lenient("mongodb_setup.topology"))),
        counts=counts(config.provisioning(tree, lenient=True)),
        has_atlas=tree.has("mongodb_setup.atlas") and bool(tree.get_lenient("mongodb_setup.atlas")),
    )


def at(path: str, scope: Scope) -> Scope:
    """Give what a command may refer to that stands at a path."""
    return replace(scope, has_clusters=not path.startswith(_BEFORE_THE_CLUSTERS))


def ids_in(topology: Any) -> Iterator[str]:
    """Give every id of a topology; replica sets that have none are called `rs0`, `rs1` … in order."""
    unnamed = 0
    for cluster in topology if isinstance(topology, list) else ():
        if not isinstance(cluster, dict):
            continue
        if cluster.get("cluster_type") == "replset" and not cluster.get("id"):
            yield f"rs{unnamed}"
            unnamed += 1
        yield from _ids_below(cluster)


def _ids_below(item: dict[str, Any]) -> Iterator[str]:
    if isinstance(item.get("id"), str):
        yield item["id"]
    for part in ("mongod", "mongos", "configsvr", "shard"):
        members = item.get(part)
        for member in members if isinstance(members, list) else ():
            if isinstance(member, dict):
                yield from _ids_below(member)
