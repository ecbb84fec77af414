"""`dsi bootstrap`."""

from pathlib import Path
from typing import Annotated

import typer

from dsi.cli.launch import WorkDirectory, guarded, start_log
from dsi.stages.bootstrap import bootstrap

Force = Annotated[bool, typer.Option("--force", help="Replace files that differ.")]


def command(work_dir: WorkDirectory = Path(), force: Force = False) -> None:
    """Copy the canned configurations that bootstrap.yml names into the work directory."""
    start_log()
    guarded(lambda: bootstrap(work_dir, force=force))
