"""One test of a task: what leads up to it, its `cmd` and what runs beside that, and what comes after."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import structlog

from dsi.commands import Context
from dsi.config import dump, masked_yaml
from dsi.errors import CommandTimeout, DsiError, HostError, NoOutput, ReportError, SourceMissing
from dsi.masking import masked
from dsi.model import Result, signal_of
from dsi.report.folder import inside, keep_text
from dsi.report.progress import Progress
from dsi.runner.background import BackgroundTasks
from dsi.runner.during_test import run_during_test
from dsi.runner.findings import Findings
from dsi.runner.hooks import run_hook, run_hook_to_its_end
from dsi.runner.interrupt import Interrupt
from dsi.runner.left_behind import end_left_behind, listed
from dsi.runner.outcome import TestOutcome, status_of
from dsi.runner.output_log import OutputLog
from dsi.runner.plan import Limits, TaskPlan
from dsi.runner.running import MARK, RunningTest
from dsi.runner.surroundings import Check, Surroundings
from dsi.runner.workload import run_cmd

log = structlog.get_logger()


class OneTest:
    """Runs the test with this number, from 1. `taken`: go on with it, from within its `cmd`.

    `before`: what came of the tests before it. `decided` is told what came of this one, just before the timeline is: a
    dsi that is killed in between has told nobody of a test's end who doesn't know what came of it.
    """

    def __init__(
        self,
        task: TaskPlan,
        number: int,
        context: Context,
        progress: Progress,
        surroundings: Surroundings,
        interrupt: Interrupt,
        *,
        before: Sequence[TestOutcome],
        taken: RunningTest | None,
        decided: Callable[[TestOutcome], None],
    ) -> None:
        self._task = task
        self._number = number
        self._plan = task.tests[number - 1]
        self._test = self._plan.test
        self._context = context.into(self._test.id, {"DSI_TEST_ID": self._test.id})
        self._progress = progress
        self._surroundings = surroundings
        self._interrupt = interrupt
        self._before = before
        self._taken = taken
        self._decided = decided
        self._findings = Findings()
        self._exit_status: int | None = None
        self._diagnosed = ""
        self._mark: str | None = None
        self._background = BackgroundTasks(
            self._test.background_tasks, self._context, self._findings, log_bytes=self._task.max_log_bytes
        )

    async def run(self) -> None:
        """Run it all. What goes wrong stands in the outcome."""
        clock = self._context.clock
        start_s = self._taken.start_s if self._taken else clock.wall_s()
        begun_s = clock.monotonic_s() - (clock.wall_s() - start_s)
        total = len(self._task.tests)
        with self._context.timeline.span("test", test=self._test.id, number=self._number, total=total) as ending:
            try:
                try:
                    await self._run_guarded(start_s)
                    await self._finish()
                finally:
                    await self._background.end()
                    self._surroundings.keeper.forget()
            except asyncio.CancelledError:  # the second interrupt
                self._findings.cancel(self._exit_status)
                raise
            except Exception as bug:
                self._findings.add("infrastructure error", f"a bug in dsi: {bug!r}")
                raise
            finally:  # a test that has an end in the timeline has a verdict there
                status, reason, notes = self._findings.verdict()
                ending.update(status=status, reason=reason, notes=list(notes), exit_status=self._exit_status)
                self._decided(
                    TestOutcome(
                        id=self._test.id,
                        status=status,
                        reason=reason,
                        exit_status=self._exit_status,
                        start_s=start_s,
                        duration_s=clock.monotonic_s() - begun_s,
                        notes=notes,
                        log_lines=self._findings.log_lines,
                    )
                )

    async def _run_guarded(self, start_s: float) -> None:
        try:
            if self._taken is None:
                await self._lead_up()
            running = self._taken or self._about_to_run(start_s)
            self._mark = running.mark
            try:
                environment = await self._prepare()
                await self._begin_background(running, environment)
                await self._run_workload(running, environment)
            finally:
                await self._leave(running)
        except DsiError as problem:
            self._findings.add(status_of(problem, "infrastructure error"), str(problem))
        except asyncio.CancelledError:
            self._interrupt.note()
            self._findings.cancel(self._exit_status)

    # --- before -----------------------------------------------------------------------------------------------------

    async def _lead_up(self) -> None:
        if self._number > 1:
            await run_hook("between_tests", self._task.between_tests, self._context, self._progress)
        await run_hook("pre_test", self._plan.pre_test, self._context, self._progress)

    async def _prepare(self) -> dict[str, str]:
        """Give the environment of `cmd` and of background tasks."""
        environment = dict(self._context.environment)
        for preparation in self._surroundings.preparations:
            environment |= await preparation(self._context, self._test)
        return environment

    async def _begin_background(self, running: RunningTest, environment: Mapping[str, str]) -> None:
        """Have the background tasks begin, or go on with them, and have them run alone for a while."""
        again = self._taken is not None
        if running.background and not again:
            self._surroundings.keeper.keep(replace(running, cmd_runs=False))
        self._background.start(running.background, {**environment, MARK: running.mark}, again=again)
        if self._task.delay_s and not again:
            self._progress.step(f"waiting {self._task.delay_s:g} s (test_delay_seconds)")
            await self._context.clock.sleep(self._task.delay_s)

    # --- cmd --------------------------------------------------------------------------------------------------------

    def _about_to_run(self, start_s: float) -> RunningTest:
        client, now_s = self._context.inventory.workload_client, self._context.clock.wall_s()
        return RunningTest(
            test=self._test.id,
            number=self._number,
            handle=None if self._test.tty else client.new_handle(),
            mark=secrets.token_hex(8),
            start_s=start_s,
            cmd_s=now_s,
            before=tuple(self._before),
            background=self._background.new_handles(),
        )

    async def _leave(self, running: RunningTest) -> None:
        """See to it that nothing of `cmd` is left on its host."""
        orphan_s = self._context.orphan_s
        try:
            if running.handle is not None:
                await self._context.inventory.workload_client.release(running.handle, outlives_s=orphan_s)
        except HostError as problem:
            log.warning(
                f"what is left of cmd could not be ended; its host ends it in {orphan_s:g} s", reason=str(problem)
            )

    async def _run_workload(self, running: RunningTest, environment: Mapping[str, str]) -> None:
        with OutputLog(
            self._context.reports / "test_output.log",
            limit_bytes=self._task.max_log_bytes,
            note=self._findings.note,
            again=self._taken is not None,
        ) as output:

            def end(exit_status: int | None, message: str) -> None:
                # What stands in the log from now on isn't cmd's.
                self._surroundings.keeper.keep(replace(running, cmd_runs=False))
                output.end(exit_status, message)

            try:
                async with AsyncExitStack() as stack:
                    for companion in self._surroundings.companions:
                        await stack.enter_async_context(companion(self._context, self._test))
                    if self._taken is None:
                        await self._write_workload_config()
                    result = await self._run_cmd(environment, output, running)
            except CommandTimeout as hung:
                end(hung.results[0].exit_status, f"hung: {self._how_it_hung(hung)}")
                self._findings.add("timed out", f"{self._how_it_hung(hung)}{self._diagnosed}")
                return
            except (DsiError, asyncio.CancelledError) as problem:
                if not isinstance(problem, ReportError):
                    end(None, str(problem) or "interrupted")
                raise
            self._exit_status = result.exit_status
            end(result.exit_status, "failed" if result.exit_status else "success")
        if result.exit_status:
            name = signal_of(result.exit_status)
            by = f", as of one that {name} has ended" if name else ""
            self._findings.add("failed (workload)", f"cmd: exit status {result.exit_status}{by}")

    async def _run_cmd(self, environment: Mapping[str, str], output: OutputLog, running: RunningTest) -> Result:
        """Run `cmd`, or go on with it, and what runs beside it."""
        context, keeper = self._context, self._surroundings.keeper
        again, now_s = self._taken is not None, context.clock.wall_s()
        running = running if again else replace(running, cmd_s=now_s)
        elapsed_s = max(now_s - running.cmd_s, 0.0)
        self._progress.step("cmd, taken over" if again else "cmd")
        if again:
            context.timeline.add("cmd_taken_over", test=self._test.id, output_bytes=output.size_bytes())
        else:
            keeper.keep(running)
            context.timeline.add("cmd_begin", test=self._test.id)
        cmd = self._with_its_end(
            run_cmd(
                context.inventory.workload_client,
                self._test,
                {**environment, MARK: running.mark},
                log=output,
                limits=self._limits(elapsed_s),
                on_limit=lambda: self._diagnose(running),
                orphan_s=context.orphan_s,
                progress=self._progress,
                handle=running.handle,
                again=again,
            )
        )
        known = {name: text for name, text in environment.items() if name not in self._surroundings.for_cmd_alone}
        return await run_during_test(
            cmd,
            self._plan.during_test,
            context.with_environment(known),
            self._findings,
            since_s=elapsed_s,
            begun=running.during_test,
            on_begin=lambda begun: keeper.keep(replace(running, during_test=begun)),
        )

    async def _with_its_end(self, cmd: Coroutine[Any, Any, Result]) -> Result:
        """Run `cmd`, and have the timeline tell how it ended."""
        exit_status, how = None, "lost"
        try:
            result = await cmd
            exit_status, how = result.exit_status, "exited"
        except CommandTimeout as hung:
            exit_status, how = hung.results[0].exit_status, "hung"
            raise
        except asyncio.CancelledError:
            how = "interrupted"
            raise
        finally:
            self._context.timeline.add("cmd_end", test=self._test.id, exit_status=exit_status, how=how)
        return result

    def _limits(self, elapsed_s: float) -> Limits:
        """Give what is left of the time of `cmd` so long after it began."""
        limits = self._task.limits_of(self._test)
        if limits.max_time_s is None:
            return limits
        return replace(limits, max_time_s=max(limits.max_time_s - elapsed_s, 0.0))

    def _how_it_hung(self, hung: CommandTimeout) -> str:
        limits = self._task.limits_of(self._test)
        if isinstance(hung, NoOutput):
            return f"cmd {hung.what} {limits.no_output_s:g} s (timeouts.no_output_ms), and was ended"
        return f"cmd {hung.what} {limits.max_time_s or hung.limit_s:g} s (timeouts.max_time_ms), and was ended"

    async def _diagnose(self, running: RunningTest) -> None:
        """Have it seen what a `cmd` does that has passed a limit."""
        if self._surroundings.diagnose is None:
            return
        self._progress.step("cmd hangs: looking what it does")
        where = await self._surroundings.diagnose(self._context, running)
        self._diagnosed = f"; what it was doing is in {where}"

    async def _write_workload_config(self) -> None:
        test = self._test
        if test.config_filename is None or test.workload_config is None:
            return
        text = test.workload_config if isinstance(test.workload_config, str) else dump(test.workload_config)
        await self._context.inventory.workload_client.write_file(test.config_filename, text.encode())
        # A connection string stands in there.
        shown = masked_yaml(text) if test.config_filename.endswith((".yml", ".yaml")) else masked(text)
        keep_text(self._context.reports / inside(test.config_filename), shown)

    # --- after ------------------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Fetch output files, check, run post_test and the rest: each though another failed or was interrupted."""
        try:
            try:
                await self._fetch_output_files()
            finally:
                await self._background.end()
            await self._end_left_behind()
            await self._run_checks(self._surroundings.checks)
        except asyncio.CancelledError:
            self._interrupt.note()
            self._findings.cancel(self._exit_status)
        for failure in await run_hook_to_its_end(
            "post_test", self._plan.post_test, self._context, self._progress, self._interrupt
        ):
            self._findings.add_problem(failure, "failed (workload)")
        await self._interrupt.outlast(self._run_checks(self._surroundings.last_checks))
        if self._interrupt.happened:
            self._findings.cancel(self._exit_status)
        for afterwards in self._surroundings.afterwards:
            try:
                await self._interrupt.outlast(afterwards(self._context, self._test, self._findings.status))
            except DsiError as problem:
                self._findings.add_problem(problem, "failed (workload)")

    async def _fetch_output_files(self) -> None:
        host = self._context.inventory.workload_client
        for source in self._test.output_files:
            target = self._context.reports / inside(source).name
            if target.exists():  # two of one name, or one that is called like a file of ours
                target = self._context.reports / host.name / inside(source)
            try:
                await host.get(source, target)
            except SourceMissing as missing:
                log.warning("an output file is missing", test=self._test.id, file=source)
                self._context.timeline.add("warning", test=self._test.id, message=str(missing))
            except DsiError as problem:
                self._findings.add(status_of(problem, "failed (workload)"), f"output_files: {problem}")

    async def _end_left_behind(self) -> None:
        """End what `cmd` has left running: it would disturb the next test, and nobody else would end it."""
        if self._mark is None:
            return
        try:
            left = await end_left_behind(self._context.inventory.workload_client, self._mark)
        except DsiError as problem:
            self._findings.note(f"what cmd has left running could not be ended: {problem}")
            return
        if left:
            self._context.timeline.add("left_behind", test=self._test.id, processes=left)
            self._findings.note(f"processes were left running when cmd had ended, and were ended: {listed(left)}")

    async def _run_checks(self, checks: Sequence[Check]) -> None:
        if self._interrupt.happened or self._findings.status == "infrastructure error":
            return
        for check in checks:
            try:
                await check(self._context, self._test)
            except DsiError as problem:
                self._findings.add_problem(problem, "failed (validation)")
