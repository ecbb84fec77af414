"""Values that are put together for the reader.

A host that was listed without a `private_ip` has its `public_ip` as that. What the topology says of one node or replica
set is laid over what `mongodb_setup` says of all of them, so that `config_file` and `rs_conf` are always whole.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dsi.config.nodes import Layered, MappingNode, Node, Path, Scalar

TOPOLOGY: Final = ("mongodb_setup", "topology")
HOSTS: Final = ("infrastructure_provisioning", "out")
PLACES: Final = (TOPOLOGY, HOSTS)
"""Below these something is put together."""

_NODE_KINDS: Final = ("mongod", "mongos", "configsvr")


def complete(node: MappingNode, at: Path, text_of: Callable[[Node], str | None]) -> MappingNode:
    """Add what is put together at this path, if anything is.

    Args:
        node: what the files say there.
        at: the path it was read at.
        text_of: gives the text that a node stands for; None if it is no text.
    """
    if len(at) < 3 or not at[-1].isdigit():
        return node
    if at[:2] == HOSTS:
        return _with_private_ip(node) if len(at) == 4 else node
    if at[-2] in _NODE_KINDS:
        return _laid_over(node, "config_file", f"{at[-2]}_config_file")
    if at[-2] not in ("topology", "shard"):
        return node
    written = node.entries.get("cluster_type")
    cluster_type = text_of(written) if written is not None else ("replset" if "mongod" in node.entries else None)
    if cluster_type == "standalone":
        return _laid_over(node, "config_file", "mongod_config_file")
    return _laid_over(node, "rs_conf", "rs_conf") if cluster_type == "replset" else node


def _with_private_ip(node: MappingNode) -> MappingNode:
    public = node.entries.get("public_ip")
    private = node.entries.get("private_ip")
    missing = private is None or (isinstance(private, Scalar) and private.value is None)
    return replace(node, entries=node.entries | {"private_ip": public}) if missing and public is not None else node


def _laid_over(node: MappingNode, key: str, general: str) -> MappingNode:
    under = Scalar(f"${{mongodb_setup.{general}}}")
    own = node.entries.get(key)
    empty = own is None or (isinstance(own, Scalar) and own.value is None)
    entry = under if own is None or empty else Layered(own, under)
    return replace(node, entries=node.entries | {key: entry})
