"""Background tasks: what runs on the workload client as long as a test does (`iostat`, say)."""

import asyncio
from collections.abc import Mapping

import structlog

from dsi.commands import Context
from dsi.errors import DsiError, HostError
from dsi.hosts.base import Handle, Host
from dsi.model import Result, StreamName
from dsi.runner.findings import Findings
from dsi.runner.output_log import OutputLog

log = structlog.get_logger()


class BackgroundTasks:
    """Those of one test. What ends before it is to is told: in the log, in the timeline, in `findings`."""

    def __init__(self, commands: Mapping[str, str], context: Context, findings: Findings, *, log_bytes: int) -> None:
        self._commands = commands
        self._context = context
        self._findings = findings
        self._log_bytes = log_bytes
        self._running: list[_BackgroundTask] = []

    def new_handles(self) -> dict[str, Handle | None]:
        """Give a handle for each, by its name; None where its host has none."""
        return {name: self._host.new_handle() for name in self._commands}

    def start(self, handles: Mapping[str, Handle | None], environment: Mapping[str, str], *, again: bool) -> None:
        """Have them begin. `again`: another dsi has begun them; each goes on behind what its log has."""
        self._running = [
            _BackgroundTask(
                name,
                command,
                handles.get(name),
                self._context,
                self._findings,
                self._log(name, again=again),
                again=again,
            )
            for name, command in self._commands.items()
        ]
        for one in self._running:
            one.start(environment)

    async def end(self) -> None:
        """End those that still run, each with its process group, and remove what they have left on the host."""
        running, self._running = self._running, []
        try:
            await asyncio.gather(*(one.end() for one in running))
        except asyncio.CancelledError:
            self._running = running  # somebody is to wait for them nevertheless
            raise

    def _log(self, name: str, *, again: bool) -> OutputLog:
        path = self._context.reports / "background" / f"{name}@{self._host.name}.log"
        return OutputLog(path, limit_bytes=self._log_bytes, note=self._findings.note, again=again)

    @property
    def _host(self) -> Host:
        return self._context.inventory.workload_client


class _BackgroundTask:
    def __init__(
        self,
        name: str,
        command: str,
        handle: Handle | None,
        context: Context,
        findings: Findings,
        output: OutputLog,
        *,
        again: bool,
    ) -> None:
        self._name = name
        self._command = command
        self._handle = handle
        self._context = context
        self._findings = findings
        self._output = output
        self._again = again
        self._host = context.inventory.workload_client
        self._task: asyncio.Task[None] | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        self._task = asyncio.create_task(self._live(environment), name=f"background task {self._name}")

    async def end(self) -> None:
        """End it. Cancelled meanwhile, it can be called again."""
        assert self._task is not None, "end() before start()"
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if not self._task.cancelled():  # as it is where it had not even begun
            self._task.result()  # a bug of ours in there must not pass unseen
        try:
            if self._handle is not None:
                await self._host.release(self._handle, outlives_s=self._context.orphan_s)
        except HostError as problem:
            log.warning("what is left of a background task could not be ended", task=self._name, reason=str(problem))

    async def _live(self, environment: Mapping[str, str]) -> None:
        output = self._output
        with self._context.timeline.span(
            "background_task", task=self._name, host=self._host.name, command=self._command, taken_over=self._again
        ) as ending:
            exit_status, reason, early = await self._to_its_end(output, environment)
            ending.update(exit_status=exit_status, last_line=output.last_line, early=early, reason=reason)
        if early:
            self._tell(exit_status, reason or f"exit status {exit_status}: {output.last_line or '(it wrote nothing)'}")

    async def _to_its_end(self, output: OutputLog, environment: Mapping[str, str]) -> tuple[int | None, str, bool]:
        """Give its exit status, what went wrong with it (empty: nothing), and whether it ended before it was to."""
        try:
            with output:
                result = await self._run(output, environment)
        except DsiError as problem:
            return None, str(problem), True
        except asyncio.CancelledError:  # by `end` alone
            return None, "", False
        return result.exit_status, "", True

    async def _run(self, output: OutputLog, environment: Mapping[str, str]) -> Result:
        async def write(_stream: StreamName, block: bytes) -> None:
            output.write(block)

        orphan_s = self._context.orphan_s
        if self._again and self._handle is not None:
            return await self._host.resume(
                self._handle, self._command, skip_bytes=output.size_bytes(), outlives_s=orphan_s, on_output=write
            )
        return await self._host.run(
            self._command,
            env={"PYTHONUNBUFFERED": "1", **environment},
            on_output=write,
            keep_bytes=0,
            outlives_s=orphan_s,
            joined=True,
            handle=self._handle,
            check=False,
        )

    def _tell(self, exit_status: int | None, how: str) -> None:
        """Tell that it ended by itself. One that did what it should (exit status 0) is no reason to be alarmed."""
        if exit_status == 0:
            log.info("a background task has ended", task=self._name, exit_status=0)
            return
        text = f"background task {self._name} ended before the test did: {how}"
        log.warning(text)
        self._findings.note(text)
