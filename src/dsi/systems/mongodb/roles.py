"""What each node is at this moment, for who can't wait long."""

import asyncio
from collections.abc import Sequence

from dsi.systems.mongodb.node import MemberState, Node, state_of

_LIMIT_S = 0.5
"""A node answers in milliseconds; one that is stopped, or comes up, keeps nobody waiting. The first answer over a slow
link (100 ms and more there and back) may come too late: the connection is there for the next one."""


async def present_roles(nodes: Sequence[Node]) -> dict[str, MemberState]:
    """Ask all nodes at once what they are, by their names; one that doesn't answer at once is `down`."""
    hellos = await asyncio.gather(*(node.hello(within_s=_LIMIT_S) for node in nodes))
    return {node.name: state_of(hello) for node, hello in zip(nodes, hellos, strict=True)}
