"""`dsi run`."""

from pathlib import Path
from typing import Annotated

import typer

from dsi.cli.analyze import brief
from dsi.cli.console import WorkDirectory
from dsi.cli.launch import launch
from dsi.cli.show import Ending
from dsi.cli.test_control import OriginalExitStatus
from dsi.stages.run import run
from dsi.stages.session import Session

Keep = Annotated[bool, typer.Option("--keep", help="Leave hosts and clusters up; `dsi teardown` ends them.")]


def command(
    work_dir: WorkDirectory = Path(), keep: Keep = False, original_exit_status: OriginalExitStatus = False
) -> None:
    """Run every stage whose file is there, then teardown; then say what is wrong in the reports."""
    ending = run_in(work_dir, keep=keep)
    exit_status = ending.show(original_exit_status=original_exit_status)
    if ending.outcome is not None and not ending.outcome.interrupted and ending.reports is not None:
        brief(work_dir, ending.reports)
    raise typer.Exit(exit_status)


def run_in(work_directory: Path, *, keep: bool = False) -> Ending:
    """Run the whole lifecycle; local hosts die with this process, unless they are to be kept."""

    async def whole(session: Session) -> Ending:
        return Ending(session, await run(session, keep=keep))

    return launch(work_directory, whole, tied=not keep)
