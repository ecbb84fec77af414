"""A subcommand that works in a work directory: with a session there, the log and a display."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from dsi.cli.console import can_be_drawn_on, console, guarded, start_log, terminal, with_signals
from dsi.report.live import LiveProgress
from dsi.report.plain import PlainProgress
from dsi.report.progress import Progress
from dsi.stages.session import Session

T = TypeVar("T")


def launch(work_directory: Path, work: Callable[[Session], Awaitable[T]], *, tied: bool = False) -> T:
    """Do the work of a subcommand in a work directory, with the log and a display.

    Raises:
        typer.Exit: 2 the configuration is wrong, 3 something broke, 130 interrupted; the message has been printed.
    """
    start_log()
    with terminal.without_waiting():
        plain = PlainProgress()
        progress: Progress = LiveProgress(console, above=plain) if can_be_drawn_on(console) else plain

        async def in_session() -> T:
            async with Session(work_directory, progress, tied=tied) as session:
                return await work(session)

        try:
            return guarded(lambda: with_signals(in_session()))
        finally:
            progress.close()
