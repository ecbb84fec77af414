"""`dsi config`."""

from pathlib import Path
from typing import Annotated

import typer

from dsi import config
from dsi.cli.console import WorkDirectory, guarded
from dsi.stages.load import load

What = Annotated[str, typer.Argument(metavar="show", help="`show` is all there is.")]
At = Annotated[str, typer.Argument(metavar="PATH", help="Where in the tree, as mongodb_setup.topology.0.id.")]
WithSecrets = Annotated[bool, typer.Option("--secrets", help="Show passwords, too, instead of `***`.")]
WithOrigin = Annotated[bool, typer.Option("--origin", help="Show file and line that the value comes from, too.")]


def command(
    what: What, path: At, work_dir: WorkDirectory = Path(), origin: WithOrigin = False, secrets: WithSecrets = False
) -> None:
    """Show the value at a path of the tree, with all references resolved."""
    if what != "show":
        raise typer.BadParameter(f"`dsi config {what}`: write `dsi config show PATH`")

    def value_and_origin() -> tuple[str, str]:
        tree = load(work_dir)
        value = config.dump(tree.get(path))
        shown = value if secrets else config.masked_yaml(value, at=path.split("."))
        return shown, str(tree.origin(path)) if origin else ""

    value, place = guarded(value_and_origin)
    typer.echo(value.rstrip("\n"))
    if place:
        typer.echo(place)
