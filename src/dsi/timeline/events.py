"""The one table of what a timeline can say; that of docs/timeline.md is made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

VERSION: Final = 1
"""Of the form of a line; stands in the first one. New events and fields don't change it; a field that goes does."""


@dataclass(frozen=True)
class EventKind:
    """An event: what it tells, and its fields beside `time`, `monotonic_s` and `event`.

    `ends_with`: it takes time, and is a pair of lines, `NAME_begin` and `NAME_end`; these fields are those of the
    second alone, beside `duration_s`, `error` and `interrupted`.
    """

    meaning: str
    fields: Sequence[str] = ()
    ends_with: Sequence[str] | None = None


EVENTS: Final[Mapping[str, EventKind]] = {
    "timeline": EventKind("a dsi process begins to write; the first line of every file", ["version"]),
    "stage": EventKind("a stage of the lifecycle begins", ["stage"]),
    "provision": EventKind("hosts are made, or looked for", ["provider"], ends_with=[]),
    "hosts": EventKind("dsi is connected to all hosts", ["hosts"]),
    "clock_offset": EventKind(
        "how far a host's clock is ahead of ours, give or take `uncertainty_s`; at the task's start and end",
        ["host", "offset_s", "uncertainty_s"],
    ),
    "install": EventKind("MongoDB is put on its hosts", ends_with=[]),
    "cluster_start": EventKind("the clusters are started", ends_with=[]),
    "hook_command": EventKind("a command of a hook", ["hook", "path", "command"], ends_with=[]),
    "test": EventKind(
        "a test with all that belongs to it; `number` of `total`, from 1",
        ["test", "number", "total"],
        ends_with=["status", "reason", "notes", "exit_status"],
    ),
    "background_task": EventKind(
        "a background task; `taken_over`: another dsi has begun it; `early`: it ended before the test did; `reason`: "
        "what went wrong with it",
        ["task", "host", "command", "taken_over"],
        ends_with=["exit_status", "last_line", "early", "reason"],
    ),
    "cmd_begin": EventKind("the test's `cmd` begins", ["test"]),
    "cmd_taken_over": EventKind(
        "`dsi test-control --attach` goes on with a `cmd`, behind so many bytes", ["test", "output_bytes"]
    ),
    "cmd_end": EventKind(
        "`cmd` has ended; `how`: `exited`, `hung`, `interrupted`, `lost` (its host, say); `exit_status`: if known",
        ["test", "exit_status", "how"],
    ),
    "during_test_command": EventKind(
        "a command of `during_test`, which was due `at_s` after `cmd` began and came `late_s` later",
        ["path", "command", "at_s", "late_s"],
        ends_with=[],
    ),
    "during_test_not_run": EventKind(
        "a command of `during_test` that never began, and why", ["path", "command", "at_s", "why"]
    ),
    "hang_diagnosis": EventKind(
        "what a `cmd` that hangs is doing is looked at before it is ended; `missing` could not be had",
        ["test"],
        ends_with=["missing"],
    ),
    "left_behind": EventKind(
        "processes (their command lines) that `cmd` had left running, and that were ended", ["test", "processes"]
    ),
    "dsisocket_command": EventKind(
        "a command that came over the dsisocket; `client` counts connections", ["client", "command"], ends_with=[]
    ),
    "mark": EventKind("an instant that the workload has named", ["name"]),
    "restart_mongodb": EventKind(
        "nodes are restarted; `writes_refused_s` is an upper bound",
        ["clean_logs", "clean_db_dir", "nodes", "mode"],
        ends_with=["restarted", "writes_refused_s"],
    ),
    "node_down": EventKind(
        "a node's process is gone",
        ["test", "node", "host", "exit_status", "how", "expected", "log_tail"],
    ),
    "connection_lost": EventKind("the SSH connection to a host broke", ["host"]),
    "connection_regained": EventKind("it was set up again", ["host", "after_s"]),
    "connection_given_up": EventKind("it could not be set up again", ["host", "after_s", "reason"]),
    "validate": EventKind("the servers' data is checked after a test", ["test"], ends_with=[]),
    "results": EventKind(
        "a test's output was read: so many numbers, and what could not be read", ["test", "metrics", "passed_over"]
    ),
    "artifacts": EventKind(
        "what the servers have left in a test is fetched; what can't be had is a `warning`",
        ["test"],
        ends_with=["files", "size_bytes"],
    ),
    "warning": EventKind("something to know that fails nothing", ["test", "host", "node", "message"]),
    "interrupted": EventKind("somebody pressed Ctrl-C, or sent SIGTERM or SIGHUP"),
    "task_end": EventKind(
        "the task is over, or something has kept it from its tests; where there are none: the stages of `dsi run` are",
        ["error", "interrupted", "notes", "log_lines"],
    ),
}
"""Every event by name."""

_OF_A_SPAN: Final = ("span",)
_OF_AN_END: Final = ("duration_s", "error", "interrupted")


def names_of(event: str) -> Sequence[str]:
    """Give what stands as `event` in the lines of this kind."""
    return [event] if EVENTS[event].ends_with is None else [f"{event}_begin", f"{event}_end"]


def events_table() -> str:
    """Write the table of events in Markdown, as it stands in docs/timeline.md."""
    rows = ["| `event` | what it tells | fields |", "| --- | --- | --- |"]
    for name, kind in EVENTS.items():
        fields = _named([*kind.fields, *(_OF_A_SPAN if kind.ends_with is not None else ())])
        if kind.ends_with is not None:
            fields += f"; at the end also {_named([*kind.ends_with, *_OF_AN_END])}"
        rows.append(f"| {', '.join(f'`{line}`' for line in names_of(name))} | {kind.meaning} | {fields} |")
    return "\n".join(rows) + "\n"


def _named(fields: Sequence[str]) -> str:
    return ", ".join(f"`{field}`" for field in fields)
