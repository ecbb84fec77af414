"""The whole lifecycle in one process: every stage whose file is there, then teardown."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from dsi.errors import DsiError, Preflight, ReportError, sentence_of
from dsi.runner import TaskOutcome
from dsi.stages.analysis import insist_on_rules
from dsi.stages.bootstrap import bootstrap
from dsi.stages.mongodb_setup import mongodb_setup
from dsi.stages.provision import provision
from dsi.stages.running_test import insist_on_none
from dsi.stages.session import Session
from dsi.stages.task_begin import begin_task, end_in_the_timeline, told_if_it_breaks
from dsi.stages.task_results import TaskResults
from dsi.stages.teardown import teardown
from dsi.stages.test_control import test_control
from dsi.stages.workload_setup import workload_setup

log = structlog.get_logger()


Stage = Callable[[Session], Awaitable[object]]

STAGES: Final[Mapping[str, Stage]] = {
    "infrastructure_provisioning": provision,
    "workload_setup": workload_setup,
    "mongodb_setup": mongodb_setup,
    "test_control": test_control,
}


async def run(session: Session, *, keep: bool = False) -> TaskOutcome | None:
    """Run the stages; None where there is no test_control.yml.

    `keep`: hosts and clusters stay as they are, for `dsi conn` and `dsi test-control`; `dsi teardown` ends them.

    Raises:
        ConfigError: the configuration is wrong; nothing was touched.
        DsiError: what broke a stage. Teardown has run then too (unless `keep`).
    """
    if (session.work_directory / "bootstrap.yml").exists():
        bootstrap(session.work_directory, only_missing=True)
    stages = {name: stage for name, stage in STAGES.items() if (session.work_directory / f"{name}.yml").exists()}
    if not stages:
        names = ", ".join(f"{name}.yml" for name in STAGES)
        raise Preflight(f"there is nothing to run in {session.work_directory}: it has none of {names}")
    tree = session.load()
    insist_on_rules(tree)
    await insist_on_none(session.state)  # before anything is touched: a cluster that a test still uses, say
    if "test_control" in stages:
        begin_task(session, tree, next(iter(stages)))
    else:
        session.start_reports()
    outcome: TaskOutcome | None = None
    try:
        for name, stage in stages.items():
            outcome = await _run_stage(session, name, stage) or outcome
        if outcome is None:  # what ends without an end in its timeline was killed
            end_in_the_timeline(session.timeline, TaskOutcome())
    except BaseException:
        if not keep:
            await _teardown_after_an_error(session)
        if session.results is not None:
            _write_again(session.results)
        raise
    if not keep:
        await _teardown_after_the_task(session, outcome)
    return outcome


async def _run_stage(session: Session, name: str, stage: Stage) -> TaskOutcome | None:
    with told_if_it_breaks(session, name):
        if session.results is not None:
            session.results.begin_stage(name)
        given = await stage(session)
    return given if isinstance(given, TaskOutcome) else None


async def _teardown_after_an_error(session: Session) -> None:
    """End what was started. What fails in there is logged: it must not hide what broke the run."""
    try:
        await teardown(session)
    except DsiError as problem:
        log.error("teardown failed too; `dsi teardown` tries again", error=str(problem))


async def _teardown_after_the_task(session: Session, outcome: TaskOutcome | None) -> None:
    """End what was started. What fails in there stops nothing any more, and makes the run an error."""
    failed = ""
    try:
        await teardown(session)
    except DsiError as problem:
        if outcome is None:
            raise
        failed = f"teardown failed: {sentence_of(str(problem), outcome.log_lines)}; `dsi teardown` tries again"
    if outcome is not None and session.results is not None:
        _complete(session.results, outcome, failed)


def _complete(results: TaskResults, outcome: TaskOutcome, teardown_failed: str) -> None:
    """Write what came of the task once more, if teardown has failed, or may have made room on a disk that was full."""
    if not teardown_failed and not results.unwritten:
        return
    if outcome.error == results.unwritten:
        outcome.error = ""
    outcome.error = outcome.error or teardown_failed
    try:
        results.write(outcome)
    except ReportError as problem:  # how the tests ended is still to be shown
        outcome.error = outcome.error or str(problem)


def _write_again(results: TaskResults) -> None:
    """Write what could not be written until now. That it still can't be must not hide what broke the run."""
    try:
        results.write_again()
    except ReportError as problem:
        log.error("what came of the task can't be written", error=str(problem))
