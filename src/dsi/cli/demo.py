"""`dsi demo`."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from dsi.cli.console import console, guarded
from dsi.cli.run import run_in
from dsi.clock import SYSTEM
from dsi.stages.demo import make_demo

Parent = Annotated[Path, typer.Option("--in", help="Where to put the folder dsi-demo.", file_okay=False, exists=True)]

INSTALLATION_S = "DSI_INSTALLATION_S"
"""The environment variable in which `./run demo` says how long it has downloaded and installed, in seconds."""


def command(parent: Parent = Path()) -> None:
    """Copy the example to a folder dsi-demo, and run it there; the folder stays, for you to change and run again."""
    begun_s = SYSTEM.monotonic_s()
    folder = guarded(lambda: make_demo(parent.resolve()))
    exit_status = run_in(folder).show(original_exit_status=False)
    console.print(_times(SYSTEM.monotonic_s() - begun_s), markup=False)
    console.print(f"Go on with:\n\n    cd {shlex.quote(str(folder))} && {_dsi()} run\n", markup=False, soft_wrap=True)
    raise typer.Exit(exit_status)


def _times(run_s: float) -> str:
    installation = os.environ.get(INSTALLATION_S)
    before = f"download and installation {float(installation):.0f} s, " if installation else ""
    return f"{before}run {run_s:.0f} s"


def _dsi() -> str:
    found = shutil.which("dsi")
    own = Path(sys.argv[0]).resolve()
    return "dsi" if found and Path(found).resolve() == own else shlex.quote(str(own))
