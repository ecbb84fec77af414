"""The server logs of a reports folder against the rules: each line once, and what was asked for is no finding."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dsi.analysis.finding import Finding, Severity
from dsi.analysis.folder import Source
from dsi.analysis.history import History
from dsi.analysis.rules import RULES, LogRule
from dsi.analysis.rules.logs import HEALTHY, NEEDLES
from dsi.analysis.server_log import Entry, Scan, read_log
from dsi.analysis.windows import (
    Kind,
    Settling,
    Window,
    as_long_as_it_may_matter,
    not_after_its_end,
    until_it_is_over,
    until_orders_are_over,
)

_RULES: Final = {name: rule for name, rule in RULES.items() if isinstance(rule, LogRule)}
_IDS: Final = frozenset(number for rule in _RULES.values() for number in rule.ids)
_ANY_ERROR: Final = "log_error"
"""Its lines have nothing in common but their severity, so those of each id are a finding of their own."""


@dataclass(kw_only=True)
class LogFindings:
    """What came of the logs. `expected` counts lines that were explained, by rule."""

    findings: list[Finding] = field(default_factory=list)
    expected: Counter[str] = field(default_factory=Counter)
    lines: int = 0


def check_logs(logs: Sequence[Source], history: History) -> LogFindings:
    """Read all logs, in the order of the tests. What a later test's copy repeats of an earlier one's is passed over."""
    order = {name: number for number, name in enumerate(history.tests)}
    result = LogFindings()
    seen: dict[str, dict[bytes, int]] = {}
    heard: set[tuple[str | None, str | None]] = set()
    for log in sorted(logs, key=lambda one: (order.get(one.test or "", math.inf), one.file)):
        check = _LogCheck(log, history, result)
        check.run(seen.setdefault(log.host or log.file, {}), heard)
    return result


class _LogCheck:
    """One file. Lines of one rule (and, of mere errors, of one id) are one finding: the first, and how many."""

    def __init__(self, log: Source, history: History, result: LogFindings) -> None:
        self._log = log
        self._history = history
        self._offset = history.offset_of(log.host)
        self._result = result
        self._found: dict[tuple[str, int, Severity, str | None], Finding] = {}

    def run(self, seen: dict[bytes, int], heard: set[tuple[str | None, str | None]]) -> None:
        """Read it. `seen`: how many lines are known of logs of this host that begin with this line; `heard`: hosts and
        nodes of which there are lines: where such a server had nothing to log in a test, its log of that is empty.
        """
        scan = Scan()
        for entry in read_log(self._log.path, _is_wanted, scan, skip=lambda first: seen.get(first, 0)):
            self._judge(entry)
        if scan.first_line:
            seen[scan.first_line] = max(scan.lines, seen.get(scan.first_line, 0))
        self._result.lines += scan.lines
        self._result.findings += self._found.values()
        server = (self._log.host, self._log.node)
        if scan.lines or scan.unreadable or server not in heard:
            self._result.findings += _damage(self._log, scan)
        if scan.recognised:
            heard.add(server)

    def _judge(self, entry: Entry) -> None:
        name = next((name for name, rule in _RULES.items() if rule.matches(entry)), None)
        if name is None or (name == _ANY_ERROR and HEALTHY.search(entry.message)):
            return
        time_s = entry.time_s - self._offset.offset_s
        if self._history.windows.is_before(time_s, self._history.begun_s, more_s=self._offset.uncertainty_s):
            return  # of an earlier run, or stage: the log was not cleaned since
        rule = _RULES[name]
        if self._explained(rule, entry, time_s):
            self._result.expected[name] += 1
            return
        self._add(name, rule, entry, time_s)

    def _explained(self, rule: LogRule, entry: Entry, time_s: float) -> bool:
        around = self._around(rule.expected_in, time_s, self._expected_until(rule, entry, time_s))
        if rule.levels == {"F"} or "was_down" in rule.expected_in:  # what is about this one node
            around = [one for one in around if one.kind == "crash" or one.concerns(self._log.node, self._log.host)]
        return bool(around) and rule.is_expected(entry)

    def _expected_until(self, rule: LogRule, entry: Entry, time_s: float) -> Settling:
        """Say how long after a restart or fault such a line is no finding; a node that is lost then goes before it."""
        if self._around(rule.follows_in & {"lost"}, time_s, as_long_as_it_may_matter):
            return not_after_its_end
        if rule.noticed_late:
            return as_long_as_it_may_matter
        return until_orders_are_over if rule.is_order(entry) else until_it_is_over

    def _around(self, kinds: "frozenset[Kind]", time_s: float, settling: Settling) -> list[Window]:
        return self._history.windows.between(time_s, time_s, kinds, settling, more_s=self._offset.uncertainty_s)

    def _cause(self, rule: LogRule, entry: Entry, time_s: float) -> Window | None:
        """Give what a line may come from: a node that was lost before anything else, then a command of the user."""
        if not rule.is_expected(entry):
            return None
        settling = until_orders_are_over if rule.is_order(entry) else as_long_as_it_may_matter
        causes = self._around(rule.follows_in, time_s, settling)
        return min(causes, key=lambda one: (one.kind != "lost", one.kind != "command", -one.start_s), default=None)

    def _add(self, name: str, rule: LogRule, entry: Entry, time_s: float) -> None:
        cause = self._cause(rule, entry, time_s)
        test = self._history.test_at(time_s) or (None if self._history.known else self._log.test)
        severity = "warning" if cause is not None or self._is_harmless(rule, test) else rule.severity
        key = (name, entry.id if name == _ANY_ERROR else 0, severity, test)
        if (known := self._found.get(key)) is not None:
            self._found[key] = replace(known, count=known.count + 1)
            return
        because = f" (at that time, or shortly before: {cause.what})" if cause is not None else ""
        self._found[key] = Finding(
            rule=name,
            severity=severity,
            message=rule.means + because,
            test=test,
            host=self._log.host,
            node=self._log.node,
            file=self._log.file,
            line=entry.line,
            time_s=entry.time_s,
            text=entry.text,
        )

    def _is_harmless(self, rule: LogRule, test: str | None) -> bool:
        """Tell whether a window could have explained it, and no test ran or nobody knows what was asked for."""
        could_be_asked_for = bool(rule.expected_in) and bool(rule.ids)
        return could_be_asked_for and (test is None or not self._history.known)


def _is_wanted(severity: bytes, number: int, old_message: bytes) -> bool:
    if severity in (b"E", b"F") or number in _IDS:
        return True
    return bool(old_message) and any(needle in old_message for needle in NEEDLES)


def _damage(log: Source, scan: Scan) -> Iterator[Finding]:
    def finding(message: str, line: int, count: int = 1) -> Finding:
        return Finding(
            rule="log_damaged",
            severity="warning",
            message=message,
            test=log.test,
            host=log.host,
            node=log.node,
            file=log.file,
            line=line,
            count=count,
        )

    if scan.unreadable:
        message = "the file can't be read to its end, so that what came then is not known"
        yield finding(f"{message}: {scan.unreadable}", scan.lines)
    if not scan.recognised:
        message = "no line here is one of a server: it is empty or damaged, so that what the server did is not known"
        yield finding(message, scan.lines)
        return
    if scan.cut and not scan.unreadable:
        message = "the last line is cut off: the file was copied while it was written, or the disk was full"
        yield finding(message, scan.lines)
    if scan.damaged:
        message = "a line here is none of a server: a damaged disk, a crash in mid-line, or another program's output"
        yield finding(message, scan.first_damaged, scan.damaged)
    if scan.went_back is not None:
        line, back_s = scan.went_back
        message = f"the host's clock was set back by {back_s:.1f} s: what was asked for and what was not is told apart "
        yield finding(message + "only that well", line)
