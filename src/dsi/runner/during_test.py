"""Commands that run while the test's own `cmd` does."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from dsi.commands import Context
from dsi.errors import DsiError
from dsi.model import Result
from dsi.runner.plan import HookCommand
from dsi.schedule import by_time

log = structlog.get_logger()


GRACE_S = 10.0
"""How long a command that is running when `cmd` ends may go on: a restart cut short leaves a cluster that is down."""


def _unheard(_begun: int) -> None:
    """Let it pass."""


async def run_during_test(
    cmd: Coroutine[Any, Any, Result],
    commands: Sequence[tuple[int, HookCommand]],
    context: Context,
    notes: list[str],
    *,
    since_s: float = 0.0,
    begun: int = 0,
    on_begin: Callable[[int], None] = _unheard,
) -> Result:
    """Run `cmd`, and beside it each command when it is due; what is not yet due when `cmd` ends is not run.

    A command that fails is noted in `notes`, and the others run. Failures of `cmd` itself pass through.
    Where another dsi has begun all this, `since_s` ago, `begun` is how many commands it has begun; those that were due
    while nobody was there are noted, and not run. `on_begin` hears how many were begun before each one begins.
    """
    plan = _Beside(context, notes, since_s, on_begin)
    beside = asyncio.create_task(plan.run(by_time(commands)[begun:], begun))
    try:
        return await cmd
    finally:
        await plan.end(beside)


class _Beside:
    """The commands that run beside `cmd`, one after another."""

    def __init__(self, context: Context, notes: list[str], since_s: float, on_begin: Callable[[int], None]) -> None:
        self._context = context
        self._notes = notes
        self._since_s = since_s
        self._on_begin = on_begin
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, commands: Sequence[tuple[int, HookCommand]], begun: int) -> None:
        clock = self._context.clock
        begun_s = clock.monotonic_s() - self._since_s
        for number, (at_s, command) in enumerate(commands, start=begun + 1):
            if at_s < self._since_s:
                self._notes.append(f"during_test ({command.path}): was due at {at_s} s, without dsi, and was not run")
                continue
            await clock.sleep(max(0.0, begun_s + at_s - clock.monotonic_s()))
            self._on_begin(number)
            self._idle.clear()
            try:
                await self._run_one(at_s, round(clock.monotonic_s() - begun_s - at_s, 3), command)
            finally:
                self._idle.set()

    async def end(self, task: "asyncio.Task[None]") -> None:
        """Let the running command end, but not for ever; start no other."""
        try:
            async with asyncio.timeout(GRACE_S):
                await self._idle.wait()
        except TimeoutError:
            self._notes.append(f"during_test: a command still ran {GRACE_S:g} s after cmd had ended, and was ended")
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()  # a bug of ours in there must not pass unseen

    async def _run_one(self, at_s: int, late_s: float, command: HookCommand) -> None:
        try:
            with self._context.timeline.span(
                "during_test_command", path=command.path, command=command.raw, at_s=at_s, late_s=late_s
            ):
                await command.command.run(self._context)
        except DsiError as problem:
            log.error("a command of during_test failed", path=command.path, error=str(problem))
            self._notes.append(f"during_test ({command.path}): {problem}")
