"""A pipe or a connection that breaks inside dsi is not taken for the end of whoever reads dsi's output."""

import errno
import os
import sys
from pathlib import Path
from subprocess import PIPE, run
from typing import Any

import pytest
from typer.core import TyperCommand

from dsi.cli import _Subcommands

ASK = "from dsi.cli.terminal import nobody_reads; open('answer', 'w').write(str(nobody_reads()))"


def breaks() -> None:
    raise BrokenPipeError(errno.EPIPE, "that of a socket")


class Breaking(_Subcommands):
    """Has a subcommand in which something breaks."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return "breaks", TyperCommand("breaks", callback=breaks), []


def test_what_breaks_elsewhere_ends_dsi_with_an_error_that_says_so() -> None:
    with pytest.raises(RuntimeError, match="that of a socket"):
        Breaking(name="dsi").main(["breaks"])


@pytest.mark.parametrize("output", ["stdout", "stderr", "neither"])
def test_a_closed_output_is_seen(tmp_path: Path, output: str) -> None:
    nobody_reads, pipe = os.pipe()
    os.close(nobody_reads)
    where: dict[str, Any] = {"stdout": PIPE, "stderr": PIPE, output: pipe}
    where.pop("neither", None)
    run([sys.executable, "-c", ASK], cwd=tmp_path, check=True, **where)
    os.close(pipe)
    assert (tmp_path / "answer").read_text() == str(output != "neither")
