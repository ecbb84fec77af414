"""What each node says that it is at this moment."""

from collections.abc import Sequence

from dsi.systems.mongodb.client import Document
from dsi.systems.mongodb.members import MemberState
from dsi.systems.mongodb.node import HELLO_LIMIT_S, Node
from dsi.systems.mongodb.waiting import side_by_side

_STATES: dict[str, MemberState] = {
    "isWritablePrimary": "PRIMARY",
    "secondary": "SECONDARY",
    "arbiterOnly": "ARBITER",
}

_SOON_S = 0.5
"""A node answers in milliseconds; one that is stopped, or comes up, keeps nobody waiting. The first answer over a slow
link (100 ms and more there and back) may come too late: the connection is there for the next one."""


def state_of(hello: Document | None) -> MemberState:
    """Give what a node says that it is. `NOT READY`: it answers, and is no member of its set (yet)."""
    if hello is None:
        return "down"
    if hello.get("msg") == "isdbgrid":
        return "MONGOS"
    if "setName" not in hello and not hello.get("isreplicaset"):
        return "STANDALONE" if hello.get("isWritablePrimary") else "NOT READY"
    for key, state in _STATES.items():
        if hello.get(key):
            return state
    return "NOT READY"


async def states(nodes: Sequence[Node], *, within_s: float = HELLO_LIMIT_S) -> list[MemberState]:
    """Ask nodes what they are, side by side; one that doesn't answer in that time is `down`."""
    return [state_of(hello) for hello in await side_by_side(node.hello(within_s) for node in nodes)]


def shown(nodes: Sequence[Node], present: Sequence[MemberState]) -> str:
    """Write what nodes are, for people."""
    return ", ".join(f"{node.plan.label} is {state}" for node, state in zip(nodes, present, strict=True))


async def present_roles(nodes: Sequence[Node]) -> dict[str, MemberState]:
    """Give what nodes are, by their names, for who can't wait long; one that doesn't answer at once is `down`."""
    return dict(zip((node.name for node in nodes), await states(nodes, within_s=_SOON_S), strict=True))
