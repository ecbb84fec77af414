"""What a person is told of a line of the timeline."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Line = Mapping[str, Any]

LOGGED_ELSEWHERE: Final = frozenset(
    ("node_down", "connection_lost", "connection_regained", "connection_given_up", "warning", "interrupted")
)
"""Events that dsi's own log tells too, where they happen; only who watches another dsi isn't told twice."""


def event_line(line: Line) -> str | None:
    """Tell of an event in one line; None: it is nothing to tell, or there may be thousands of it."""
    telling = _TELLING.get(line["event"])
    return telling(line) if telling else None


def _test_end(line: Line) -> str:
    why = f": {line['reason']}" if line["reason"] else ""
    return f"test {line['test']} {line['status']} after {line['duration_s']:.1f} s{why}"


def _restarted(line: Line) -> str:
    nodes = ", ".join(line.get("nodes") or ["all nodes"])
    how = f" ({line['mode']})" if line.get("mode") not in (None, "clean") else ""
    return f"restart_mongodb {nodes}{how}"


def _ending(line: Line) -> str:
    how = f"failed: {line['error']}" if line["error"] else "interrupted" if line.get("interrupted") else "done"
    return f"{how} after {line['duration_s']:.1f} s"


_TELLING: Final[Mapping[str, Callable[[Line], str]]] = {
    "stage": lambda line: f"stage {line['stage']}",
    "test_begin": lambda line: f"test {line['test']} ({line['number']} of {line['total']})",
    "test_end": _test_end,
    "restart_mongodb_begin": lambda line: f"{_restarted(line)} begins",
    "restart_mongodb_end": lambda line: f"{_restarted(line)} {_ending(line)}",
    "during_test_command_end": lambda line: (
        f"{line['path']}, due at {line['at_s']} s and {line['late_s']:.1f} s late, {_ending(line)}"
    ),
    "cmd_taken_over": lambda line: f"going on with cmd of test {line['test']}",
    "mark": lambda line: f"mark {line['name']}",
    "node_down": lambda line: f"{line['node']} went down{', as expected' * line['expected']}: {line['how']}",
    "connection_lost": lambda line: f"{line['host']}: the SSH connection broke",
    "connection_regained": lambda line: f"{line['host']}: the SSH connection is back after {line['after_s']:.1f} s",
    "connection_given_up": lambda line: f"{line['host']}: no SSH connection any more: {line['reason']}",
    "warning": lambda line: f"warning: {line['message']}",
    "interrupted": lambda line: "interrupted: ending in good order",
}
