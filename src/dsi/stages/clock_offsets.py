"""How far the hosts' clocks are from ours, so that their logs can be lined up with the timeline."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from dsi.clock import SYSTEM, Clock
from dsi.errors import DsiError
from dsi.hosts.base import Host
from dsi.inventory import Inventory
from dsi.model import ROLES
from dsi.timeline import Timeline

log = structlog.get_logger()

ROUNDS: Final = 5
"""The fastest of so many round trips says most: what it took beyond the way there and back is the error."""

LIMIT_S: Final = 10.0
"""A host that doesn't answer keeps the task waiting no longer."""

_TELL_TIME: Final = 'echo "${EPOCHREALTIME:-$(date +%s.%N)}"'
"""Before bash 5.0 there is no EPOCHREALTIME."""


async def note_clock_offsets(inventory: Inventory, timeline: Timeline, clock: Clock = SYSTEM) -> None:
    """Write each host's `clock_offset` into the timeline. A host that can't be asked has none, with a warning."""

    async def note(hosts: Sequence[Host]) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                offset_s, uncertainty_s = await clock_offset(hosts[0], clock)
        except (DsiError, TimeoutError, ValueError) as problem:
            log.warning("the clock of a host could not be read", host=hosts[0].name, reason=str(problem) or "no answer")
            return
        for host in hosts:
            timeline.add(
                "clock_offset", host=host.name, offset_s=round(offset_s, 6), uncertainty_s=round(uncertainty_s, 6)
            )

    async with asyncio.TaskGroup() as tasks:
        for hosts in inventory.by_machine(inventory.of_roles(ROLES)):
            tasks.create_task(note(hosts))


async def clock_offset(host: Host, clock: Clock = SYSTEM) -> tuple[float, float]:
    """Give by how many seconds a host's clock is ahead of ours, and how far off that may be.

    Raises:
        DsiError: it couldn't be asked. ValueError: it answered something else.
    """
    best = (0.0, float("inf"))
    for _ in range(ROUNDS):
        asked_s = clock.monotonic_s()
        before_s = clock.wall_s()
        told_s = float((await host.run(_TELL_TIME)).stdout.replace(",", "."))  # as the locale has it
        half_s = (clock.monotonic_s() - asked_s) / 2
        best = min(best, (told_s - (before_s + half_s), half_s), key=lambda found: found[1])
    return best
