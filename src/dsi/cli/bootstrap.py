"""`dsi bootstrap`."""

from pathlib import Path
from typing import Annotated

import typer

from dsi.cli.console import WorkDirectory, guarded, start_log
from dsi.stages.bootstrap import STAGES, about, bootstrap, names

Force = Annotated[bool, typer.Option("--force", help="Replace files that differ.")]
ListThem = Annotated[bool, typer.Option("--list", help="Show the canned configurations, and write nothing.")]


def command(work_dir: WorkDirectory = Path(), force: Force = False, show: ListThem = False) -> None:
    """Copy the canned configurations that bootstrap.yml names into the work directory."""
    if show:
        _show()
        return
    start_log()
    guarded(lambda: bootstrap(work_dir, force=force))


def _show() -> None:
    for stage in STAGES:
        known = sorted(names(stage))
        width = max(map(len, known), default=0)
        if known:
            typer.echo(f"{stage}:")
        for name in known:
            typer.echo(f"  {name:<{width}}  {about(stage, name)}".rstrip())
