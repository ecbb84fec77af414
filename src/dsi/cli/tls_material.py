"""`dsi tls-material`."""

from pathlib import Path
from typing import Annotated

import typer

from dsi.cli.console import WorkDirectory, guarded
from dsi.stages.tls_material import tls_material

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them; a CA that is there stays.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name", help="An address or host name of a server; several, if need be. None: all hosts' addresses."
    ),
]


def command(folder: Folder, name: Names = None, work_dir: WorkDirectory = Path()) -> None:
    """Make a CA and certificates for TLS, for tests: ca.pem, server.pem, client.pem."""
    for path in guarded(lambda: tls_material(folder, name or (), work_dir)):
        typer.echo(path)
