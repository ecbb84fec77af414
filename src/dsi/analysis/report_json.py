"""`report.json`, in the form that the original DSI wrote and that its readers know.

`{"failures": N, "results": [{"test_file", "status": "pass" | "fail", "start", "end", "exit_code", "log_raw"}]}`: an
entry for each test, each server log and each host's core files, and one for everything else. `test_file` is no file but
what the entry is about; `start` and `end` are seconds since the epoch, 0 where there is none; `exit_code` is 0 just
where it passed.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dsi.analysis.analysis import Analysis
from dsi.analysis.finding import Finding
from dsi.report.folder import writing
from dsi.whole_file import write_whole

NAME = "report.json"


def write_report_json(analysis: Analysis, reports: Path) -> Path:
    """Write `report.json` into the reports folder, and give its path.

    Raises:
        ReportError: it can't be written.
    """
    path = reports / NAME
    with writing(path):
        write_whole(path, (json.dumps(report_of(analysis), indent=4) + "\n").encode())
    return path


def report_of(analysis: Analysis) -> dict[str, Any]:
    """Give the content of `report.json`. Pure."""
    results = [*_tests(analysis), *_logs(analysis), *_cores(analysis), *_rest(analysis)]
    return {"failures": sum(result["status"] == "fail" for result in results), "results": results}


def _tests(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for test in analysis.tests:
        exit_status = 0 if test.passed else test.exit_status or 1
        text = test.reason or test.status
        yield _result(test.id, exit_status, text, start=test.start_s or 0, end=test.end_s or 0)


def _logs(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for log in analysis.folder.logs:
        yield _of_findings(
            log.file, [one for one in analysis.findings if one.file == log.file], "No bad messages found"
        )


def _cores(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for test, host in analysis.folder.hosts:
        found = [one for one in analysis.findings if (one.rule, one.test, one.host) == ("core_file", test, host)]
        yield _of_findings(f"core.{test}.{host}", found, "No core files found")


def _rest(analysis: Analysis) -> Iterator[dict[str, Any]]:
    logs = {log.file for log in analysis.folder.logs}
    rest = [one for one in analysis.findings if one.rule not in ("core_file", "test_failed") and one.file not in logs]
    yield _of_findings("run", rest, "Nothing else was found")


def _of_findings(name: str, findings: Sequence[Finding], nothing: str) -> dict[str, Any]:
    failed = any(one.severity == "error" for one in findings)
    times = [one.time_s for one in findings if one.time_s is not None]
    text = "\n".join(_lines(findings)) or nothing
    return _result(name, int(failed), text, start=min(times, default=0), end=max(times, default=0))


def _lines(findings: Iterable[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"{one.severity}: {one.rule}: {one.message}" + (f" ({one.count} times)" if one.count > 1 else "")
        if one.text:
            yield f"{one.line}: {one.text}" if one.line else one.text


def _result(name: str, exit_code: int, text: str, *, start: float, end: float) -> dict[str, Any]:
    return {
        "test_file": name,
        "status": "fail" if exit_code else "pass",
        "start": start,
        "end": end,
        "exit_code": exit_code,
        "log_raw": text,
    }
