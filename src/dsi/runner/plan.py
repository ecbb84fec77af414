"""What a task will do, all of it read and checked before it begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dsi.commands import Command
from dsi.config.models import Test


@dataclass(frozen=True)
class HookCommand:
    """One command of a hook; `path` is where it stands in the configuration."""

    path: str
    raw: Any
    command: Command


Hook = Sequence[HookCommand]


@dataclass(frozen=True, kw_only=True)
class TestPlan:
    """One test with the hooks that surround it, each in the order in which its commands run.

    `during_test` has the second after the start of `cmd` at which each command is due.
    """

    test: Test
    pre_test: Hook = ()
    during_test: Sequence[tuple[int, HookCommand]] = ()
    post_test: Hook = ()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long `cmd` may be silent, and how long it may take (None: any time), in seconds."""

    no_output_s: float
    max_time_s: float | None


@dataclass(frozen=True, kw_only=True)
class TaskPlan:
    """A task: its tests in order, and what surrounds them. Times are in seconds; those of a test itself come first.

    `max_time_s` None: a `cmd` may take as long as it likes.
    """

    tests: Sequence[TestPlan]
    pre_task: Hook = ()
    between_tests: Hook = ()
    post_task: Hook = ()
    no_output_s: float = 5400
    max_time_s: float | None = None
    delay_s: float = 0
    max_log_bytes: int = 1 << 28

    def limits_of(self, test: Test) -> Limits:
        """Give the limits of a test's `cmd`."""
        own = test.timeouts
        return Limits(
            no_output_s=own.no_output_ms / 1000 if own.no_output_ms else self.no_output_s,
            max_time_s=own.max_time_ms / 1000 if own.max_time_ms else self.max_time_s,
        )
