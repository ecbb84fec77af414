"""`dsi analyze`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from dsi import clock
from dsi.analysis import RULES, Analysis, Finding, write_report_json
from dsi.cli.console import WorkDirectory, console, guarded, start_log
from dsi.errors import DsiError
from dsi.masking import masked
from dsi.stages.analysis import analysis, analysis_of_run

Reports = Annotated[
    Path | None,
    typer.Argument(
        metavar="REPORTS", help="A reports folder; else the work directory's.", exists=True, file_okay=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")]
ListRules = Annotated[bool, typer.Option("--rules", help="List what is looked for.")]


_SHOWN_LINES = 4
_BRIEF_FINDINGS = 5
_TOLD_ALREADY = ("test_failed", "node_down", "task_error", "restart_failed")
"""At the end of a run these are in its tables."""


def command(
    reports: Reports = None, work_dir: WorkDirectory = Path(), as_json: AsJson = False, rules: ListRules = False
) -> None:
    """Look for what is wrong in a reports folder; exit status 0: nothing, 1: errors, 2: configuration, 3: not readable.

    It needs no host, and writes report.json into the folder.
    """
    start_log()
    if rules:
        for name, rule in RULES.items():
            typer.echo(f"{name:22}{rule.looks_for}")
        return
    found = guarded(lambda: analysis(work_dir, reports))
    lines = [json.dumps(found.as_json(), indent=2, ensure_ascii=False)] if as_json else shown(found)
    for line in lines:
        typer.echo(masked(line))
    guarded(lambda: write_report_json(found, found.reports))  # last: what was found is worth more
    raise typer.Exit(found.exit_status)


def brief(work_directory: Path, reports: Path) -> None:
    """Analyze the reports of a run, and say in a few lines what is wrong. It changes no exit status."""
    try:
        found = analysis_of_run(work_directory, reports)
        write_report_json(found, reports)
    except DsiError as problem:  # how the tests ended has been told
        say(f"analysis: {problem}")
        return
    except KeyboardInterrupt:
        say("analysis: interrupted; `dsi analyze` begins again")
        return
    errors = [one for one in found.findings if one.severity == "error" and one.rule not in _TOLD_ALREADY]
    for one in errors[:_BRIEF_FINDINGS]:
        say(f"{one.rule}: {one.message} ({one.file}{f':{one.line}' if one.line else ''})")
    say(f"analysis: {_counts(found)}" + ("; `dsi analyze` has them all" if found.findings else ""))


def say(text: str) -> None:
    """Print a line where people look."""
    console.print(masked(text), markup=False, highlight=False, soft_wrap=True)


def shown(found: Analysis) -> Iterator[str]:
    """Give what was found as lines for people, the last one a summary."""
    for finding in found.findings:
        yield from _finding(finding)
    if found.findings:
        yield ""
    yield summary(found)


def summary(found: Analysis) -> str:
    """Say in one line what came out."""
    by_status: dict[str, int] = {}
    for test in found.tests:
        by_status[test.status] = by_status.get(test.status, 0) + 1
    tests = ", ".join(f"{count} {status}" for status, count in by_status.items())
    expected = sum(found.expected.values())
    parts = [
        f"tests: {tests or 'none'}",
        _counts(found),
        f"{_many(len(found.folder.logs), 'server log')} read ({_many(found.log_lines, 'line')})",
    ]
    if expected:
        parts.append(f"{_many(expected, 'line')} explained by restarts and faults that were asked for")
    if found.ignored:
        parts.append(f"{_many(found.ignored, 'finding')} ignored (analysis.ignore)")
    return "; ".join(parts)


def _counts(found: Analysis) -> str:
    return f"{_many(found.errors, 'error')}, {_many(len(found.findings) - found.errors, 'warning')}"


def _finding(finding: Finding) -> Iterator[str]:
    where = [finding.test and f"test {finding.test}", "/".join(part for part in (finding.host, finding.node) if part)]
    when = clock.isoformat(finding.time_s) if finding.time_s is not None else ""
    count = f"{finding.count} times, the first" if finding.count > 1 else ""
    head = "  ".join(part for part in (finding.rule, *where, count, when) if part)
    yield f"{finding.severity:8} {head}"
    yield f"         {finding.message}"
    if finding.file is not None:
        yield f"         {finding.file}" + (f":{finding.line}" if finding.line else "")
    lines = finding.text.splitlines()
    for line in lines[:_SHOWN_LINES]:
        yield f"           | {line}"
    if len(lines) > _SHOWN_LINES:
        yield f"           | … and {_many(len(lines) - _SHOWN_LINES, 'more line')}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
