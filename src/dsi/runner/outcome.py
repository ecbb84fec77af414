"""What came out of a task: one word for each test, and one sentence why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from dsi.errors import (
    DsiError,
    HookFailed,
    HostError,
    NodeMissing,
    NoEffect,
    ReportError,
    SeveralFailed,
    StateError,
    TransferError,
)

Status = Literal[
    "infrastructure error",
    "invalid",
    "failed (validation)",
    "timed out",
    "failed (workload)",
    "cancelled",
    "not run",
    "passed",
]
"""How a test ends. Where several things went wrong the first in this list counts, and the others become notes: a lost
host or a restart that failed can be why `cmd` fails, and not the other way round.

infrastructure error: what surrounds the test broke (a host, a pre_test, a disk); no further test runs.
invalid: a restart or fault that was asked for did not take effect, or a node had been down since an earlier test; what
was measured isn't what was asked for.
failed (validation): the servers didn't come through: a node went down, data are damaged.
timed out: `cmd` hung, and was ended.
failed (workload): `cmd` exited with another status than 0, its post_test failed, or its output has no result.
"""

PRECEDENCE: Final[Sequence[Status]] = get_args(Status)


def status_of(problem: DsiError, otherwise: Status) -> Status:
    """Give what a test ends as for which this went wrong; `otherwise` where the problem itself doesn't say."""
    if isinstance(problem, HookFailed) and isinstance(problem.__cause__, DsiError):
        return status_of(problem.__cause__, otherwise)
    if isinstance(problem, SeveralFailed):
        return min((status_of(error, otherwise) for error in problem.errors), key=PRECEDENCE.index)
    if isinstance(problem, NoEffect | NodeMissing):
        return "invalid"
    if isinstance(problem, TransferError):  # one file that couldn't be copied is no lost host
        return otherwise
    return "infrastructure error" if isinstance(problem, HostError | ReportError | StateError) else otherwise


@dataclass(frozen=True, kw_only=True)
class TestOutcome:
    """One test. `exit_status` is that of `cmd` (None: it never ended by itself); `reason` says why it didn't pass.

    `log_lines`: what servers had logged last that are named in reason and notes.
    """

    id: str
    status: Status
    reason: str = ""
    exit_status: int | None = None
    start_s: float = 0.0
    duration_s: float = 0.0
    notes: Sequence[str] = ()
    log_lines: Sequence[str] = ()


@dataclass(kw_only=True)
class TaskOutcome:
    """A task. `error` is what stopped it, `notes` what failed without stopping anything: one line each.

    `log_lines`: what servers had logged last that are named there.
    """

    tests: list[TestOutcome] = field(default_factory=list)
    error: str = ""
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)
    log_lines: list[str] = field(default_factory=list)

    def exit_status(self, *, original: bool = False) -> int:
        """Give test_control's exit status: 0 all passed, 1 some did not, 3 an error stopped it, 130 interrupted.

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
