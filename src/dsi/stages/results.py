"""What a test has measured is read from its output, and kept, as soon as the test is over."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from dsi import config
from dsi.commands import Context
from dsi.config import Tree
from dsi.config.models import Test, TestControl
from dsi.errors import NoResults
from dsi.parsers import Measured, parse_output
from dsi.report.perf import Measurement, PerfFiles
from dsi.report.test_files import Stopped, output_of
from dsi.runner import RunningTest, Status
from dsi.timeline import Timeline

log = structlog.get_logger()


class ResultsOfATest:
    """Knows when a test's `cmd` ran (a `Companion`), and reads its results (an `Afterwards`).

    `output_file`: by type of test, what a file of its folder is called that may have them.
    """

    def __init__(self, files: PerfFiles, output_file: Mapping[str, str], taken_over: RunningTest | None = None) -> None:
        self._files = files
        self._output_file = output_file
        self._taken_over = taken_over
        self._start_s: float | None = None

    @asynccontextmanager
    async def companion(self, context: Context, test: Test) -> AsyncIterator[None]:
        """Note when `cmd` begins."""
        taken = self._taken_over
        begun_earlier = taken is not None and taken.test == test.id
        self._start_s = taken.cmd_s if taken is not None and begun_earlier else context.clock.wall_s()
        yield

    async def read(self, context: Context, test: Test, status: Status) -> None:
        """Read the results, also those of a test that failed or was interrupted.

        Raises:
            NoResults: there are none, though the test has passed so far.
            ReportError: they can't be read or written.
        """
        start_s, self._start_s = self._start_s, None
        if start_s is None:  # `cmd` never began
            return
        measurement = Measurement(test=test.id, type=test.type, start_s=start_s, end_s=context.clock.wall_s())
        try:
            client = context.inventory.workload_client.name
            measured = await _measured(test, self._output_file.get(test.type), context.reports, client)
        except NoResults:
            if status == "passed":
                raise
            return  # it has a better reason to have failed
        if measured.metrics:
            self._files.add(measurement, measured.metrics)
        context.timeline.add("results", test=test.id, metrics=len(measured.metrics), passed_over=measured.passed_over)
        if measured.passed_over:
            log.warning("some of the results can't be read", test=test.id, passed_over=measured.passed_over)


async def read_left(
    files: PerfFiles, test: Test, settings: TestControl, folder: Path, timeline: Timeline, times_s: tuple[float, float]
) -> None:
    """Read the results of a test whose dsi was killed. `times_s`: when its `cmd` began, and when it last wrote.

    Raises:
        NoResults, ReportError: as `ResultsOfATest.read`.
    """
    measured = await _measured(test, settings.output_file.get(test.type), folder, "workload_client.0")
    if measured.metrics:
        start_s, end_s = times_s
        measurement = Measurement(test=test.id, type=test.type, start_s=start_s, end_s=end_s)
        files.add(measurement, measured.metrics)
    timeline.add("results", test=test.id, metrics=len(measured.metrics), passed_over=measured.passed_over)


def perf_files(tree: Tree, reports: Path, work_directory: Path | None) -> PerfFiles:
    """Give the files of what a task measures, in its reports and, unless it is None, in the work directory."""
    storage = config.mongodb_setup(tree, lenient=True).mongod_config_file.get("storage")
    engine = storage.get("engine") if isinstance(storage, dict) else None
    return PerfFiles(
        [reports, *([work_directory] if work_directory else [])], storage_engine=str(engine or "wiredTiger")
    )


async def _measured(test: Test, usual: str | None, folder: Path, client: str) -> Measured:
    """Read the results beside what else runs: of 1 GB of output that takes a while."""
    stop = threading.Event()
    output = output_of(test.id, folder, test.output_files, usual, client=client, stop=stop)

    def read() -> Measured:
        try:
            return parse_output(test.type, output)
        except Stopped:  # nobody waits for it any more
            return Measured()

    try:
        return await asyncio.to_thread(read)
    finally:
        stop.set()  # a thread isn't cancelled with us
