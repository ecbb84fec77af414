"""What is to be known of a test while its `cmd` runs, so that another dsi can take it over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dsi.hosts.base import Handle
from dsi.runner.outcome import TestOutcome

MARK = "DSI_CMD"
"""The variable by which the processes of a `cmd` and of its background tasks can be found on their host."""


@dataclass(frozen=True, kw_only=True)
class RunningTest:
    """A test with something that runs on its host. What `cmd` wrote until now is in its log, and nothing else is.

    `number`: its place among the task's tests, from 1. `handle`: of `cmd` on its host; None: it ends with this dsi.
    `background`: the same of each background task, by its name.
    `mark`: what `cmd`, background tasks and all they start have as DSI_CMD in their environment.
    `start_s`, `cmd_s`: when the test and `cmd` began (wall clock). `during_test`: how many of its commands were begun.
    `before`: what came of the tests before it. `cmd_runs`: whether another dsi could go on with it, since `cmd` has
    begun and nobody has seen its end; else only what is left of it is to be ended.
    """

    test: str
    number: int
    handle: Handle | None
    mark: str
    start_s: float
    cmd_s: float
    during_test: int = 0
    before: Sequence[TestOutcome] = ()
    background: Mapping[str, Handle | None] = field(default_factory=dict)
    cmd_runs: bool = True


class Keeper(Protocol):
    """Keeps what is known of the running test where it outlives dsi."""

    def keep(self, running: RunningTest) -> None:
        """Keep this, in place of what was kept before; it is on the disk when this returns.

        Raises:
            StateError: it can't be kept.
        """
        ...

    def forget(self) -> None:
        """Keep nothing any more: no test runs."""
        ...


class Forgetful:
    """A `Keeper` for those who take nothing over."""

    def keep(self, running: RunningTest) -> None:
        """Let it pass."""

    def forget(self) -> None:
        """Nothing was kept."""
