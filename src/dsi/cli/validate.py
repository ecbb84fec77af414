"""`dsi validate`."""

from pathlib import Path

import typer

from dsi.cli.console import CONFIGURATION_WRONG, WorkDirectory, guarded
from dsi.masking import masked
from dsi.stages.load import load
from dsi.stages.validate import check


def command(work_dir: WorkDirectory = Path()) -> None:
    """Check the configuration and print every problem; no host is touched."""
    problems = guarded(lambda: check(load(work_dir)))
    for problem in problems:
        typer.echo(masked(f"{'warning: ' if problem.warning else ''}{problem}"))
    wrong = sum(not problem.warning for problem in problems)
    if wrong:
        typer.echo(f"{wrong} problem{'s' if wrong > 1 else ''}", err=True)
        raise typer.Exit(CONFIGURATION_WRONG)
    typer.echo("the configuration is right", err=True)
