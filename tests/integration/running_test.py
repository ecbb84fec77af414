"""A real test that goes on until it is told to end, so that others can speak with its dsi meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.work_directory import LIMIT_S, WorkDirectory, wait_until


@contextmanager
def running(work: WorkDirectory, *arguments: str) -> Iterator[None]:
    """Run dsi while the block runs: it begins when the test's `cmd` does, and the test must pass."""
    process = work.start(*(arguments or ("run",)))
    try:
        wait_until(lambda: process.poll() is not None or work.events("cmd_begin"), "cmd has begun")
        yield
        (work.folder / "done").touch()
        _, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, err
    finally:
        process.kill()
        process.communicate()


def two_hosts(folder: Path, port: int, more: str = "") -> WorkDirectory:
    """Give a work directory with a test on two server hosts without servers: what is not about MongoDB is quick."""
    return WorkDirectory(
        folder,
        infrastructure_provisioning="provider: local\ntfvars: {mongod_instance_count: 2, workload_instance_count: 1}\n",
        test_control=(
            f"run:\n  - {{id: hold, type: shell, cmd: 'until [ -e {folder}/done ]; do sleep 0.02; done'}}\n"
            f"dsisocket: {{enabled: true, port: {port}{more}}}\n"
        ),
    )
