"""Waiting for what a server says, not for time to pass."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from dsi.clock import SYSTEM
from dsi.errors import DsiError, raise_together

_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.025
"""Restarting a replica set takes two seconds: asking more often gains nothing, and fills the servers' logs."""

Answer = TypeVar("Answer")


class Patience:
    """How long something is asked again: after milliseconds first, and for the last time once `within_s` are over."""

    def __init__(self, within_s: float) -> None:
        self._began_s = SYSTEM.monotonic_s()
        self._within_s = within_s
        self._pause_s = _FIRST_PAUSE_S

    @property
    def waited_s(self) -> float:
        """For how long it was asked until now."""
        return SYSTEM.monotonic_s() - self._began_s

    async def lasts(self) -> bool:
        """Wait a moment, and give True: ask again; or False at once: the time is over."""
        if self.waited_s >= self._within_s:
            return False
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 1.5, _LONGEST_PAUSE_S)
        return True


async def until(is_so: Callable[[], Awaitable[bool]], *, within_s: float) -> bool:
    """Ask until the answer is yes, after milliseconds again; give the last answer, at the latest after `within_s`."""
    patience = Patience(within_s)
    while not await is_so():
        if not await patience.lasts():
            return False
    return True


async def side_by_side(actions: Iterable[Awaitable[Answer]]) -> list[Answer]:
    """Do all of this at once, and give the answers in order. One that fails stops none of the others.

    Raises:
        DsiError: what failed; for several, one error that says them all.
    """
    answers, failed = await _all(actions)
    raise_together(failed)
    return answers


async def failures(actions: Iterable[Awaitable[object]]) -> list[DsiError]:
    """Do all of this at once, and give what failed, for who goes on nevertheless."""
    return (await _all(actions))[1]


async def _all(actions: Iterable[Awaitable[Answer]]) -> tuple[list[Answer], list[DsiError]]:
    results = await asyncio.gather(*actions, return_exceptions=True)
    for bug in (one for one in results if isinstance(one, BaseException) and not isinstance(one, DsiError)):
        raise bug
    answers = [one for one in results if not isinstance(one, BaseException)]
    return answers, [one for one in results if isinstance(one, DsiError)]
