"""Commands that run while the test's own `cmd` does."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from dsi.commands import Context, disturbs
from dsi.errors import DsiError
from dsi.model import Result
from dsi.runner.findings import Findings
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
    findings: Findings,
    *,
    since_s: float = 0.0,
    begun: int = 0,
    on_begin: Callable[[int], None] = _unheard,
) -> Result:
    """Run `cmd`, and beside it each command when it is due; what is not yet due when `cmd` ends is not run.

    `findings` hears of a command that failed or was not run, and the others run. Failures of `cmd` itself pass through.
    Where another dsi has begun all this, `since_s` ago, `begun` is how many commands it has begun; those that were due
    while nobody was there are noted, and not run. `on_begin` hears how many were begun before each one begins.
    """
    plan = _Beside(by_time(commands)[begun:], context, findings, since_s, on_begin)
    beside = asyncio.create_task(plan.run(begun))
    try:
        return await cmd
    except asyncio.CancelledError:
        findings.cancel(None)  # first: what fails beside it from now on can come from that
        raise
    finally:
        await plan.end(beside)


class _Beside:
    """The commands that run beside `cmd`, one after another."""

    def __init__(
        self,
        commands: Sequence[tuple[int, HookCommand]],
        context: Context,
        findings: Findings,
        since_s: float,
        on_begin: Callable[[int], None],
    ) -> None:
        self._waiting = deque(commands)
        self._running: HookCommand | None = None
        self._context = context
        self._findings = findings
        self._since_s = since_s
        self._on_begin = on_begin
        self._begun_s = context.clock.monotonic_s() - since_s
        self._cmd_has_ended = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, begun: int) -> None:
        while self._waiting:
            begun += 1
            at_s, command = self._waiting[0]
            if at_s < self._since_s:
                self._waiting.popleft()
                self._not_run(at_s, command, f"was due at {at_s} s, without dsi, and was not run")
                continue
            await self._context.clock.sleep(max(0.0, at_s - self._elapsed_s()))
            if self._cmd_has_ended:
                return
            self._waiting.popleft()
            self._on_begin(begun)
            self._idle.clear()
            self._running = command
            try:
                await self._run_one(at_s, round(self._elapsed_s() - at_s, 3), command)
            finally:
                self._idle.set()

    async def end(self, task: "asyncio.Task[None]") -> None:
        """Let the running command end, but not for ever; start no other."""
        self._cmd_has_ended, ended_s = True, self._elapsed_s()
        try:
            async with asyncio.timeout(GRACE_S):
                await self._idle.wait()
        except TimeoutError:
            assert self._running is not None, "what isn't idle runs a command"
            self._failed(self._running, f"still ran {GRACE_S:g} s after cmd had ended, and was ended")
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()  # a bug of ours in there must not pass unseen
        for at_s, command in self._waiting:
            if at_s < ended_s:
                self._not_run(at_s, command, f"was due at {at_s} s, but another still ran when cmd ended")
            else:
                self._not_run(at_s, command, f"cmd had ended when it was due, at {at_s} s, and it was not run")

    def _elapsed_s(self) -> float:
        return self._context.clock.monotonic_s() - self._begun_s

    async def _run_one(self, at_s: int, late_s: float, command: HookCommand) -> None:
        try:
            with self._context.timeline.span(
                "during_test_command", path=command.path, command=command.raw, at_s=at_s, late_s=late_s
            ):
                await command.command.run(self._context)
        except DsiError as problem:
            log.error("a command of during_test failed", path=command.path, error=str(problem))
            self._failed(command, str(problem))

    def _failed(self, command: HookCommand, why: str) -> None:
        reason = f"during_test ({command.path}): {why}"
        if disturbs(command.raw):
            self._findings.add("invalid", reason)
        else:
            self._findings.note(reason)

    def _not_run(self, at_s: int, command: HookCommand, why: str) -> None:
        log.warning("a command of during_test was not run", path=command.path, why=why)
        self._context.timeline.add("during_test_not_run", path=command.path, command=command.raw, at_s=at_s, why=why)
        reason = f"during_test ({command.path}): {why}"
        if disturbs(command.raw):
            self._findings.add_not_tried(reason)
        else:
            self._findings.note(reason)
