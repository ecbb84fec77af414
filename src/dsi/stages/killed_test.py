"""What a test has left whose dsi was killed is kept before its local hosts are removed, or the next task begins.

Its servers' logs and diagnostic data go to its folder of the reports, and what it has measured is read from its output,
as at the end of any test. It is one attempt, with a limit: nothing that comes next may fail or wait for it.
"""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from dsi import config, provisioning
from dsi.config.models import Test, TestControl
from dsi.errors import DsiError, NoResults
from dsi.report.folder import writing
from dsi.report.perf import PerfFiles
from dsi.runner import RunningTest
from dsi.stages.artifacts import MB, fetch_left
from dsi.stages.results import perf_files, read_left
from dsi.state import State
from dsi.timeline import Timeline, read_events

log = structlog.get_logger()

_LIMIT_S: Final = 120.0


async def keep_what_is_left(state: State, running: RunningTest, reports: Path) -> None:
    """Keep it, as far as it isn't yet; what can't be had is told."""
    folder = reports / running.test
    if not folder.is_dir():
        return
    log.info(f"keeping what test {running.test} had left when dsi was killed", reports=reports.name)
    try:
        async with asyncio.timeout(_LIMIT_S):
            await _keep(state, running, reports)
    except TimeoutError:
        log.warning(f"not all of it was kept within {_LIMIT_S:g} s")
    except (
        DsiError,
        OSError,
        LookupError,
        TypeError,
        ValueError,
    ) as problem:  # of files that aren't as dsi writes them
        log.warning("not all of it was kept", reason=str(problem) or repr(problem))


async def _keep(state: State, running: RunningTest, reports: Path) -> None:
    tree = config.load(reports)  # as it was for that task
    settings = config.test_control(tree, lenient=True)
    with writing(reports / "timeline.jsonl"):
        timeline = Timeline(reports / "timeline.jsonl")
    try:
        test = next((test for test in settings.run if test.id == running.test), None)
        if test is not None and running.test not in _those_with_results(reports):
            files = perf_files(tree, reports, state.work_directory if _is_newest(state, reports) else None)
            await _read_results(files, test, settings, running, reports, timeline)
        homes = {entry.name: Path(entry.home) for entry in provisioning.remembered(state) if entry.home}
        homes = {name: home for name, home in homes.items() if home.is_dir()}
        if homes and settings.artifacts != "never":
            await fetch_left(state, homes, timeline, reports / running.test, settings.artifacts_max_mb * MB)
    finally:
        timeline.close()


async def _read_results(
    files: PerfFiles, test: Test, settings: TestControl, running: RunningTest, reports: Path, timeline: Timeline
) -> None:
    output = reports / test.id / "test_output.log"
    if not output.exists():
        return
    files.resume()
    try:
        await read_left(files, test, settings, output.parent, timeline, (running.cmd_s, output.stat().st_mtime))
    except NoResults as none:
        log.info(f"it had measured nothing: {none}")


def _those_with_results(reports: Path) -> set[str]:
    return {event["test"] for event in read_events(reports / "timeline.jsonl", "results")}


def _is_newest(state: State, reports: Path) -> bool:
    """Tell whether perf.json in the work directory is of this run, too."""
    return (state.work_directory / "reports").resolve() == reports.resolve()
