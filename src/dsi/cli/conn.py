"""`dsi conn`."""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dsi import client, provisioning
from dsi.cli.console import BROKEN, WorkDirectory, fail, guarded, start_log
from dsi.cli.terminal import nobody_reads
from dsi.model import HostEntry, StreamName
from dsi.report.plain import PlainProgress
from dsi.stages.conn import entries_named, run_on
from dsi.stages.load import load
from dsi.stages.session import Session

Names = Annotated[list[str], typer.Argument(metavar="HOST…", help="mongod.0, md.0, md (all of them), wc …")]
Text = Annotated[str | None, typer.Option("--command", "-c", help="Run this on each, instead of opening a shell.")]


def command(names: Names, work_dir: WorkDirectory = Path(), text: Text = None) -> None:
    """Open a shell on a host (plain ssh, or nsenter for a local host), or run a command on several."""
    start_log()
    session = Session(work_dir, PlainProgress())
    entries = guarded(lambda: entries_named(load(work_dir), names))
    if text is not None:
        raise typer.Exit(guarded(lambda: _run(session, entries, text)))
    if len(entries) > 1:
        fail(f"a shell opens on one host: name one of {', '.join(entry.name for entry in entries)}, or give -c", BROKEN)
    arguments = guarded(lambda: provisioning.shell_argv(entries[0], session.state))
    if shutil.which(arguments[0]) is None:
        fail(f"there is no {arguments[0]} on this machine: install it (openssh-client, util-linux)", BROKEN)
    os.execvp(arguments[0], arguments)  # noqa: S606  the person's own shell takes our place


def _run(session: Session, entries: Sequence[HostEntry], text: str) -> int:
    try:
        return asyncio.run(run_on(session, entries, text, _print))
    except* BrokenPipeError:
        if not nobody_reads():
            raise
    return client.pipe_closed(sys.stdout, sys.stderr)  # `| head` has seen enough; what ran on the hosts has been ended


async def _print(host: str, stream: StreamName, block: bytes) -> None:
    out = sys.stdout if stream == "stdout" else sys.stderr
    for line in block.decode(errors="replace").splitlines():
        print(f"{host}: {line}", file=out, flush=True)
