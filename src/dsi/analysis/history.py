"""What a timeline tells: the tests, when what was asked for, how far clocks were apart, whether the run has an end."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dsi import clock
from dsi.analysis.finding import TestVerdict
from dsi.analysis.windows import SETTLING_S, Kind, Window, Windows

FILE: Final = "timeline.jsonl"

_JUMP_S: Final = 1.0
"""How far wall-clock and monotonic time may part between two events before the clock is said to have jumped."""

_SPANS_ASKED_FOR: Final = frozenset({"cluster_start", "restart_mongodb"})
"""Whatever disturbs the servers on purpose, as long as it lasts."""
_COMMANDS: Final = frozenset({"hook_command", "during_test_command", "dsisocket_command"})
STAGE_ENDS: Final = ("provision_end", "install_end", "cluster_start_end")
_NOTED: Final = frozenset({"timeline", "stage", "node_down", "warning", "restart_mongodb_end", "task_end", *STAGE_ENDS})
_TEARDOWN: Final = "infrastructure_teardown"
_CALLED_OFF: Final = "CancelledError"
_MAX_LINE_BYTES: Final = 16 << 20

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of the timeline. `time_s`: seconds since the epoch; `monotonic_s`: NaN where it isn't there."""

    line: int
    name: str
    time_s: float
    monotonic_s: float
    fields: Fields

    @property
    def interrupted(self) -> bool:
        """Tell of the end of a span whether it was called off. An older dsi wrote that as an error."""
        return bool(self.fields.get("interrupted")) or self.fields.get("error") == _CALLED_OFF

    @property
    def error(self) -> str:
        """What the end of a span says that went wrong; nothing where it was called off."""
        return "" if self.interrupted else str(self.fields.get("error") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How far ahead of dsi's a host's clock was, and how sure that is; both in seconds."""

    offset_s: float = 0.0
    uncertainty_s: float = 0.0


@dataclass(kw_only=True)
class History:
    """A run. Times are seconds since the epoch, by dsi's clock.

    `known` is False where there is no timeline, or nothing in it can be read: nobody knows then what was asked for.
    `torn_down`: its last stage was teardown, which comes also after an error. `noted` has the events that rules look
    at, by name; `jumps` each time that dsi's clock was set, with by how many seconds; `damaged` the lines that can't
    be read.
    """

    known: bool = False
    begun_s: float = -math.inf
    last_s: float | None = None
    torn_down: bool = False
    tests: dict[str, TestVerdict] = field(default_factory=dict)
    windows: Windows = field(default_factory=Windows)
    offsets: dict[str, Offset] = field(default_factory=dict)
    noted: dict[str, list[Event]] = field(default_factory=dict)
    jumps: list[tuple[Event, float]] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Tell whether the task came to its end, or something that it told of kept it from that."""
        return bool(self.noted.get("task_end"))

    @property
    def unfinished(self) -> bool:
        """Tell whether something had begun, a stage or a test, and has no end: dsi was killed, or still runs."""
        return self.known and bool(self.noted.get("stage") or self.tests) and not self.ended and not self.torn_down

    def test_at(self, time_s: float) -> str | None:
        """Give the test that ran at a moment."""
        for test in self.tests.values():
            if test.start_s is not None and test.start_s <= time_s <= (math.inf if test.end_s is None else test.end_s):
                return test.id
        return None

    def offset_of(self, host: str | None) -> Offset:
        """Give a host's offset; none where none was measured."""
        return self.offsets.get(host or "", Offset())


def read_history(reports: Path) -> History:
    """Read `timeline.jsonl` as far as it can be read.

    Raises:
        OSError: there is one, and it can't be read.
    """
    if not (reports / FILE).exists():
        return History()
    reader = _Reader()
    for event in _events(reports / FILE, reader.history.damaged):
        reader.take(event)
    return reader.finish()


def _events(path: Path, damaged: list[int]) -> Iterator[Event]:
    """As `timeline.read`, but also of other versions, and it says which lines are damaged."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE_BYTES):
            number += 1
            try:
                fields = json.loads(line)
                yield Event(
                    line=number,
                    name=str(fields["event"]),
                    time_s=clock.wall_s_of(fields["time"]),
                    monotonic_s=float(fields.get("monotonic_s", math.nan)),
                    fields=fields,
                )
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                damaged.append(number)


class _Reader:
    """Takes the events in their order, and makes a history of them."""

    def __init__(self) -> None:
        self.history = History()
        self._begun: list[tuple[Event, Window]] = []
        self._windows: list[Window] = []
        self._before: Event | None = None
        self._takers: Mapping[str, Callable[[Event], None]] = {
            "timeline": self._process,
            "stage": self._stage,
            "test_begin": self._test_begin,
            "test_end": self._test_end,
            "node_down": self._node_down,
            "clock_offset": self._clock_offset,
            "cmd_end": self._cmd_end,
        }

    def take(self, event: Event) -> None:
        """Take one event."""
        self._follow_clock(event)
        self._follow_span(event)
        if event.name in _NOTED:
            self.history.noted.setdefault(event.name, []).append(event)
        if (taker := self._takers.get(event.name)) is not None:
            taker(event)

    def finish(self) -> History:
        """Give what was read. What has no end goes on: its dsi was killed, and nobody knows when it was over."""
        unsure_s = max((abs(jump_s) for _, jump_s in self.history.jumps), default=0.0)
        self.history.known = self._before is not None
        self.history.windows = Windows([*self._windows, *(window for _, window in self._begun)], unsure_s)
        return self.history

    def _follow_clock(self, event: Event) -> None:
        before, self._before = self._before, event
        self.history.last_s = event.time_s
        if before is None:  # unless lines before it are damaged: then nobody knows
            self.history.begun_s = -math.inf if self.history.damaged else event.time_s
        elif event.name != "timeline":  # another dsi, maybe on another machine
            jump_s = (event.time_s - before.time_s) - (event.monotonic_s - before.monotonic_s)
            if abs(jump_s) > _JUMP_S:
                self.history.jumps.append((event, jump_s))

    # --- spans --------------------------------------------------------------------------------------------------------

    def _follow_span(self, event: Event) -> None:
        name, _, side = event.name.rpartition("_")
        kind = _kind_of(name, event.fields)
        if kind is None or side not in ("begin", "end"):
            return
        what = _what(name, event.fields)
        if side == "begin":
            self._begun.append((event, Window(kind=kind, start_s=event.time_s, end_s=math.inf, what=what)))
        else:
            start_s = self._begin_of(name, event)
            times = sorted((start_s, event.time_s))  # the clock may have been set back meanwhile
            whole = name in _SPANS_ASKED_FOR and not event.error and not event.interrupted
            window = Window(kind=kind, start_s=times[0], end_s=times[1], what=what, whole=whole)
            self._windows.append(window)
            if whole:
                self._up_again(event.fields.get("restarted"), window)

    def _begin_of(self, name: str, end: Event) -> float:
        """Give when a span began, and take it from the open ones."""
        duration_s = float(end.fields.get("duration_s") or 0.0)
        number = end.fields.get("span")
        for item in self._begun:
            begin, window = item
            if begin.name == f"{name}_begin" and begin.fields.get("span") == number:
                self._begun.remove(item)
                return window.start_s
        return end.time_s - duration_s

    def _up_again(self, nodes: object, restart: Window) -> None:
        """Let nothing more follow from that nodes went down, once a restart has brought them back."""
        back = frozenset(nodes if isinstance(nodes, list) else ())
        for index, window in enumerate(self._windows):
            if window.kind == "down" and window.nodes <= back and window.start_s + SETTLING_S >= restart.start_s:
                self._windows[index] = replace(window, end_s=max(window.start_s, restart.end_s), whole=True)

    # --- single events ------------------------------------------------------------------------------------------------

    def _process(self, event: Event) -> None:
        """Another dsi goes on, since the one before was killed: what that had begun is over."""
        self._windows += [replace(window, end_s=max(window.start_s, event.time_s)) for _, window in self._begun]
        self._begun.clear()

    def _stage(self, event: Event) -> None:
        stage = event.fields.get("stage")
        self.history.torn_down = stage == _TEARDOWN
        self._stage_is_over(event)
        if stage in ("mongodb_setup", _TEARDOWN):
            what = f"stage {stage}"
            self._windows.append(
                Window(kind="restart", start_s=event.time_s, end_s=math.inf, what=what, whole=True, of_a_stage=True)
            )

    def _stage_is_over(self, event: Event) -> None:
        """End what the stage before has disturbed. What follows from it, `cluster_start` says."""
        for index, window in enumerate(self._windows):
            if window.of_a_stage and window.end_s == math.inf:
                self._windows[index] = replace(window, end_s=max(window.start_s, event.time_s))

    def _test_begin(self, event: Event) -> None:
        name = str(event.fields.get("test"))
        self._stage_is_over(event)
        known = self.history.tests.get(name)  # it goes on, where dsi was killed and another has taken it over
        start_s = event.time_s if known is None else known.start_s
        self.history.tests[name] = TestVerdict(id=name, status="unfinished", start_s=start_s)

    def _test_end(self, event: Event) -> None:
        name, exit_status = str(event.fields.get("test")), event.fields.get("exit_status")
        known = self.history.tests.get(name)
        self.history.tests[name] = TestVerdict(
            id=name,
            status=str(event.fields.get("status") or "unfinished"),
            reason=str(event.fields.get("reason") or ""),
            exit_status=exit_status if isinstance(exit_status, int) else None,
            start_s=known.start_s if known else None,
            end_s=event.time_s,
        )

    def _node_down(self, event: Event) -> None:
        node, host = str(event.fields.get("node")), str(event.fields.get("host"))

        def window(kind: Kind, end_s: float, what: str) -> Window:
            nodes, hosts = frozenset({node}), frozenset({host})
            return Window(kind=kind, start_s=event.time_s, end_s=end_s, what=what, nodes=nodes, hosts=hosts)

        if event.fields.get("expected") is True:
            what = f"{node} went down, as was asked for"
            self._windows += [window("down", event.time_s, what), window("was_down", math.inf, what)]
        else:
            self._windows.append(window("lost", event.time_s, f"{node} went down"))

    def _cmd_end(self, event: Event) -> None:
        what = "the workload ended"
        self._windows.append(Window(kind="cmd_end", start_s=event.time_s, end_s=event.time_s, what=what))

    def _clock_offset(self, event: Event) -> None:
        """Keep what was measured. If a second measurement differs the clock has drifted, and was somewhere between."""
        fields, host = event.fields, str(event.fields.get("host"))
        try:
            offset_s, unsure_s = float(fields["offset_s"]), abs(float(fields.get("uncertainty_s") or 0.0))
        except (KeyError, TypeError, ValueError):
            return
        if (before := self.history.offsets.get(host)) is not None:
            unsure_s = max(unsure_s, before.uncertainty_s) + abs(offset_s - before.offset_s)
            offset_s = before.offset_s
        self.history.offsets[host] = Offset(offset_s=offset_s, uncertainty_s=unsure_s)


def _kind_of(name: str, fields: Fields) -> Kind | None:
    if name in _SPANS_ASKED_FOR:
        return "crash" if fields.get("mode") == "crash" else "restart"
    if name not in _COMMANDS:
        return None
    command = json.dumps(fields.get("command"))
    if "expect_down" in command:
        return "fault"
    return "command" if "on_" in command and "retrieve_files" not in command else None


def _what(name: str, fields: Fields) -> str:
    if name in _COMMANDS:
        command = fields.get("command")
        shown = command if isinstance(command, str) else json.dumps(command)
        return f"{fields.get('path') or 'over the dsisocket'}: {shown}"[:300]
    return f"{name} ({fields['mode']})" if fields.get("mode") else name
