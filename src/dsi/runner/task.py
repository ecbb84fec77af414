"""One task: pre_task, the tests one after another, post_task; and what happens when something breaks.

There are two ways to fail. What belongs to a test alone (its `cmd`, its checks, its post_test) makes that test
*failed*, and the next one runs. What breaks around it (a pre_test, a lost host) is an *error*: no further test runs,
post_task still does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import structlog

from dsi.commands import Context
from dsi.config import dump
from dsi.config.models import Test
from dsi.errors import CommandTimeout, DsiError, ReportError, SourceMissing
from dsi.masking import masked
from dsi.report.folder import inside, keep_text
from dsi.report.progress import Progress
from dsi.runner.during_test import run_during_test
from dsi.runner.hooks import run_hook
from dsi.runner.outcome import Status, TaskOutcome, TestOutcome
from dsi.runner.plan import Hook, TaskPlan, TestPlan
from dsi.runner.workload import OutputLog, run_cmd

log = structlog.get_logger()

Companion = Callable[[Context, Test], AbstractAsyncContextManager[Mapping[str, str]]]
"""What lives as long as `cmd` (the dsisocket, say): entered before it, left after it; gives environment for it."""

Check = Callable[[Context, Test], Awaitable[None]]
"""What is looked at after `cmd`; raises DsiError to fail the test."""


class _TestFailed(Exception):
    """The test is failed, the task goes on. Never leaves this module."""

    def __init__(self, reason: str, exit_status: int | None = None) -> None:
        self.exit_status = exit_status
        super().__init__(reason)


class TaskRunner:
    """Runs one task. `companions` and `checks` are handed in, since the runner needn't know what they are.

    `for_cmd_alone`: names of environment that the commands which run beside `cmd` don't get.
    """

    def __init__(
        self,
        plan: TaskPlan,
        context: Context,
        progress: Progress,
        *,
        companions: Sequence[Companion] = (),
        checks: Sequence[Check] = (),
        for_cmd_alone: Sequence[str] = (),
    ) -> None:
        self._plan = plan
        self._context = context
        self._progress = progress
        self._companions = companions
        self._checks = checks
        self._for_cmd_alone = for_cmd_alone
        self._outcome = TaskOutcome()

    async def run(self) -> TaskOutcome:
        """Run it all. What goes wrong stands in the outcome.

        The first cancellation (Ctrl-C) ends the running test in an orderly way, with its post_test and post_task; a
        second one passes through at once.
        """
        try:
            await self._run_tests()
        except DsiError as problem:
            self._stop(str(problem))
        except asyncio.CancelledError:
            self._note_interrupt()
        self._list_the_rest()
        await self._run_to_the_end("post_task", self._plan.post_task, self._context.into("post_task"))
        return self._outcome

    async def _run_tests(self) -> None:
        await self._run_hook("pre_task", self._plan.pre_task, self._context.into("pre_task"))
        total = len(self._plan.tests)
        for number, plan in enumerate(self._plan.tests, start=1):
            if self._outcome.error or self._outcome.interrupted:
                return
            self._progress.test(plan.test.id, number, total)
            self._outcome.tests.append(await self._run_test(plan, first=number == 1))

    def _stop(self, error: str) -> None:
        self._outcome.error = error
        log.error("the task is stopped", error=error)

    def _list_the_rest(self) -> None:
        begun = {test.id for test in self._outcome.tests}
        rest = [plan.test.id for plan in self._plan.tests if plan.test.id not in begun]
        self._outcome.tests += [TestOutcome(id=test_id, status="not run") for test_id in rest]

    def _note_interrupt(self) -> None:
        """Take the first interrupt as a wish to end in good order; let the second through."""
        if self._outcome.interrupted:
            raise asyncio.CancelledError
        self._outcome.interrupted = True
        self._context.timeline.add("interrupted")
        log.warning("interrupted: ending in good order; once more to stop at once")
        if (task := asyncio.current_task()) is not None:
            task.uncancel()

    # --- one test ---------------------------------------------------------------------------------------------------

    async def _run_test(self, plan: TestPlan, *, first: bool) -> TestOutcome:
        test, clock = plan.test, self._context.clock
        context = self._context.into(test.id, {"DSI_TEST_ID": test.id})
        start_s, begun_s = clock.wall_s(), clock.monotonic_s()
        notes: list[str] = []
        with context.timeline.span("test", test=test.id) as ending:
            status, reason, exit_status = await self._run_guarded(plan, context, notes, first=first)
            ending.update(status=status, reason=reason, exit_status=exit_status)
        return TestOutcome(
            id=test.id,
            status=status,
            reason=reason,
            exit_status=exit_status,
            start_s=start_s,
            duration_s=clock.monotonic_s() - begun_s,
            notes=tuple(notes),
        )

    async def _run_guarded(
        self, plan: TestPlan, context: Context, notes: list[str], *, first: bool
    ) -> tuple[Status, str, int | None]:
        status: Status = "passed"
        reason, exit_status = "", None
        try:
            if not first:
                await self._run_hook("between_tests", self._plan.between_tests, context)
            await self._run_hook("pre_test", plan.pre_test, context)
            exit_status = await self._run_workload(plan, context, notes)
        except _TestFailed as failure:
            status, reason, exit_status = "failed", str(failure), failure.exit_status
        except DsiError as problem:
            status, reason = "error", str(problem)
            self._outcome.error = f"{plan.test.id}: {problem}"
        except asyncio.CancelledError:
            self._note_interrupt()
            status, reason = "interrupted", "interrupted by the user"
        late = await self._finish(plan, context)
        if late and status == "passed":
            status, reason = "failed", late.pop(0)
        notes += late
        return status, reason, exit_status

    async def _finish(self, plan: TestPlan, context: Context) -> list[str]:
        """Fetch output files, check, run post_test: each though another failed or was interrupted. Give what failed."""
        failures: list[str] = []
        try:
            failures += await self._fetch_output_files(plan.test, context)
            if not self._outcome.interrupted and not self._outcome.error:
                failures += await self._run_checks(plan.test, context)
        except asyncio.CancelledError:
            self._note_interrupt()
            failures.append("interrupted by the user")
        return failures + await self._run_to_the_end("post_test", plan.post_test, context)

    async def _run_workload(self, plan: TestPlan, context: Context, notes: list[str]) -> int:
        host = context.inventory.workload_client
        if self._plan.delay_s:
            self._progress.step(f"waiting {self._plan.delay_s:g} s (test_delay_seconds)")
            await context.clock.sleep(self._plan.delay_s)
        with OutputLog(context.reports / "test_output.log") as output:
            try:
                async with AsyncExitStack() as stack:
                    environment = dict(context.environment)
                    for companion in self._companions:
                        environment |= await stack.enter_async_context(companion(context, plan.test))
                    await self._write_workload_config(plan.test, context)
                    self._progress.step("cmd")
                    context.timeline.add("cmd_begin", test=plan.test.id)
                    cmd = run_cmd(
                        host,
                        plan.test,
                        environment,
                        log=output,
                        no_output_s=self._plan.no_output_s,
                        orphan_s=context.orphan_s,
                        progress=self._progress,
                    )
                    known = {name: text for name, text in environment.items() if name not in self._for_cmd_alone}
                    result = await run_during_test(cmd, plan.during_test, context.with_environment(known), notes)
                    context.timeline.add("cmd_end", test=plan.test.id, exit_status=result.exit_status)
            except CommandTimeout as hung:
                output.end(hung.results[0].exit_status, f"hung: {hung}")
                raise _TestFailed(f"hung: {hung}", hung.results[0].exit_status) from hung
            except (DsiError, asyncio.CancelledError) as problem:
                if not isinstance(problem, ReportError):
                    output.end(None, str(problem) or "interrupted")
                raise
            output.end(result.exit_status, "failed" if result.exit_status else "success")
        if result.exit_status:
            raise _TestFailed(f"cmd: exit status {result.exit_status}", result.exit_status)
        return result.exit_status

    async def _write_workload_config(self, test: Test, context: Context) -> None:
        if test.config_filename is None or test.workload_config is None:
            return
        text = test.workload_config if isinstance(test.workload_config, str) else dump(test.workload_config)
        await context.inventory.workload_client.write_file(test.config_filename, text.encode())
        keep_text(context.reports / inside(test.config_filename), masked(text))  # a connection string stands in there

    async def _fetch_output_files(self, test: Test, context: Context) -> list[str]:
        host = context.inventory.workload_client
        failures = []
        for source in test.output_files:
            target = context.reports / inside(source).name
            if target.exists():  # two of one name, or one that is called like a file of ours
                target = context.reports / host.name / inside(source)
            try:
                await host.get(source, target)
            except SourceMissing as missing:
                log.warning("an output file is missing", test=test.id, file=source)
                context.timeline.add("warning", test=test.id, message=str(missing))
            except DsiError as problem:
                failures.append(f"output_files: {problem}")
        return failures

    async def _run_checks(self, test: Test, context: Context) -> list[str]:
        failures = []
        for check in self._checks:
            try:
                await check(context, test)
            except DsiError as problem:
                failures.append(str(problem))
        return failures

    # --- hooks ------------------------------------------------------------------------------------------------------

    async def _run_hook(self, name: str, hook: Hook, context: Context) -> None:
        await run_hook(name, hook, context, self._progress)

    async def _run_to_the_end(self, name: str, hook: Hook, context: Context) -> list[str]:
        """Run every command of a hook, though others fail, and give what failed. An interrupt ends it in good order."""
        failures = []
        for command in hook:
            try:
                await self._run_hook(name, [command], context)
            except DsiError as problem:
                log.error("a command failed", hook=name, error=str(problem))
                failures.append(str(problem))
            except asyncio.CancelledError:
                self._note_interrupt()
        if name == "post_task":
            self._outcome.notes += failures
        return failures
