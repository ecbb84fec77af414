"""Rules on the run as a whole: how tests ended, nodes that went down, and whether the timeline can be trusted."""

from collections.abc import Iterator

from dsi import timeline
from dsi.analysis.finding import Finding
from dsi.analysis.folder import Folder
from dsi.analysis.history import FILE, STAGE_ENDS, Event, History
from dsi.analysis.rules.rule import RunRule
from dsi.compressed import plain_name
from dsi.errors import sentence_of

_LINE_CHARS = 200
_MOST_LINES = 10
_CLOCK_S = 1.0
"""Less is lost in the seconds by which windows are wider than what they stand for."""


def _test_failed(history: History, _folder: Folder) -> Iterator[Finding]:
    for test in history.tests.values():
        if not test.passed and test.status != "unfinished":
            reason = f": {_sentence(test.reason)}" if test.reason else ""
            how = f"ended as {test.status}{reason}; its output is in {test.id}/test_output.log"
            message = "the test was planned, and did not run" if test.status == "not run" else f"the test {how}"
            yield Finding(rule="test_failed", severity="error", message=message, test=test.id, time_s=test.end_s)


def _run_unfinished(history: History, _folder: Folder) -> Iterator[Finding]:
    if not history.unfinished:
        return
    unfinished = [test.id for test in history.tests.values() if test.status == "unfinished"]
    where = f"in test {unfinished[-1]}" if unfinished else _outside_of_a_test(history)
    yield Finding(
        rule="run_unfinished",
        severity="error",
        message=f"the timeline ends {where}, without the end of the run: dsi was killed, or still runs. What was "
        "measured until then is here. `dsi test-control --attach` goes on with a cmd that still runs; `dsi teardown` "
        "ends what is left",
        test=unfinished[-1] if unfinished else None,
        file=FILE,
        time_s=history.last_s,
    )


def _outside_of_a_test(history: History) -> str:
    before_the_tests = all(test.status == "not run" for test in history.tests.values())
    stages = history.noted.get("stage", ())
    return f"in stage {stages[-1].fields.get('stage')}" if before_the_tests and stages else "outside of a test"


def _stage_failed(history: History, _folder: Folder) -> Iterator[Finding]:
    for name in STAGE_ENDS:
        for event in history.noted.get(name, ()):
            if (error := event.error) and not _is_told(history, error):
                yield Finding(
                    rule="stage_failed",
                    severity="error",
                    message=f"{name.removesuffix('_end')} failed, and no test ran after it: {_sentence(error)}",
                    file=FILE,
                    line=event.line,
                    time_s=event.time_s,
                )


def _is_told(history: History, error: str) -> bool:
    """Tell whether the task's end says it too, which is a finding of its own."""
    said = [_sentence(str(end.fields.get("error"))) for end in history.noted.get("task_end", ())]
    return any(_sentence(error) in one for one in said)


def _task_error(history: History, _folder: Folder) -> Iterator[Finding]:
    for event in history.noted.get("task_end", ()):
        if error := event.fields.get("error"):
            message = f"an error stopped the task, and no further test ran: {_sentence(str(error))}"
        elif event.fields.get("interrupted"):
            message = "the task was interrupted by somebody, and no further test ran"
        else:
            continue
        yield Finding(
            rule="task_error",
            severity="error",
            message=message,
            file=FILE,
            line=event.line,
            time_s=event.time_s,
            text=_logged(event),
        )


def _post_task_failed(history: History, _folder: Folder) -> Iterator[Finding]:
    for event in history.noted.get("task_end", ()):
        notes = event.fields.get("notes")
        for note in notes if isinstance(notes, list) else ():
            yield Finding(
                rule="post_task_failed",
                severity="warning",
                message=f"the tests are over, and this failed: {_sentence(str(note))}",
                file=FILE,
                line=event.line,
                time_s=event.time_s,
                text=_logged(event),
            )


def _node_down(history: History, _folder: Folder) -> Iterator[Finding]:
    for event in history.noted.get("node_down", ()):
        fields = event.fields
        if fields.get("expected") is not True:
            yield Finding(
                rule="node_down",
                severity="error",
                message=f"the node went down ({fields.get('how')}), and nobody had asked for it: "
                "look at its last log lines and for a core file; if it was meant to, write expect_down beside "
                "the command",
                test=fields.get("test"),
                host=fields.get("host"),
                node=fields.get("node"),
                file=FILE,
                line=event.line,
                time_s=event.time_s,
                text="\n".join(str(line)[:_LINE_CHARS] for line in fields.get("log_tail") or ()),
            )


def _restart_failed(history: History, _folder: Folder) -> Iterator[Finding]:
    for event in history.noted.get("restart_mongodb_end", ()):
        if error := event.error:
            yield Finding(
                rule="restart_failed",
                severity="error",
                message=f"a restart that was asked for failed, and the test has not measured what it should: "
                f"{_sentence(error)}",
                test=history.test_at(event.time_s),
                file=FILE,
                line=event.line,
                time_s=event.time_s,
            )


