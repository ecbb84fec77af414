"""What an analysis finds."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that isn't as it should be.

    `message` says what it means and what to do; `text` is the evidence, a log line for instance. `file` is relative to
    the reports folder, `line` counts from 1 in what is in it once it is unpacked. `time_s` is seconds since the epoch
    as the host's own clock had it. `count`: it happened so many times in that file, the first time here.
    """

    rule: str
    severity: Severity
    message: str
    test: str | None = None
    host: str | None = None
    node: str | None = None
    file: str | None = None
    line: int | None = None
    time_s: float | None = None
    text: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TestVerdict:
    """How a test ended. `status` is the runner's word (`passed`, `failed` …), `unfinished` where there is none.

    `start_s` and `end_s` are seconds since the epoch by dsi's clock.
    """

    id: str
    status: str
    reason: str = ""
    exit_status: int | None = None
    start_s: float | None = None
    end_s: float | None = None

    @property
    def passed(self) -> bool:
        """Tell whether it is as it should be."""
        return self.status == "passed"
