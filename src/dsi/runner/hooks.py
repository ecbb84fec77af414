"""Running the commands of a hook."""

from collections.abc import Mapping

from dsi.commands import Context
from dsi.errors import DsiError, HookFailed
from dsi.report.progress import Progress
from dsi.runner.plan import Hook


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


def _only_key(raw: object) -> str:
    beside = ("at", "expect_down")
    return ", ".join(str(key) for key in raw if key not in beside) if isinstance(raw, Mapping) else str(raw)
