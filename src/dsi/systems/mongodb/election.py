"""Having a member of a replica set elected, at once: it is asked to stand (`replSetStepUp`).

Nobody votes for one who has less. So while there is much to write all who are asked may be refused: the primary
is ahead of them, or they of each other. Then it is told to wait for them, and to step down (`replSetStepDown`).
"""

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

_REFUSED_S = 5.0
"""How long all may be refused until the primary is told to wait for them. That costs its clients more time."""

_WAIT_S = 10
"""For how long it takes no writes then, until one of them has what it has, in seconds. Drivers wait for 30 s."""

_ASIDE_S = 60
"""For how long it stands for no election then, in seconds, or until it is restarted."""


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


async def _step_down(primary: Node) -> None:
    log.info("nobody else has what the primary has: it waits for them, and steps down", node=primary.name)
    try:
        await primary.ask_at_length("replSetStepDown", _ASIDE_S, secondaryCatchUpPeriodSecs=_WAIT_S)
    except PyMongoError as refusal:
        log.debug("it did not step down", node=primary.name, reason=str(refusal))


async def hand_over(
    nodes: Sequence[Node], leaving: int, present: Callable[[], Awaitable[Members]], *, within_s: float
) -> float | None:
    """Have a successor elected for the node with this number, which is primary, and return when it takes writes.

    `present` asks the nodes what they are. Gives for how long writes were refused, in seconds; None: nobody was
    elected within that time.
    """
    patience = Patience(within_s)
    begun_s = asked_s = SYSTEM.monotonic_s()
    while True:
        members = await present()
        primaries = members.those("PRIMARY")
        if primaries and leaving not in primaries:
            return SYSTEM.monotonic_s() - asked_s
        now_s = SYSTEM.monotonic_s()
        # Who is elected catches up first, and takes no writes until then: nobody else should be elected meanwhile.
        if leaving in primaries or now_s - asked_s > _CATCH_UP_S:
            asked_s = now_s
            elected = await elect_one([nodes[position] for position in members.successors()])
            if not elected and leaving in primaries and now_s - begun_s > _REFUSED_S:
                await _step_down(nodes[leaving])
        if not await patience.lasts():
            return None
