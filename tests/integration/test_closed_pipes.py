"""`dsi … | head`: who has seen enough ends what dsi does, quietly, as with any other program."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.work_directory import DSI, LIMIT_S, WorkDirectory, hosts

FTDC = Path(__file__).parents[1] / "golden" / "ftdc"
PIPE_CLOSED = 141
"""As of a program that SIGPIPE ends: 128 + 13."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkDirectory]:
    """Two local hosts, and reports."""
    folder = tmp_path_factory.mktemp("work")
    task = "run: [{id: quick, type: shell, cmd: 'false'}]\n"
    work = WorkDirectory(folder, infrastructure_provisioning=hosts(1), test_control=task)
    work.dsi("provision")
    work.dsi("test-control", exit_status=1)
    (folder / "wrong").mkdir()
    WorkDirectory(folder / "wrong", test_control="run: 5\n")
    yield work
    work.dsi("teardown")


@pytest.mark.parametrize(
    "arguments",
    [
        ("conn", "md.0", "wc.0", "-c", "yes"),
        ("conn", "md.0", "wc.0", "-c", "echo; sleep 12345"),
        ("conn", "md.0", "-c", "yes >&2"),
        ("conn", "md.0", "-c", "yes & yes >&2"),
        ("config", "show", "infrastructure_provisioning"),
        ("validate", "-C", "wrong"),
        ("analyze", "--json"),
        ("bootstrap", "--list"),
        ("ftdc", str(FTDC), "--csv"),
    ],
    ids=" ".join,
)
def test_each_subcommand_ends_quietly_when_nobody_reads_its_output(
    work: WorkDirectory, arguments: tuple[str, ...]
) -> None:
    nobody_reads, pipe = os.pipe()
    os.close(nobody_reads)
    with os.fdopen(pipe, "wb") as closed:
        both = ">&2" in arguments[-1]
        process = subprocess.run(
            [DSI, *arguments],
            cwd=work.folder,
            stdin=subprocess.DEVNULL,
            stdout=closed,
            stderr=closed if both else subprocess.PIPE,
            timeout=LIMIT_S,
            check=False,
        )
    assert not process.stderr, process.stderr.decode()
    assert process.returncode == PIPE_CLOSED
    assert not [command for command in work.processes() if "yes" in command or "12345" in command]
