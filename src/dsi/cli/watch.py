"""`dsi watch`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from dsi.cli.console import WorkDirectory, guarded, with_signals
from dsi.clock import local_time, wall_s_of
from dsi.report.live import LiveProgress
from dsi.report.plain import PlainProgress
from dsi.report.progress import Progress
from dsi.report.table import print_tests, why
from dsi.stages.watch import watch


def command(work_dir: WorkDirectory = Path()) -> None:
    """Show what another dsi process does in a work directory, as it happens; Ctrl-C ends the looking on alone."""
    console = Console()

    def tell(line: Mapping[str, Any], text: str) -> None:
        console.out(f"{local_time(wall_s_of(line['time']))} {text}", highlight=False)

    plain = PlainProgress(tell, passing_over=())
    progress: Progress = LiveProgress(console, above=plain) if console.is_terminal else plain
    try:
        ended = guarded(lambda: with_signals(watch(work_dir, progress)))
    finally:
        progress.close()
    if ended:
        tests = [event.fields for event in ended]
        rows = [(one["test"], one["status"], one["duration_s"], why(one["reason"], one["notes"])) for one in tests]
        print_tests(console, rows)
