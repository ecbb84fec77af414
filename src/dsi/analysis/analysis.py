"""A reports folder → what is wrong in it."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dsi import clock
from dsi.analysis.diagnostics import check_diagnostics
from dsi.analysis.finding import Finding, TestVerdict
from dsi.analysis.folder import Folder, read_folder
from dsi.analysis.history import History, read_history
from dsi.analysis.logs import check_logs
from dsi.analysis.rules import RULES, RunRule
from dsi.analysis.tests import complete_tests
from dsi.errors import ReportError

VERSION: Final = 1
"""Of the form that `as_json` gives."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What came out. `findings`: errors first, then in the order of time.

    `expected` is how many log lines were explained by what was asked for, by rule; `ignored` how many findings the
    configuration hides.
    """

    reports: Path
    tests: Sequence[TestVerdict]
    findings: Sequence[Finding]
    folder: Folder
    expected: dict[str, int]
    ignored: int
    log_lines: int

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(one.severity == "error" for one in self.findings)

    @property
    def exit_status(self) -> int:
        """0: nothing was found that is an error; else 1."""
        return int(self.errors > 0)

    def as_json(self) -> dict[str, Any]:
        """Give it for programs: plain values, times in ISO 8601 (UTC). `docs/analysis.md` has the form."""
        return {
            "version": VERSION,
            "reports": str(self.reports),
            "exit_status": self.exit_status,
            "tests": [_plain(test) for test in self.tests],
            "findings": [_plain(one) for one in self.findings],
            "expected": self.expected,
            "ignored": self.ignored,
            "read": {
                "logs": [log.file for log in self.folder.logs],
                "log_lines": self.log_lines,
                "diagnostic_data": [one.file for one in self.folder.diagnostics],
            },
        }


def analyze(reports: Path, hides: Iterable[Callable[[Finding], bool]] = ()) -> Analysis:
    """Look at all that lies in a reports folder. Findings that one of `hides` is true of are left out.

    Raises:
        ReportError: it can't be read, or there is nothing in it that could be looked at.
    """
    reports = reports.resolve()
    try:
        history, folder = read_history(reports), read_folder(reports)
    except OSError as problem:
        raise ReportError(f"{problem.filename or reports} can't be read: {problem.strerror or problem}") from problem
    if (
        not complete_tests(history, reports)
        and not history.known
        and not (folder.logs or folder.cores or folder.diagnostics)
    ):
        raise ReportError(
            f"{reports} has nothing to analyze: no timeline.jsonl with a line in it, no test_control.out.yml and no "
            "server's log; name the reports folder of a run (reports-<time>), or go to its work directory"
        )
    logs = check_logs(folder.logs, history)
    found = [*_of_the_run(history, folder), *logs.findings, *check_diagnostics(folder.diagnostics, history)]
    hides = list(hides)
    kept = [one for one in found if not any(hide(one) for hide in hides)]
    return Analysis(
        reports=reports,
        tests=tuple(history.tests.values()),
        findings=sorted(kept, key=_order),
        folder=folder,
        expected=dict(sorted(logs.expected.items())),
        ignored=len(found) - len(kept),
        log_lines=logs.lines,
    )


def _of_the_run(history: History, folder: Folder) -> Iterator[Finding]:
    for rule in RULES.values():
        if isinstance(rule, RunRule):
            yield from rule.check(history, folder)


def _order(finding: Finding) -> tuple[bool, float, str, int]:
    time_s = math.inf if finding.time_s is None else finding.time_s
    return (finding.severity != "error", time_s, finding.file or "", finding.line or 0)


def _plain(value: TestVerdict | Finding) -> dict[str, Any]:
    """Give a dataclass as a mapping; `..._s` that is seconds since the epoch as a time."""
    plain = asdict(value)
    for name in ("time_s", "start_s", "end_s"):
        if name in plain:
            time_s = plain.pop(name)
            plain[name.removesuffix("_s")] = None if time_s is None else clock.isoformat(time_s)
    return plain
