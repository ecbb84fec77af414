"""The command line: one file per subcommand, loaded when it is called, so that `dsi --help` answers at once."""

import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from dsi import __version__

SUBCOMMANDS: Final = {
    "demo": "See it work: a replica set on this machine, a workload, and a restart in the middle of it.",
    "run": "Run every stage whose file is there, then end what was started.",
    "bootstrap": "Copy the canned configurations that bootstrap.yml names.",
    "provision": "Bring the hosts up, or check that one can log in on them.",
    "workload-setup": "Install what the tests need.",
    "mongodb-setup": "Put MongoDB on the hosts and start the clusters.",
    "test-control": "Run the tests.",
    "analyze": "Look for what is wrong in a reports folder; no host is touched.",
    "teardown": "End what dsi has started.",
    "validate": "Check the configuration; no host is touched.",
    "config": "Show a value of the configuration, and where it comes from.",
    "tls-material": "Make a CA and certificates for TLS, for tests.",
    "watch": "Show what another dsi process does here, as it happens.",
    "ftdc": "Show what a server has measured of itself (its diagnostic.data).",
    "send": "Have the running test's dsi run a command, as its workload would.",
    "conn": "Open a shell on a host, or run a command on several.",
}
"""Every subcommand and what it does. `NAME` is in `dsi/cli/NAME.py` as the function `command`."""


class _Subcommands(TyperGroup):
    """Knows the subcommands by name, and loads only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Give the names, in the order of help."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Give what help needs of a subcommand: its name and what it does."""
        return TyperCommand(cmd_name, help=SUBCOMMANDS[cmd_name]) if cmd_name in SUBCOMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Give the subcommand that is to be run, whole."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name and command else command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run it; where nobody reads its output any more (`| head` has seen enough), end quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as problem:
            if not import_module("dsi.cli.terminal").nobody_reads():  # click would end quietly all the same
                raise RuntimeError(f"a bug in dsi: what broke is not its output ({problem})") from problem
            raise typer.Exit(import_module("dsi.client").pipe_closed(sys.stdout, sys.stderr)) from None


def _load(name: str) -> Any:
    module = import_module(f"dsi.cli.{name.replace('-', '_')}")
    subcommand = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    subcommand.command(name)(module.command)
    return typer.main.get_command(subcommand)


app = typer.Typer(cls=_Subcommands, no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dsi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_show_version, is_eager=True),
) -> None:
    """Deploy MongoDB clusters, test them on real hosts, and let the running workload command the cluster."""


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run `dsi`; without arguments those of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a test prints may be shown in a locale that can't show all of it
            stream.reconfigure(errors="backslashreplace")
    return app(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="dsi")
