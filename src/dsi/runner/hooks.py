"""Running the commands of a hook."""

import asyncio
from collections.abc import Mapping

import structlog

from dsi.commands import Context
from dsi.errors import DsiError, HookFailed
from dsi.report.progress import Progress
from dsi.runner.interrupt import Interrupt
from dsi.runner.plan import Hook

log = structlog.get_logger()


async def run_hook(name: str, hook: Hook, context: Context, progress: Progress) -> None:
    """Run the commands of a hook in order; the first that fails ends it.

    Raises:
        HookFailed
    """
    for command in hook:
        progress.step(f"{name}: {_only_key(command.raw)}")
        with context.timeline.span("hook_command", hook=name, path=command.path, command=command.raw):
            try:
                await command.command.run(context)
            except DsiError as problem:
                raise HookFailed(name, command.path, problem) from problem


async def run_hook_to_its_end(
    name: str, hook: Hook, context: Context, progress: Progress, interrupt: Interrupt
) -> list[HookFailed]:
    """Run every command of a hook, though others fail or are interrupted, and give what failed."""
    failures = []
    for command in hook:
        try:
            await run_hook(name, [command], context, progress)
        except HookFailed as problem:
            log.error("a command failed", hook=name, error=str(problem))
            failures.append(problem)
        except asyncio.CancelledError:
            interrupt.note()
    return failures


def _only_key(raw: object) -> str:
    beside = ("at", "expect_down")
    return ", ".join(str(key) for key in raw if key not in beside) if isinstance(raw, Mapping) else str(raw)
