"""What came out of a task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["passed", "failed", "error", "interrupted", "not run"]


@dataclass(frozen=True, kw_only=True)
class TestOutcome:
    """One test. `exit_status` is that of `cmd` (None: it never ended by itself); `reason` says why it didn't pass."""

    id: str
    status: Status
    reason: str = ""
    exit_status: int | None = None
    start_s: float = 0.0
    duration_s: float = 0.0
    notes: Sequence[str] = ()


@dataclass(kw_only=True)
class TaskOutcome:
    """A task. `error` is what stopped it, `notes` what failed without stopping anything."""

    tests: list[TestOutcome] = field(default_factory=list)
    error: str = ""
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)

    def exit_status(self, *, original: bool = False) -> int:
        """Give test_control's exit status: 0 passed, 1 failed tests, 3 an error stopped it, 130 interrupted.

        `original`: as the original had it, 0 unless every test failed.
        """
        if self.interrupted:
            return 130
        if self.error:
            return 3
        failed = sum(test.status != "passed" for test in self.tests)
        if original:
            return int(bool(self.tests) and failed == len(self.tests))
        return int(failed > 0)