def _run_warning(history: History, _folder: Folder) -> Iterator[Finding]:
    for event in history.noted.get("warning", ()):
        yield Finding(
            rule="run_warning",
            severity="warning",
            message=f"dsi warned: {event.fields.get('message')}",
            test=event.fields.get("test") or history.test_at(event.time_s),
            host=event.fields.get("host"),
            file=FILE,
            line=event.line,
            time_s=event.time_s,
        )


def _timeline_damaged(history: History, _folder: Folder) -> Iterator[Finding]:
    if lines := history.damaged:
        yield Finding(
            rule="timeline_damaged",
            severity="warning",
            message="a line of the timeline can't be read: dsi was killed while it wrote, or the disk was full. "
            "What stood there is lost, so that something asked for may look as if it was not",
            file=FILE,
            line=lines[0],
            count=len(lines),
        )


def _timeline_version(history: History, _folder: Folder) -> Iterator[Finding]:
    for event in history.noted.get("timeline", ()):
        if (version := event.fields.get("version")) != timeline.VERSION:
            yield Finding(
                rule="timeline_version",
                severity="warning",
                message=f"another dsi has written this: its timeline is of version {version}, this dsi knows "
                f"{timeline.VERSION}. What it doesn't know it passes over, and something asked for may look as "
                "if it was not: analyze with that dsi",
                file=FILE,
                line=event.line,
            )
            return


def _clock_jump(history: History, _folder: Folder) -> Iterator[Finding]:
    for event, jump_s in history.jumps:
        yield Finding(
            rule="clock_jump",
            severity="warning",
            message=f"the clock of dsi's machine was set by {jump_s:+.1f} s: wall-clock times around it are off "
            "by that much, and windows of restarts and faults are taken as wider; monotonic_s is right",
            file=FILE,
            line=event.line,
            time_s=event.time_s,
        )
    for host, offset in history.offsets.items():
        if offset.uncertainty_s > _CLOCK_S:
            yield Finding(
                rule="clock_jump",
                severity="warning",
                message=f"the clock of the host was set in mid-run, or can't be told from ours but by "
                f"{offset.uncertainty_s:.1f} s: what was asked for and what was not is told apart only that well",
                host=host,
                file=FILE,
            )


def _core_file(_history: History, folder: Folder) -> Iterator[Finding]:
    for core in folder.cores:
        size = f"{core.path.stat().st_size:,} bytes{', packed' if plain_name(core.path) != core.path.name else ''}"
        yield Finding(
            rule="core_file",
            severity="error",
            message=f"a program has crashed and left a core file ({size}): `gdb PROGRAM CORE` shows where, with the "
            "program of just that version; the fatal lines of its log say why",
            test=core.test,
            host=core.host,
            node=core.node,
            file=core.file,
        )


def _sentence(error: str) -> str:
    """Leave out servers' last lines, which stand with the node that went down. An older dsi had them in all it said."""
    return sentence_of(error, [])


def _logged(task_end: Event) -> str:
    lines = task_end.fields.get("log_lines")
    return "\n".join(str(line)[:_LINE_CHARS] for line in (lines if isinstance(lines, list) else ())[:_MOST_LINES])


TEST_FAILED = RunRule(
    looks_for="tests that did not pass, by their exit status and dsi's own checks", check=_test_failed
)
RUN_UNFINISHED = RunRule(looks_for="a run without an end: dsi was killed", check=_run_unfinished)
STAGE_FAILED = RunRule(looks_for="a stage before the tests that failed", check=_stage_failed)
TASK_ERROR = RunRule(looks_for="an error or an interrupt that stopped the task", check=_task_error)
POST_TASK_FAILED = RunRule(looks_for="commands of post_task that failed", check=_post_task_failed)
NODE_DOWN = RunRule(looks_for="nodes that went down and were not meant to", check=_node_down)
RESTART_FAILED = RunRule(looks_for="restarts that were asked for and failed", check=_restart_failed)
RUN_WARNING = RunRule(looks_for="what dsi warned of while it ran", check=_run_warning)
TIMELINE_DAMAGED = RunRule(looks_for="lines of the timeline that can't be read", check=_timeline_damaged)
TIMELINE_VERSION = RunRule(looks_for="a timeline of another version of dsi", check=_timeline_version)
CLOCK_JUMP = RunRule(looks_for="clocks of dsi's machine and of hosts that were set during the run", check=_clock_jump)
LOG_DAMAGED = RunRule(  # what the reader of logs finds by the way
    looks_for="server logs that are cut off or damaged, or whose clock was set back", check=lambda _history, _folder: ()
)
FTDC_DAMAGED = RunRule(looks_for="diagnostic data that are cut off or damaged", check=lambda _history, _folder: ())
CORE_FILE = RunRule(looks_for="core files", check=_core_file)
