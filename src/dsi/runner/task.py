"""One task: pre_task, the tests one after another, post_task; and what happens when something breaks.

What belongs to a test alone (its `cmd`, its checks, its post_test) makes that test end badly, and the next one runs.
What breaks around it (a pre_test, a lost host) is an *infrastructure error*: no further test runs, but post_task does.
"""

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from dsi.commands import Context
from dsi.errors import DsiError, ReportError, sentence_of
from dsi.report.progress import Progress
from dsi.runner.hooks import run_hook, run_hook_to_its_end
from dsi.runner.interrupt import Interrupt
from dsi.runner.one_test import OneTest
from dsi.runner.outcome import TaskOutcome, TestOutcome
from dsi.runner.plan import TaskPlan
from dsi.runner.running import RunningTest
from dsi.runner.surroundings import Surroundings

log = structlog.get_logger()

KILLED: Final = "dsi was killed before the task had ended,"
"""How the error of a task begins that nobody has ended."""


class TaskRunner:
    """Runs one task. `taken_over` is the test that ran when another dsi was killed: the task goes on from within it."""

    def __init__(
        self,
        plan: TaskPlan,
        context: Context,
        progress: Progress,
        surroundings: Surroundings,
        *,
        taken_over: RunningTest | None = None,
    ) -> None:
        self._plan = plan
        self._context = context
        self._progress = progress
        self._surroundings = surroundings
        self._taken_over = taken_over
        self._interrupt = Interrupt(context.timeline)
        self._running = ""
        self._outcome = TaskOutcome(tests=list(taken_over.before) if taken_over else [])

    async def run(self) -> TaskOutcome:
        """Run it all. What goes wrong stands in the outcome.

        The first cancellation (Ctrl-C) ends the running test in an orderly way, with its post_test and post_task; a
        second one passes through at once.
        """
        try:
            await self._interrupt.heard_in(self._run())
        except asyncio.CancelledError:
            self._outcome.interrupted = True
            self._outcome.tests += self._rest("the task was interrupted before")
            self._record(self._outcome)
            raise
        self._outcome.interrupted = self._interrupt.happened
        return self._outcome

    async def _run(self) -> None:
        self._record_if_killed()
        try:
            await self._run_tests()
        except DsiError as problem:
            self._outcome.error = self._sentence(problem)
            log.error("the task is stopped", error=str(problem))
        except asyncio.CancelledError:
            self._interrupt.note()
        self._outcome.tests += self._rest(
            "the task was interrupted before" if self._interrupt.happened else "an error stopped the task before"
        )
        failures = await run_hook_to_its_end(
            "post_task", self._plan.post_task, self._context.into("post_task"), self._progress, self._interrupt
        )
        self._outcome.notes += map(self._sentence, failures)
        await self._interrupt.outlast(self._surroundings.at_the_end())

    async def _run_tests(self) -> None:
        taken = self._taken_over
        if taken is None:
            await run_hook("pre_task", self._plan.pre_task, self._context.into("pre_task"), self._progress)
        first = taken.number if taken else 1
        for number in range(first, len(self._plan.tests) + 1):
            if self._outcome.error or self._interrupt.happened:
                return
            await self._run_test(number, taken if number == first else None)

    async def _run_test(self, number: int, taken: RunningTest | None) -> None:
        test = OneTest(
            self._plan,
            number,
            self._context,
            self._progress,
            self._surroundings,
            self._interrupt,
            before=tuple(self._outcome.tests),
            taken=taken,
            decided=self._decided,
        )
        self._running = self._plan.tests[number - 1].test.id
        self._record_if_killed()
        await test.run()

    def _decided(self, outcome: TestOutcome) -> None:
        self._running = ""
        self._outcome.tests.append(outcome)
        if outcome.status == "infrastructure error":
            self._outcome.error = f"{outcome.id}: {outcome.reason}"
        self._record_if_killed()

    def _rest(self, why: str) -> list[TestOutcome]:
        begun = {test.id for test in self._outcome.tests} | {self._running}
        ids = [plan.test.id for plan in self._plan.tests]
        return [TestOutcome(id=test_id, status="not run", reason=why) for test_id in ids if test_id not in begun]

    def _record_if_killed(self) -> None:
        """Have kept what is true if dsi is killed from now on: nobody is there then to write it."""
        doing = f"in test {self._running}" if self._running else "outside of its tests"
        tests = [*self._outcome.tests]
        if self._running:
            reason = "dsi was killed while it ran"
            tests.append(TestOutcome(id=self._running, status="infrastructure error", reason=reason))
        tests += self._rest("the task had ended before")
        self._record(replace(self._outcome, tests=tests, error=self._outcome.error or f"{KILLED} {doing}"))

    def _sentence(self, problem: DsiError) -> str:
        return sentence_of(str(problem), self._outcome.log_lines)

    def _record(self, outcome: TaskOutcome) -> None:
        """Have kept what has come of the task until now."""
        try:
            self._surroundings.record(outcome)
        except ReportError as problem:
            log.error("the outcome until now can't be kept", error=str(problem))
