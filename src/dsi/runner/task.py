"""One task: pre_task, the tests one after another, post_task; and what happens when something breaks.

There are two ways to fail. What belongs to a test alone (its `cmd`, its checks, its post_test) makes that test
*failed*, and the next one runs. What breaks around it (a pre_test, a lost host) is an *error*: no further test runs,
post_task still does.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace

import structlog

from dsi.commands import Context
from dsi.config import dump
from dsi.config.models import Test
from dsi.errors import CommandTimeout, DsiError, HostError, ReportError, SourceMissing
from dsi.masking import masked
from dsi.model import Result
from dsi.report.folder import inside, keep_text
from dsi.report.progress import Progress
from dsi.runner.during_test import run_during_test
from dsi.runner.hooks import run_hook
from dsi.runner.outcome import Status, TaskOutcome, TestOutcome
from dsi.runner.plan import Hook, TaskPlan, TestPlan
from dsi.runner.running import MARK, Forgetful, Keeper, RunningTest
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
    `keeper` keeps what another dsi needs to go on with the running test; `taken_over` is what one has kept that was
    killed. The companions of that test are entered once more.
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
        keeper: Keeper | None = None,
        taken_over: RunningTest | None = None,
    ) -> None:
        self._plan = plan
        self._context = context
        self._progress = progress
        self._companions = companions
        self._checks = checks
        self._for_cmd_alone = for_cmd_alone
        self._keeper = keeper or Forgetful()
        self._taken_over = taken_over
        self._outcome = TaskOutcome(tests=list(taken_over.before) if taken_over else [])

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
        taken = self._taken_over
        if taken is None:
            await self._run_hook("pre_task", self._plan.pre_task, self._context.into("pre_task"))
        total, first = len(self._plan.tests), taken.number if taken else 1
        for number, plan in enumerate(self._plan.tests[first - 1 :], start=first):
            if self._outcome.error or self._outcome.interrupted:
                return
            self._progress.test(plan.test.id, number, total)
            self._outcome.tests.append(await self._run_test(plan, number, taken if number == first else None))

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

    async def _run_test(self, plan: TestPlan, number: int, taken: RunningTest | None) -> TestOutcome:
        """Run a test; `taken`: go on with it, from within its `cmd`."""
        test, clock = plan.test, self._context.clock
        context = self._context.into(test.id, {"DSI_TEST_ID": test.id})
        start_s = taken.start_s if taken else clock.wall_s()
        begun_s = clock.monotonic_s() - (clock.wall_s() - start_s)
        notes: list[str] = []
        with context.timeline.span("test", test=test.id) as ending:
            status, reason, exit_status = await self._run_guarded(plan, context, notes, number, taken)
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
        self, plan: TestPlan, context: Context, notes: list[str], number: int, taken: RunningTest | None
    ) -> tuple[Status, str, int | None]:
        start_s = context.clock.wall_s()
        status: Status = "passed"
        reason, exit_status = "", None
        try:
            if taken is None:
                await self._lead_up(plan, context, first=number == 1)
            running = taken or self._about_to_run(plan, number, start_s)
            try:
                exit_status = await self._run_workload(plan, context, notes, running)
            finally:
                await self._leave(running, context)
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

    async def _lead_up(self, plan: TestPlan, context: Context, *, first: bool) -> None:
        if not first:
            await self._run_hook("between_tests", self._plan.between_tests, context)
        await self._run_hook("pre_test", plan.pre_test, context)
        if self._plan.delay_s:
            self._progress.step(f"waiting {self._plan.delay_s:g} s (test_delay_seconds)")
            await context.clock.sleep(self._plan.delay_s)

    def _about_to_run(self, plan: TestPlan, number: int, start_s: float) -> RunningTest:
        client, now_s = self._context.inventory.workload_client, self._context.clock.wall_s()
        return RunningTest(
            test=plan.test.id,
            number=number,
            handle=None if plan.test.tty else client.new_handle(),
            mark=secrets.token_hex(8),
            start_s=start_s,
            cmd_s=now_s,
            before=tuple(self._outcome.tests),
        )

    async def _leave(self, running: RunningTest, context: Context) -> None:
        """See to it that nothing of `cmd` is left on its host, and nobody takes it over."""
        try:
            if running.handle is not None:
                await context.inventory.workload_client.release(running.handle, outlives_s=context.orphan_s)
        except HostError as problem:
            log.warning(
                f"what is left of cmd could not be ended; its host ends it in {context.orphan_s:g} s",
                reason=str(problem),
            )
        finally:
            self._keeper.forget()

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

    async def _run_workload(self, plan: TestPlan, context: Context, notes: list[str], running: RunningTest) -> int:
        again = running is self._taken_over
        with OutputLog(context.reports / "test_output.log", again=again) as output:

            def end(exit_status: int | None, message: str) -> None:
                self._keeper.keep(replace(running, is_over=True))  # what stands in the log from now on isn't cmd's
                output.end(exit_status, message)

            try:
                async with AsyncExitStack() as stack:
                    environment = dict(context.environment)
                    for companion in self._companions:
                        environment |= await stack.enter_async_context(companion(context, plan.test))
                    if not again:
                        await self._write_workload_config(plan.test, context)
                    result = await self._run_cmd(plan, context, environment, output, notes, running)
            except CommandTimeout as hung:
                end(hung.results[0].exit_status, f"hung: {hung}")
                raise _TestFailed(f"hung: {hung}", hung.results[0].exit_status) from hung
            except (DsiError, asyncio.CancelledError) as problem:
                if not isinstance(problem, ReportError):
                    end(None, str(problem) or "interrupted")
                raise
            end(result.exit_status, "failed" if result.exit_status else "success")
        if result.exit_status:
            raise _TestFailed(f"cmd: exit status {result.exit_status}", result.exit_status)
        return result.exit_status

    async def _run_cmd(
        self,
        plan: TestPlan,
        context: Context,
        environment: Mapping[str, str],
        output: OutputLog,
        notes: list[str],
        running: RunningTest,
    ) -> Result:
        """Run `cmd`, or go on with it, and what runs beside it."""
        again, now_s = running is self._taken_over, context.clock.wall_s()
        running = running if again else replace(running, cmd_s=now_s)
        self._progress.step("cmd, taken over" if again else "cmd")
        if again:
            context.timeline.add("cmd_taken_over", test=plan.test.id, output_bytes=output.size_bytes())
        else:
            self._keeper.keep(running)
            context.timeline.add("cmd_begin", test=plan.test.id)
        cmd = run_cmd(
            context.inventory.workload_client,
            plan.test,
            {**environment, MARK: running.mark},
            log=output,
            no_output_s=self._plan.no_output_s,
            orphan_s=context.orphan_s,
            progress=self._progress,
            handle=running.handle,
            again=again,
        )
        known = {name: text for name, text in environment.items() if name not in self._for_cmd_alone}
        result = await run_during_test(
            cmd,
            plan.during_test,
            context.with_environment(known),
            notes,
            since_s=max(now_s - running.cmd_s, 0.0),
            begun=running.during_test,
            on_begin=lambda begun: self._keeper.keep(replace(running, during_test=begun)),
        )
        context.timeline.add("cmd_end", test=plan.test.id, exit_status=result.exit_status)
        return result

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
