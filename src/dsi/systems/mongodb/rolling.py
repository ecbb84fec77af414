"""A rolling restart: one node after another, the cluster whole in between, and the primary last.

The primary does not step down, as long as another member can be stepped up, which then has it for a secondary. A
step-down waits for the others first, and then for one to be elected: 5.1 s instead of 4.3 s for three members.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from dsi.clock import SYSTEM
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.members import MemberState
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.roles import states

log = structlog.get_logger()

_ORDER: dict[MemberState, int] = {"down": -1, "PRIMARY": 1}
"""What doesn't answer can't get worse; the primary goes last."""


async def roll(cluster: Cluster, nodes: Sequence[Node], restart: Callable[[Sequence[Node]], Awaitable[float]]) -> float:
    """Restart nodes of a cluster one after another; give for how long writes were refused, in seconds, all in all.

    Those without a process come first, all at once: one alone may be too few for a primary, which it would wait for.
    `restart` stops and starts nodes, returns when the cluster is whole again, and gives for how long an election that
    this took has refused writes.

    Raises:
        ClusterError: nothing more is restarted then.
    """
    ended = [node for node in nodes if node.process is None]
    refused_s = await restart(ended) if ended else 0.0
    for node in await _primary_last([node for node in nodes if node not in ended]):
        begun_s = SYSTEM.monotonic_s()
        handed_s = await cluster.hand_over(node)
        if handed_s is None:
            log.warning("nobody can take over: writes are refused until it is back", node=node.name)
        elected_s = await restart([node])
        refused_s += SYSTEM.monotonic_s() - begun_s if handed_s is None else handed_s + elected_s
    return refused_s


async def _primary_last(nodes: Sequence[Node]) -> list[Node]:
    order = {node.name: _ORDER.get(state, 0) for node, state in zip(nodes, await states(nodes), strict=True)}
    return sorted(nodes, key=lambda node: order[node.name])
