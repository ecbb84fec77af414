"""The whole lifecycle in one process: every stage whose file is there, then teardown."""

from collections.abc import Awaitable, Callable

import structlog

from dsi.errors import DsiError, Preflight
from dsi.runner import TaskOutcome
from dsi.stages.analysis import insist_on_rules
from dsi.stages.bootstrap import bootstrap
from dsi.stages.mongodb_setup import mongodb_setup
from dsi.stages.provision import provision
from dsi.stages.running_test import insist_on_none
from dsi.stages.session import Session
from dsi.stages.teardown import teardown
from dsi.stages.test_control import test_control
from dsi.stages.workload_setup import workload_setup

log = structlog.get_logger()


STAGES: tuple[tuple[str, Callable[[Session], Awaitable[object]]], ...] = (
    ("infrastructure_provisioning", provision),
    ("workload_setup", workload_setup),
    ("mongodb_setup", mongodb_setup),
    ("test_control", test_control),
)


async def run(session: Session, *, keep: bool = False) -> TaskOutcome | None:
    """Run the stages; None where there is no test_control.yml.

    `keep`: hosts and clusters stay as they are, for `dsi conn` and `dsi test-control`; `dsi teardown` ends them.

    Raises:
        ConfigError: the configuration is wrong; nothing was touched.
        DsiError: what broke a stage. Teardown has run then too (unless `keep`).
    """
    if (session.work_directory / "bootstrap.yml").exists():
        bootstrap(session.work_directory, only_missing=True)
    stages = [stage for name, stage in STAGES if (session.work_directory / f"{name}.yml").exists()]
    if not stages:
        names = ", ".join(f"{name}.yml" for name, _ in STAGES)
        raise Preflight(f"there is nothing to run in {session.work_directory}: it has none of {names}")
    insist_on_rules(session.load())
    await insist_on_none(session.state)  # before anything is touched: a cluster that a test still uses, say
    session.start_reports()
    outcome: TaskOutcome | None = None
    try:
        for stage in stages:
            given = await stage(session)
            outcome = given if isinstance(given, TaskOutcome) else outcome
    except BaseException:
        if not keep:
            await _teardown_after_an_error(session)
        raise
    if not keep:
        await _teardown_after_the_task(session, outcome)
    return outcome


async def _teardown_after_an_error(session: Session) -> None:
    """End what was started. What fails in there is logged: it must not hide what broke the run."""
    try:
        await teardown(session)
    except DsiError as problem:
        log.error("teardown failed too; `dsi teardown` tries again", error=str(problem))


async def _teardown_after_the_task(session: Session, outcome: TaskOutcome | None) -> None:
    """End what was started. What fails in there stops nothing any more, and makes the run an error."""
    try:
        await teardown(session)
    except DsiError as problem:
        if outcome is None:
            raise
        outcome.error = outcome.error or f"teardown failed: {problem}; `dsi teardown` tries again"
