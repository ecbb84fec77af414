"""`dsi send`."""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from dsi import client
from dsi.cli.console import fail, start_log, with_signals
from dsi.client import CommandError, DsiSocketError, Screen
from dsi.errors import DsiError
from dsi.stages.send import dsisocket_of

Text = Annotated[str, typer.Argument(metavar="COMMAND", help="""'{"on_mongod": {"exec": "uptime"}}'; - reads stdin.""")]
AsJson = Annotated[bool, typer.Option("--json", help="Show dsi's lines as they are.")]
WorkDirectory = Annotated[
    Path | None,
    typer.Option("--work-dir", "-C", help="Where the test runs.", file_okay=False, exists=True, resolve_path=True),
]


def command(text: Text, work_dir: WorkDirectory = None, as_json: AsJson = False) -> None:
    """Have the running test's dsi run a command; exit status: the reply's status_code, 69 where there is none.

    In a test's own environment (DSI_SOCKET) it speaks to that test, else to the one that runs in the work directory.
    """
    start_log()
    if work_dir is None and os.environ.get("DSI_SOCKET"):
        raise typer.Exit(client.main([*(["--json"] if as_json else []), "--", text]))
    raise typer.Exit(_send(text, work_dir or Path(), Screen(as_json=as_json)))


def _send(text: str, work_directory: Path, screen: Screen) -> int:
    try:
        return with_signals(_send_and_show(client.read_command(text), work_directory.resolve(), screen))
    except CommandError as problem:
        return screen.reply(problem.reply)
    except (DsiError, DsiSocketError) as problem:
        fail(str(problem), client.NO_REPLY)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return client.INTERRUPTED
    except BrokenPipeError:
        return client.pipe_closed(sys.stdout, sys.stderr)


async def _send_and_show(wanted: Mapping[str, Any], work_directory: Path, screen: Screen) -> int:
    async with dsisocket_of(work_directory) as dsi:
        stream = dsi.stream(wanted)
        try:
            async for event in stream:
                screen.event(event)
        except (asyncio.CancelledError, BrokenPipeError):  # what breaks on the way to dsi the stream doesn't raise
            with suppress(DsiSocketError):
                await dsi.cancel(stream.id)
            raise
        return screen.reply(stream.reply)
