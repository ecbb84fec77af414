"""What is written of a task's outcome: `test_control.out.yml`, and `reports/junit.xml`."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dsi import config
from dsi.clock import SYSTEM
from dsi.config import Tree
from dsi.errors import ReportError
from dsi.report.folder import keep_text, writing
from dsi.report.junit import Case, Kind, junit_xml
from dsi.runner import KILLED, Status, TaskOutcome, TestOutcome
from dsi.stages.copies import copy_masked

STAGE: Final = "test_control"

OUTPUT_BYTES: Final = 16_384
"""How much of the end of a test's output junit.xml has: CI systems show it beside the test, and keep it for long."""

_KINDS: Final[dict[Status, Kind]] = {
    "passed": "passed",
    "failed (workload)": "failure",
    "failed (validation)": "failure",
    "timed out": "failure",
    "infrastructure error": "error",
    "invalid": "error",
    "cancelled": "error",
    "not run": "skipped",
}
"""A failure is what was tested not holding, an error that this isn't known."""


class TaskResults:
    """Writes them, again and again as the task goes on, from its first stage on.

    `unwritten`: why what was to be written last could not be; empty: it was. `are_decided`: what came before the tests
    is over.
    """

    def __init__(self, tree: Tree, reports: Path) -> None:
        self.unwritten = ""
        self.are_decided = False
        self.reports = reports
        self.go_on_with(tree)
        self._last: TaskOutcome | None = None
        self._begun_s = SYSTEM.wall_s()

    def go_on_with(self, tree: Tree) -> None:
        """Take the tests, and the name of their suite in junit.xml, from the configuration as it is now."""
        settings = config.test_control(tree, lenient=True)
        self._tree = tree
        self._task_name = settings.task_name
        self._tests = [test.id for test in settings.run]

    def begin_stage(self, stage: str) -> None:
        """Write what is true if dsi is killed in this stage, before the first test.

        Raises:
            ReportError: the disk is full, say.
        """
        self._write(self._none_has_run(f"dsi was killed before, in {stage}", f"{KILLED} in {stage}"))

    def end_before_the_tests(self, error: str, log_lines: list[str], *, interrupted: bool) -> None:
        """Write that no test has run, since this came before.

        Raises:
            ReportError
        """
        why = "the run was interrupted before" if interrupted else "an error stopped the run before"
        self.write(replace(self._none_has_run(why, error), interrupted=interrupted, log_lines=log_lines))

    def write(self, outcome: TaskOutcome) -> None:
        """Write what has come of the tests until now.

        Raises:
            ReportError
        """
        self.are_decided = True
        self._last = outcome
        self._write(outcome)

    def write_again(self) -> None:
        """Write what could not be written: a disk that was full may have room again.

        Raises:
            ReportError
        """
        if self.unwritten and self._last is not None:
            self._write(self._last)

    def _none_has_run(self, why: str, error: str) -> TaskOutcome:
        tests = [TestOutcome(id=test, status="not run", reason=why) for test in self._tests]
        return TaskOutcome(tests=tests, error=error)

    def _write(self, outcome: TaskOutcome) -> None:
        try:
            self._write_junit(outcome)
            # Last, since the timeline tells the same next: a dsi that is killed in between leaves two that differ.
            self._tree.write_out(STAGE, {**out_of(outcome), "reports": self.reports.name})
            copy_masked(self._tree.work_directory / f"{STAGE}.out.yml", self.reports)
        except ReportError as problem:
            self.unwritten = str(problem)
            raise
        self.unwritten = ""

    def _write_junit(self, outcome: TaskOutcome) -> None:
        begun_s = min([test.start_s for test in outcome.tests if test.start_s], default=self._begun_s)
        cases = [self._case(test) for test in outcome.tests]
        if not any(case.kind in ("failure", "error") for case in cases) and outcome.exit_status():
            cases.append(_whole_task(outcome))
        remarks = [text for text in (outcome.error, *outcome.notes, *outcome.log_lines) if text]
        keep_text(self.reports / "junit.xml", junit_xml(self._task_name, cases, start_s=begun_s, remarks=remarks))

    def _case(self, test: TestOutcome) -> Case:
        return Case(
            name=test.id,
            kind=_KINDS[test.status],
            outcome=test.status,
            reason=test.reason,
            notes=[*test.notes, *test.log_lines],
            duration_s=test.duration_s,
            output=_end_of(self.reports / test.id / "test_output.log"),
        )


def killed_before(tree: Tree) -> str:
    """Give what is to be said of the last task, if dsi was killed in the middle of it; else nothing."""
    error = tree.get("test_control.out.error") if tree.has("test_control.out.error") else None
    if not str(error).startswith(KILLED):
        return ""
    return f"the last task: {error}; what it had measured is in {tree.get('test_control.out.reports')}"


def out_of(outcome: TaskOutcome) -> dict[str, Any]:
    """Give what goes into `test_control.out.yml`: a `status` of 0 is a test that passed, as the original has it."""
    tests = {
        test.id: {
            "status": 0 if test.status == "passed" else test.exit_status or 1,
            "message": test.reason or test.status,
            "outcome": test.status,
            **({"notes": list(test.notes)} if test.notes else {}),
            **({"log_lines": list(test.log_lines)} if test.log_lines else {}),
        }
        for test in outcome.tests
    }
    return {
        "exit_codes": tests,
        "error": outcome.error or None,
        **({"notes": list(outcome.notes)} if outcome.notes else {}),
        **({"log_lines": list(outcome.log_lines)} if outcome.log_lines else {}),
        "exit_status": outcome.exit_status(),
    }


def _whole_task(outcome: TaskOutcome) -> Case:
    """Give a task that broke outside of its tests as one that isn't in order: a CI system looks at tests alone."""
    what: Status = "cancelled" if outcome.interrupted else "infrastructure error"
    return Case(name="(the task itself)", kind="error", outcome=what, reason=outcome.error or "interrupted by the user")


def _end_of(path: Path) -> str:
    """Give the last lines of a test's output; nothing where there is none."""
    if not path.is_file():
        return ""
    with writing(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - OUTPUT_BYTES, 0))
        text = file.read(OUTPUT_BYTES).decode(errors="replace")
    return text if size <= OUTPUT_BYTES else f"… (the last {OUTPUT_BYTES} of {size} bytes)\n{text}"
