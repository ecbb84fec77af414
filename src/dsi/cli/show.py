"""The end of a run, for the person who waited for it."""

from pathlib import Path

from dsi.cli.console import console
from dsi.report.table import print_restarts, print_tests, why
from dsi.runner import TaskOutcome
from dsi.stages.session import Session
from dsi.timeline import read_events


class Ending:
    """What is to be shown of a session once its display is gone."""

    def __init__(self, session: Session, outcome: TaskOutcome | None) -> None:
        self.outcome = outcome
        self.reports = session.reports

    def show(self, *, original_exit_status: bool) -> int:
        """Print the tables, and give the exit status."""
        if self.outcome is None:
            return 0
        tests = self.outcome.tests
        print_tests(console, [(test.id, test.status, test.duration_s, why(test.reason, test.notes)) for test in tests])
        if self.reports is not None and (timeline := self.reports / "timeline.jsonl").exists():
            print_restarts(console, read_events(timeline, "restart_mongodb_end"))
        for note in self.outcome.notes:
            console.print(f"post_task failed: {note}", markup=False, soft_wrap=True)
        if self.outcome.error:
            console.print(f"dsi: an error stopped the task: {self.outcome.error}", markup=False, soft_wrap=True)
        if self.reports is not None:
            console.print(f"reports: {_short(self.reports)}", markup=False, soft_wrap=True)
        return self.outcome.exit_status(original=original_exit_status)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
