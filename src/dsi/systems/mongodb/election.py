"""Having a member of a replica set elected, at once: it is asked to stand (`replSetStepUp`)."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from pymongo.errors import PyMongoError

from dsi.clock import SYSTEM
from dsi.systems.mongodb.members import Members
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.waiting import Patience

log = structlog.get_logger()

_CATCH_UP_S = 2.0
"""How long one that was elected may take no writes, until another is asked."""


async def elect_one(candidates: Sequence[Node]) -> bool:
    """Ask one after another, until one is elected; give whether one was."""
    for node in candidates:
        if await _step_up(node):
            return True
    return False


async def _step_up(node: Node) -> bool:
    try:
        await node.ask("replSetStepUp")
    except PyMongoError as refusal:
        log.debug("not elected", node=node.name, reason=str(refusal))
        return False
    return True


async def hand_over(
    leaving: int, candidates: Sequence[Node], present: Callable[[], Awaitable[Members]], *, within_s: float
) -> float | None:
    """Have one of these elected instead of the member `leaving`, which is primary, and return when it takes writes.

    `present` asks the members what they are. Gives for how long writes were refused, in seconds; None: nobody was
    elected within that time.
    """
    patience = Patience(within_s)
    asked_s = SYSTEM.monotonic_s()
    while True:
        primaries = (await present()).those("PRIMARY")
        if primaries and leaving not in primaries:
            return SYSTEM.monotonic_s() - asked_s
        now_s = SYSTEM.monotonic_s()
        # Who is elected catches up first, and takes no writes until then: nobody else should be elected meanwhile.
        if leaving in primaries or now_s - asked_s > _CATCH_UP_S:
            asked_s = now_s
            await elect_one(candidates)
        if not await patience.lasts():
            return None
