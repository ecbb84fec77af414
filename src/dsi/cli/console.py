"""What every subcommand has: the console, the log, Ctrl-C, and which error is which exit status."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import structlog
import typer
from rich.console import Console

from dsi.cli.terminal import Terminal
from dsi.errors import ConfigError, DsiError
from dsi.masking import masked

T = TypeVar("T")

WorkDirectory = Annotated[
    Path, typer.Option("--work-dir", "-C", help="The work directory.", file_okay=False, exists=True, resolve_path=True)
]

CONFIGURATION_WRONG = 2
BROKEN = 3
INTERRUPTED = 130

terminal = Terminal()
console = Console(file=terminal)  # type: ignore[arg-type]  # rich asks for IO[str], and uses what Terminal has
"""Where people look: the log, the display and the tables. Standard output is for what programs read."""


def can_be_drawn_on(where: Console) -> bool:
    """Give whether a display can be there: a terminal that can move its cursor."""
    return where.is_terminal and not where.is_dumb_terminal


def guarded(work: Callable[[], T]) -> T:
    """Do something; an error that dsi raises on purpose is printed and becomes an exit status."""
    try:
        return work()
    except ConfigError as problem:
        fail(str(problem), CONFIGURATION_WRONG)
    except DsiError as problem:
        fail(str(problem), BROKEN)
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        fail(f"{where}{problem.strerror or problem}", BROKEN)
    except asyncio.CancelledError:
        fail("interrupted", INTERRUPTED)


def fail(message: str, exit_status: int) -> NoReturn:
    """Print an error and leave.

    Raises:
        typer.Exit
    """
    style = "red" if console.is_terminal else None
    console.print(f"dsi: {message}", style=style, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(exit_status)


def start_log() -> None:
    """Have log lines printed above the display, or plainly where there is no terminal."""
    colors = can_be_drawn_on(console) and not console.no_color
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(_level()),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            # Not rich's tracebacks: they show local variables, and there are secrets among them.
            structlog.dev.ConsoleRenderer(
                colors=colors, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=lambda *_: _ConsoleLogger(),
        cache_logger_on_first_use=False,
    )


def _level() -> str:
    return "debug" if os.environ.get("DSI_DEBUG") else "info"


class _ConsoleLogger:
    """Prints on the console that the display is on, so that the two don't overwrite each other."""

    def msg(self, message: str) -> None:
        console.out(masked(message), highlight=False)

    log = debug = info = warn = warning = error = critical = exception = msg


def with_signals(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; Ctrl-C, SIGTERM or SIGHUP cancels it: the first ends it in good order, the second at once."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None, "asyncio.run() runs a task"
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        return await work

    return asyncio.run(main())
