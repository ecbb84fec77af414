"""What is to be seen of a run at one moment, made of its timeline and of what its test writes."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

LINES: Final = 5
"""How many of the last lines of output are shown."""

_LINE_CHARS: Final = 1000


_STEPS: Final = {
    "cmd_begin": "cmd",
    "cmd_taken_over": "cmd",
    "validate_begin": "validating",
}
"""Events after which something else is being done."""


class RunView:
    """The present stage, step and test, which hosts are up, and the last lines of output. Times are monotonic_s."""

    def __init__(self, begun_s: float) -> None:
        self.begun_s = begun_s
        self.test_begun_s = begun_s
        self.stage = self.step = self.test = ""
        self.socket_commands = 0
        self.nodes_down: list[str] = []
        self._hosts: Sequence[str] = ()
        self._lost: set[str] = set()
        self._lines: deque[str] = deque(maxlen=LINES)
        self._partial = ""

    def event(self, line: Mapping[str, Any]) -> None:
        """Take in a line of the timeline."""
        name = line["event"]
        self.step = _STEPS.get(name, self.step)
        if name == "timeline":
            self.begun_s = line["monotonic_s"]
        elif name == "stage":
            self.stage, self.step, self.test = line["stage"], "", ""
            self._forget_output()
        elif name.startswith("test_"):
            self._event_of_tests(name, line)
        else:
            self._event_of_hosts(name, line)

    def _event_of_tests(self, name: str, line: Mapping[str, Any]) -> None:
        self.test = f"test {line['test']} ({line['number']} of {line['total']})" if name == "test_begin" else ""
        self.test_begun_s = line["monotonic_s"]
        self.step, self.socket_commands, self.nodes_down = "", 0, []
        self._forget_output()

    def _event_of_hosts(self, name: str, line: Mapping[str, Any]) -> None:
        match name:
            case "hosts":
                self._hosts, self._lost = line["hosts"], set()
            case "connection_lost":
                self._lost |= set(line["host"].split(", "))
            case "connection_regained":
                self._lost -= set(line["host"].split(", "))
            case "dsisocket_command_begin":
                self.socket_commands += 1
            case "node_down" if not line["expected"]:
                self.nodes_down.append(line["node"])

    def output(self, block: bytes) -> None:
        """Take in what the test's command has written."""
        *whole, self._partial = (self._partial + block.decode(errors="replace")).split("\n")
        self._partial = self._partial[-_LINE_CHARS:]
        self._lines.extend(line[-_LINE_CHARS:].rstrip("\r") for line in whole[-LINES:])

    @property
    def lines(self) -> Sequence[str]:
        """The last lines of output, the one that has no end yet among them."""
        return [*self._lines, self._partial][-LINES:] if self._partial else list(self._lines)

    @property
    def hosts_up(self) -> str:
        """How many hosts are connected, and which aren't; "" before there are any."""
        if not self._hosts:
            return ""
        up = f"{len(set(self._hosts) - self._lost)} of {len(self._hosts)} hosts up"
        return f"{up} (not {', '.join(sorted(self._lost))})" if self._lost else up

    def _forget_output(self) -> None:
        self._lines.clear()
        self._partial = ""
