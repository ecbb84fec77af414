"""What commands may refer to at each place of the configuration."""

from dataclasses import replace
from functools import lru_cache

from dsi import config
from dsi.commands import Scope
from dsi.config import Tree
from dsi.provisioning import counts
from dsi.systems import mongodb

_BEFORE_THE_CLUSTERS = ("infrastructure_provisioning.", "workload_setup.", "mongodb_setup.pre_cluster_start")


@lru_cache(maxsize=1)
def scope_of(tree: Tree) -> Scope:
    """Give what commands may refer to once the clusters are up. A tree never changes, and each hook asks again."""
    topology = mongodb.Topology(config.mongodb_setup(tree, lenient=True))
    return Scope(
        ids=frozenset(topology.ids()),
        replica_sets=frozenset(topology.replica_sets()),
        counts=counts(config.provisioning(tree, lenient=True)),
        has_atlas=tree.has("mongodb_setup.atlas") and bool(tree.get_lenient("mongodb_setup.atlas")),
    )


def at(path: str, scope: Scope) -> Scope:
    """Give what a command may refer to that stands at a path."""
    return replace(scope, has_clusters=not path.startswith(_BEFORE_THE_CLUSTERS))
