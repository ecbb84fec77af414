"""Work directories for tests, and `dsi` run in them as a person would: in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from dsi.timeline import read_events

DSI = str(Path(sys.executable).parent / "dsi")
LIMIT_S = 120
"""No step of a test takes this long unless it hangs."""

STANDALONE = """
mongod_config_file: {storage: {wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}}
topology:
  - id: single
    cluster_type: standalone
    public_ip: ${infrastructure_provisioning.out.mongod.0.public_ip}
    private_ip: ${infrastructure_provisioning.out.mongod.0.private_ip}
"""

REPLICA_SET = """
mongod_config_file: {storage: {wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}}
topology:
  - id: rs0
    cluster_type: replset
    mongod:
      - {id: primary, public_ip: "${infrastructure_provisioning.out.mongod.0.public_ip}"}
      - {id: secondary1, public_ip: "${infrastructure_provisioning.out.mongod.1.public_ip}"}
      - {id: secondary2, public_ip: "${infrastructure_provisioning.out.mongod.2.public_ip}"}
"""


def hosts(mongods: int) -> str:
    return f"provider: local\ntfvars: {{mongod_instance_count: {mongods}, workload_instance_count: 1}}\n"


class WorkDirectory:
    """A folder with the files of a run."""

    started: ClassVar[list["subprocess.Popen[str]"]] = []

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        for name, text in files.items():
            (folder / f"{name}.yml").write_text(text)

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [DSI, *arguments],
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def dsi(self, *arguments: str, exit_status: int | None = 0) -> "subprocess.CompletedProcess[str]":
        """Run dsi to its end; its exit status must be this one (None: any)."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"dsi {arguments} did not end:\n{out}\n{err}") from None
        if exit_status is not None:
            assert process.returncode == exit_status, f"exit status {process.returncode}:\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def events(self, event: str) -> list[dict[str, Any]]:
        path = self.folder / "reports" / "timeline.jsonl"
        return read_events(path, event) if path.exists() else []

    def processes(self) -> list[str]:
        """Every process (zombies left out) that works in this folder or has it in its command line."""
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid():
                try:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    folder = str((process / "cwd").readlink())
                except OSError:
                    continue
                if command and (str(self.folder) in command or folder.startswith(str(self.folder))):
                    found.append(f"{process.name} {command}")
        return found


@contextmanager
def nothing_left_running() -> Iterator[None]:
    """End what the block has left running as it failed, or a later test is the one that is told of its open pipes."""
    before = len(WorkDirectory.started)
    yield
    while len(WorkDirectory.started) > before:
        process = WorkDirectory.started.pop()
        if process.poll() is None:
            process.kill()
        if process.stdout is not None and not process.stdout.closed:
            process.communicate(timeout=LIMIT_S)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; a test that waits too long has found a fault."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.02)
