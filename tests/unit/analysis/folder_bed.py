"""Reports folders for tests, written as a run writes them."""

import json
from pathlib import Path
from typing import Any

from dsi import clock
from dsi.analysis import Analysis, Finding, analyze

BEGUN_S = 1_800_000_000.0
"""When the run of a `Reports` begins. Times below are seconds from there."""

LOGS = Path(__file__).parent / "logs"
"""Lines of a real mongod 6.0.5: `restarts` (of two members of a set: clean, crash, rolling; with its timeline),
`sigabrt`, `rollback` (members stopped with SIGSTOP), `corrupt` (bytes of WiredTiger.wt changed), `full` (a
disk of 60 MB), `port` (taken)."""


class Reports:
    """A reports folder with a timeline that begins at 0."""

    def __init__(self, path: Path, *, timeline: bool = True) -> None:
        self.path = path
        self._spans = 0
        if timeline:
            self.event(0, "timeline", version=1)

    def event(self, at_s: float, event: str, **fields: Any) -> None:
        line = {"time": clock.isoformat(BEGUN_S + at_s), "monotonic_s": 100 + at_s, "event": event, **fields}
        with (self.path / "timeline.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def span(self, begin_s: float, end_s: float, event: str, **fields: Any) -> None:
        error = fields.pop("error", None)
        self._spans += 1
        fields["span"] = self._spans
        self.event(begin_s, f"{event}_begin", **fields)
        self.event(end_s, f"{event}_end", **fields, duration_s=end_s - begin_s, error=error)

    def a_test(self, begin_s: float = 10, end_s: float = 100, name: str = "t", **fields: Any) -> None:
        """Write a test that passed, and the end of the task."""
        self.event(begin_s, "test_begin", test=name)
        outcome = {"status": "passed", "reason": "", "exit_status": 0, **fields}
        self.event(end_s, "test_end", test=name, **outcome)
        self.event(end_s + 1, "task_end", error="", interrupted=False, notes=[])

    def write(self, path: str, content: str | bytes) -> None:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def log(self, *lines: str, path: str = "t/mongod.0/first/mongod.log") -> None:
        self.write(path, "".join(f"{line}\n" for line in lines))

    def analyze(self) -> Analysis:
        return analyze(self.path)

    def found(self) -> list[tuple[str, str]]:
        """Give severity and rule of what is found."""
        return [(one.severity, one.rule) for one in self.analyze().findings]

    def the_finding(self) -> Finding:
        (finding,) = self.analyze().findings
        return finding


def line(at_s: float, number: int, message: str, *, severity: str = "I", component: str = "REPL", **attr: Any) -> str:
    """Give a line of a structured log (4.4 and later), as a mongod writes it."""
    when = clock.isoformat(BEGUN_S + at_s).replace("Z", "+00:00")
    head = f'{{"t":{{"$date":"{when}"}},"s":"{severity}",  "c":"{component}",{" " * (9 - len(component))}"id":{number}'
    tail = f', "attr":{json.dumps(attr)}' if attr else ""
    return f'{head},   "ctx":"conn1","msg":{json.dumps(message)}{tail}}}'


def old_line(at_s: float, message: str, *, severity: str = "I", component: str = "REPL") -> str:
    """Give a line of a log of 4.2 or before."""
    when = clock.isoformat(BEGUN_S + at_s).replace("Z", "+0000")
    return f"{when} {severity}  {component:8} [conn1] {message}"


def election(at_s: float) -> str:
    return line(at_s, 4615652, "Starting an election, since we've seen no PRIMARY", component="ELECTION")
