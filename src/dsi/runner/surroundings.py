"""What a task's tests run in, handed in by the stages: the runner needn't know what it is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from dsi.commands import Context
from dsi.config.models import Test
from dsi.runner.outcome import Status, TaskOutcome
from dsi.runner.running import Forgetful, Keeper, RunningTest

Preparation = Callable[[Context, Test], Awaitable[Mapping[str, str]]]
"""What is made ready before background tasks and `cmd` begin; gives environment for both."""

Companion = Callable[[Context, Test], AbstractAsyncContextManager[None]]
"""What lives as long as `cmd` (the dsisocket, say): entered before it, left after it."""

Check = Callable[[Context, Test], Awaitable[None]]
"""What is looked at after `cmd`; raises NoEffect or NodeMissing where the test is invalid, a HostError where a host is
lost, else any DsiError where it failed (validation)."""

Afterwards = Callable[[Context, Test, Status], Awaitable[None]]
"""What is done when all else of a test is over, whatever came of it: the status until now is handed in.

Raises a DsiError where the test failed (workload): its output has no result, say. A HostError (but for a TransferError)
or a ReportError is an infrastructure error: no further test runs."""

Record = Callable[[TaskOutcome], None]
"""Keeps the outcome of a task where it outlives dsi: told again and again of what it would be if dsi were killed now.

Raises ReportError where it can't be kept.
"""


def _unrecorded(_outcome: TaskOutcome) -> None:
    """Let it pass."""


async def _no_more() -> None:
    """Leave it at that."""


Diagnosis = Callable[[Context, RunningTest], Awaitable[str]]
"""Fetches what tells why a `cmd` hangs, while it still does; gives where that lies. It takes a limited time."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What surrounds each test, and the task.

    `checks` are run after `cmd`, `last_checks` after post_test. `for_cmd_alone`: names of environment that only `cmd`
    and background tasks get, and no command of a hook.
    `keeper` keeps what another dsi needs to go on with the running test. `at_the_end` is done after post_task.
    """

    preparations: Sequence[Preparation] = ()
    companions: Sequence[Companion] = ()
    checks: Sequence[Check] = ()
    last_checks: Sequence[Check] = ()
    afterwards: Sequence[Afterwards] = ()
    diagnose: Diagnosis | None = None
    for_cmd_alone: Sequence[str] = ()
    keeper: Keeper = field(default_factory=Forgetful)
    record: Record = _unrecorded
    at_the_end: Callable[[], Awaitable[None]] = _no_more
