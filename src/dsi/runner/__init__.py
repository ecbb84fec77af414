"""One task: hooks → tests → hooks, unwound in good order whatever happens."""

from dsi.runner.hooks import run_hook
from dsi.runner.interrupt import tell_interrupt
from dsi.runner.outcome import Status, TaskOutcome, TestOutcome
from dsi.runner.output_log import last_output
from dsi.runner.plan import Hook, HookCommand, TaskPlan, TestPlan
from dsi.runner.running import MARK, Keeper, RunningTest
from dsi.runner.surroundings import Afterwards, Check, Companion, Diagnosis, Preparation, Surroundings
from dsi.runner.task import KILLED, TaskRunner

__all__ = [
    "KILLED",
    "MARK",
    "Afterwards",
    "Check",
    "Companion",
    "Diagnosis",
    "Hook",
    "HookCommand",
    "Keeper",
    "Preparation",
    "RunningTest",
    "Status",
    "Surroundings",
    "TaskOutcome",
    "TaskPlan",
    "TaskRunner",
    "TestOutcome",
    "TestPlan",
    "last_output",
    "run_hook",
    "tell_interrupt",
]
