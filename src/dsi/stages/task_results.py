"""What is written of a task's outcome: `test_control.out.yml`, and `reports/junit.xml`."""

import os
from pathlib import Path
from typing import Any, Final

from dsi.clock import SYSTEM
from dsi.config import Tree
from dsi.report.folder import keep_text, writing
from dsi.report.junit import Case, Kind, junit_xml
from dsi.runner import KILLED, Status, TaskOutcome, TestOutcome

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
    """Writes them, again and again as the task goes on. `task_name` is the name of the suite in junit.xml."""

    def __init__(self, tree: Tree, reports: Path, task_name: str) -> None:
        self._tree = tree
        self._reports = reports
        self._task_name = task_name
        self._begun_s = SYSTEM.wall_s()

    def write(self, outcome: TaskOutcome) -> None:
        """Write both files anew.

        Raises:
            ReportError: the disk is full, say.
        """
        self._tree.write_out(STAGE, {**out_of(outcome), "reports": self._reports.name})
        begun_s = min([test.start_s for test in outcome.tests if test.start_s], default=self._begun_s)
        cases = [self._case(test) for test in outcome.tests]
        if not any(case.kind in ("failure", "error") for case in cases) and outcome.exit_status():
            cases.append(_whole_task(outcome))
        remarks = [text for text in (outcome.error, *outcome.notes) if text]
        keep_text(self._reports / "junit.xml", junit_xml(self._task_name, cases, start_s=begun_s, remarks=remarks))

    def _case(self, test: TestOutcome) -> Case:
        return Case(
            name=test.id,
            kind=_KINDS[test.status],
            outcome=test.status,
            reason=test.reason,
            notes=test.notes,
            duration_s=test.duration_s,
            output=_end_of(self._reports / test.id / "test_output.log"),
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
        }
        for test in outcome.tests
    }
    return {"exit_codes": tests, "error": outcome.error or None, "exit_status": outcome.exit_status()}


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
