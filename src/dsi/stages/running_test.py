"""The test whose `cmd` runs, as the state has it: what `dsi test-control --attach` goes on with when dsi was killed."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

import structlog

from dsi import provisioning
from dsi.errors import StateError
from dsi.hosts import Handle, end_processes_with
from dsi.runner import MARK, RunningTest, TaskPlan, TestOutcome
from dsi.stages.killed_test import keep_what_is_left
from dsi.state import State

log = structlog.get_logger()

_STATE: Final = "running_test"

_SOON_S: Final = 60.0
"""A host on which something is ended needs dsi's sign of life for no longer."""


class RunningTestKept:
    """The runner's `Keeper`: keeps the running test in `.dsi/`, and where its reports are."""

    def __init__(self, state: State, reports: Path) -> None:
        self._state = state
        self._reports = reports

    def keep(self, running: RunningTest) -> None:
        """Write it to the disk.

        Raises:
            StateError: the disk is full, say.
        """
        self._state.write(_STATE, {"reports": self._reports.name, **asdict(running)}, durable=True)

    def forget(self) -> None:
        """Remove it."""
        self._state.forget(_STATE)


def left_running(state: State) -> tuple[RunningTest, Path] | None:
    """Give the test that was running when dsi was killed, and its reports folder; None: there is none."""
    kept = state.read(_STATE)
    if kept is None:
        return None
    reports = state.work_directory / kept.pop("reports")
    handle, before, background = kept.pop("handle"), kept.pop("before"), kept.pop("background")
    running = RunningTest(
        handle=_handle(handle),
        before=[TestOutcome(**outcome) for outcome in before],
        background={name: _handle(its) for name, its in background.items()},
        **kept,
    )
    return running, reports


def _handle(kept: dict[str, str] | None) -> Handle | None:
    return Handle(**kept) if kept else None


async def what_to_take_over(state: State, plan: TaskPlan) -> tuple[RunningTest, Path]:
    """Give the test that is to be taken over, and its reports folder.

    Raises:
        StateError: there is none, or nobody can go on with it; says what to do.
    """
    left = left_running(state)
    if left is None or not left[0].cmd_runs:
        raise StateError(
            f"no test's cmd was running in {state.work_directory} when dsi ended: there is nothing to take over; "
            "`dsi test-control` begins the task again"
        )
    running, reports = left
    if running.handle is None:
        await end_processes_with(MARK, running.mark)
        raise StateError(
            f"test {running.test}: its cmd can't be taken over. That takes a workload client that is reached over SSH, "
            "and a test without `tty`: elsewhere cmd ends with dsi. What it had written is in "
            f"{reports / running.test}; `dsi test-control` begins the task again"
        )
    ids = [test.test.id for test in plan.tests]
    if ids[running.number - 1 : running.number] != [running.test]:
        raise StateError(
            f"test {running.test} still runs, but is no longer number {running.number} of test_control.run: "
            "put it back there to take it over, or end it with `dsi teardown`"
        )
    if not reports.is_dir():
        raise StateError(
            f"test {running.test} still runs, but its reports folder {reports} is gone: end it with `dsi teardown`"
        )
    return running, reports


async def insist_on_none(state: State) -> None:
    """See to it that no other task's `cmd` is still running: two at once would measure each other.

    Raises:
        StateError: one is, or has ended since and can be finished; says what to do.
        HostUnreachable, HostError: what else it has left could not be ended.
    """
    left = left_running(state)
    if left is None:
        return
    running, _ = left
    if running.handle is not None and running.cmd_runs:
        raise StateError(
            f"dsi was killed while test {running.test} ran, and its cmd goes on without it: "
            "`dsi test-control --attach` takes it over; `dsi teardown` ends it"
        )
    await end_left(state)


async def end_left(state: State) -> None:
    """End the `cmd` and the background tasks that a dsi which was killed has left on its workload client.

    What the test has measured, and its servers have left, is kept.

    Raises:
        HostUnreachable, HostError: it couldn't be ended, and is still remembered.
    """
    left = left_running(state)
    if left is None:
        return
    running, reports = left
    await end_processes_with(MARK, running.mark)  # a workload client that is this machine itself ends nothing
    handles = [handle for handle in (running.handle, *running.background.values()) if handle is not None]
    if handles:
        entry = next(entry for entry in provisioning.remembered(state) if entry.role == "workload_client")
        hosts = await provisioning.connect([entry], state, after_a_crash=True)
        try:
            for handle in handles:
                await hosts[entry].release(handle, outlives_s=_SOON_S)
        finally:
            await provisioning.close_all(hosts.values())
    await keep_what_is_left(state, running, reports)
    state.forget(_STATE)
