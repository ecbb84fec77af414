"""A task from its first stage on: what stands there of an earlier one is replaced before anything can break."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from dsi.config import Tree
from dsi.errors import DsiError, ReportError, sentence_of
from dsi.runner import TaskOutcome, tell_interrupt
from dsi.stages.results import perf_files
from dsi.stages.session import Session
from dsi.stages.task_results import TaskResults, killed_before
from dsi.timeline import Timeline

log = structlog.get_logger()


def begin_task(session: Session, tree: Tree, stage: str) -> TaskResults:
    """Begin reports, results and measurements; until a test runs they say that dsi was killed in this stage.

    The configuration needn't be whole yet: hosts may be missing.

    Raises:
        ReportError: they can't be written.
    """
    if session.reports is None and (killed := killed_before(tree)):
        log.warning(killed)
    reports = session.start_reports()
    results = session.results = TaskResults(tree, reports)
    perf_files(tree, reports, session.work_directory).begin()
    results.begin_stage(stage)
    return results


@contextmanager
def told_if_it_breaks(session: Session, stage: str) -> Iterator[None]:
    """Have what breaks in the block, before the task's first test, told as what ended the task: in the timeline too."""
    try:
        yield
    except BaseException as problem:  # a bug of ours, too: what stands there says that dsi was killed
        if session.results is None or not session.results.are_decided:
            _tell(session, stage, problem)
        raise


def _tell(session: Session, stage: str, problem: BaseException) -> None:
    interrupted = isinstance(problem, asyncio.CancelledError)
    if interrupted:
        tell_interrupt(session.timeline, f"{stage} is called off, and no test runs")
    log_lines: list[str] = []
    what = sentence_of(str(problem), log_lines) if isinstance(problem, DsiError) else f"a bug in dsi: {problem!r}"
    error = f"interrupted in {stage}" if interrupted else f"{stage}: {what}"
    unwritten = ""
    try:
        if session.results is not None:
            session.results.end_before_the_tests(error, log_lines, interrupted=interrupted)
    except ReportError as failure:  # what broke the stage is to be seen
        unwritten = str(failure)
        log.error("what came of the task can't be written", error=unwritten)
    outcome = TaskOutcome(error="" if interrupted else error, interrupted=interrupted, log_lines=log_lines)
    end_in_the_timeline(session.timeline, outcome, unwritten)


def end_in_the_timeline(timeline: Timeline, outcome: TaskOutcome, unwritten: str = "") -> None:
    """Tell that the task is over; `unwritten`: why what came of it could not be written.

    It comes after all else is written: who reads it can rely on what stands there.
    """
    timeline.add(
        "task_end",
        error="; ".join(filter(None, (outcome.error, unwritten))),
        interrupted=outcome.interrupted,
        notes=outcome.notes,
        log_lines=outcome.log_lines,
    )
