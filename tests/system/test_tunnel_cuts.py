"""The SSH connection to the workload client is cut again and again: nothing is lost, and nothing happens twice."""

import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.integration.work_directory import DSI, LIMIT_S, WorkDirectory, wait_until
from tests.system import retrying_clients
from tests.system.conftest import StartHosts
from tests.system.sshds import Sshd

log = logging.getLogger(__name__)

CUTS = int(os.environ.get("DSI_CUTS", "25"))
DROPS = max(1, CUTS // 25)

CLIENTS = 6
PORT = 27007
KEEPALIVE_S = 2

CMD = """
number=0
until [ -e over ]; do
  echo line $number
  number=$((number + 1))
  sleep 0.005
done
echo $number > lines
"""


class Cut:
    """A test that runs, and clients of its dsisocket on the workload client."""

    def __init__(self, folder: Path, server: Sshd, port: int, *, inside: Sequence[str] = ()) -> None:
        self.server = server
        self._inside = inside
        self._port = port
        client = {
            "public_ip": server.address,
            "ssh_port": server.port,
            "ssh_user": server.user,
            "ssh_key_file": str(server.key_file),
        }
        stages = {
            "infrastructure_provisioning": {
                "provider": "static",
                "tfvars": {"ssh_keepalive_seconds": KEEPALIVE_S},
                "hosts": {"workload_client": [client]},
            },
            "test_control": {
                "run": [{"id": "cut", "type": "shell", "cmd": CMD}],
                "dsisocket": {"enabled": True, "port": port},
            },
        }
        self.work = WorkDirectory(folder, **{stage: json.dumps(content) for stage, content in stages.items()})

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have dsi and the clients at it while the block runs; then all must end well."""
        with (
            (self.work.folder / "output").open("w") as output,
            _started([DSI, "run"], cwd=self.work.folder, stdout=output, stderr=output) as dsi,
        ):
            log = self.work.folder / "reports" / "cut" / "test_output.log"
            wait_until(lambda: dsi.poll() is not None or (log.exists() and "line 0" in log.read_text()), "cmd runs")
            assert dsi.poll() is None, self.work.read("output")[-4000:]
            enough = self.server.home / "enough"
            script = [sys.executable, retrying_clients.__file__, str(self._port), str(CLIENTS), str(enough)]
            with _started([*self._inside, *script], stdout=subprocess.PIPE) as clients:
                yield
                enough.touch()
                said, _ = clients.communicate(timeout=LIMIT_S)
                self.answers: dict[str, list[str]] = json.loads(said)["replies"]
                self.broken: int = json.loads(said)["broken"]
            (self.server.home / "over").touch()
            status = dsi.wait(LIMIT_S)
        output_of_dsi = self.work.read("output")
        assert status == 0, output_of_dsi[-4000:]
        assert "Traceback" not in output_of_dsi

    def ran(self) -> list[str]:
        file = self.server.home / "ran"
        return file.read_text().splitlines() if file.exists() else []

    def sshd_sessions(self) -> list[int]:
        """The processes of sshd that serve a connection."""
        return [
            int(pid)
            for pid in Path(f"/proc/{self.server.process}/task/{self.server.process}/children").read_text().split()
        ]

    def cut(self) -> None:
        """Kill what serves dsi, when it next does."""
        wait_until(self.sshd_sessions, "dsi is connected")
        for pid in self.sshd_sessions():
            os.kill(pid, signal.SIGKILL)

    def wait_for_commands(self) -> None:
        """Wait until commands are run, from now on."""
        before = len(self.ran())
        wait_until(lambda: len(self.ran()) > before, "commands are run")

    def wait_for_event(self, event: str, times: int) -> None:
        """Wait until the timeline has it so often."""
        wait_until(lambda: len(self.work.events(event)) >= times, f"{event}, {times} times")

    def check(self) -> None:
        """Each command ran once, and was answered once, that it did; the output of `cmd` is whole and in order."""
        assert {id_: got for id_, got in self.answers.items() if got != ["OK"]} == {}
        assert sorted(self.ran()) == sorted(self.answers)
        lines = int((self.server.home / "lines").read_text())
        written = (self.work.folder / "reports" / "cut" / "test_output.log").read_text().splitlines()
        assert [line for line in written if line.startswith("line ")] == [f"line {number}" for number in range(lines)]
        log.info(
            "%d commands, %d lines of cmd, clients connected again %d times", len(self.answers), lines, self.broken
        )


@contextmanager
def _started(command: Sequence[str], **options: object) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **options) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_session_of_sshd_is_killed_again_and_again(tmp_path: Path, sshd: Sshd) -> None:
    """At random moments, also while the connection is being set up again."""
    cut = Cut(tmp_path, sshd, free_port())
    chance = random.Random()
    with cut.running():
        for _ in range(CUTS):
            time.sleep(chance.uniform(0, 0.7))  # a random moment
            cut.cut()
        cut.wait_for_commands()
    cut.check()
    assert cut.broken > 0


def test_packets_vanish_and_nobody_is_told(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    """The old sshd doesn't know, and keeps the port: it is ended, and that is what the clients notice."""
    (host,) = ssh_hosts(1)
    cut = Cut(tmp_path, host, PORT, inside=["nsenter", f"--net=/proc/{host.process}/ns/net"])
    with cut.running():
        for number in range(1, 1 + DROPS):
            cut.wait_for_commands()
            host.drop_packets()
            cut.wait_for_event("connection_lost", number)
            host.heal()
            cut.wait_for_event("connection_regained", number)
        cut.wait_for_commands()
    cut.check()
