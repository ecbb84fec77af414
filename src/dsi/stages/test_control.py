"""Stage test_control: the tests of a task."""

import asyncio
from functools import partial

import structlog

from dsi import config
from dsi.clock import isoformat
from dsi.commands import Context
from dsi.config import Tree
from dsi.config.models import Test, Validated
from dsi.errors import ReportError, StateError
from dsi.report.progress import Progress
from dsi.runner import (
    Check,
    Companion,
    Preparation,
    RunningTest,
    Surroundings,
    TaskOutcome,
    TaskPlan,
    TaskRunner,
    TestPlan,
)
from dsi.stages.artifacts import Artifacts
from dsi.stages.client_files import FOR_CMD, client_files
from dsi.stages.clock_offsets import note_clock_offsets
from dsi.stages.copies import copy_configuration
from dsi.stages.dsisocket import TOKEN, SocketOfATest
from dsi.stages.hang import Hangs
from dsi.stages.hooks import hook, timed_hook
from dsi.stages.mongodb_setup import insist_on_its_end
from dsi.stages.node_watch import NodesOfATest
from dsi.stages.restarts_before import check_of_restarts_before
from dsi.stages.results import ResultsOfATest, perf_files
from dsi.stages.running_test import RunningTestKept, insist_on_none, what_to_take_over
from dsi.stages.scope import scope_of
from dsi.stages.session import Session
from dsi.stages.task_begin import begin_task, end_in_the_timeline, told_if_it_breaks
from dsi.stages.task_results import STAGE, TaskResults
from dsi.systems.mongodb import Deployment

log = structlog.get_logger()


async def test_control(session: Session) -> TaskOutcome:
    """Run the task. What goes wrong in a test stands in the outcome, and in `test_control.out.yml`.

    Raises:
        DsiError: what keeps the task from beginning.
    """
    tree = session.begin(STAGE)
    await insist_on_none(session.state)
    insist_on_its_end(session.state)
    if session.results is not None:  # of `dsi run`, which has begun the task, and tells what breaks it
        session.results.go_on_with(tree)
        return await _run_all(session, tree, session.results)
    with told_if_it_breaks(session, STAGE):
        return await _run_all(session, tree, begin_task(session, tree, STAGE))


async def _run_all(session: Session, tree: Tree, results: TaskResults) -> TaskOutcome:
    await _insist_on_nodes(await session.deployment(tree))
    return await _run_task(session, tree, results)


async def attach(session: Session) -> TaskOutcome:
    """Go on with the task of a dsi that was killed while a test's `cmd` ran. The rest is as in `test_control`.

    Raises:
        DsiError: what keeps it from being taken over.
    """
    tree = session.begin(STAGE)
    running, reports = await what_to_take_over(session.state, plan_of(tree))
    session.resume_reports(reports)
    log.info(f"going on with test {running.test}, begun {isoformat(running.start_s)}")
    results = TaskResults(tree, reports)
    # A node that is down is no reason to leave the test alone: it will be failed for that.
    return await _run_task(session, tree, results, running)


async def _run_task(
    session: Session, tree: Tree, results: TaskResults, taken_over: RunningTest | None = None
) -> TaskOutcome:
    context = await session.context(tree)
    surroundings = await _surroundings(session, tree, results, context, taken_over)
    runner = TaskRunner(plan_of(tree), context, session.progress, surroundings, taken_over=taken_over)
    await note_clock_offsets(context.inventory, session.timeline)
    try:
        outcome = await runner.run()
    except asyncio.CancelledError:  # the second Ctrl-C: what came of the tests is kept, all else is left out
        end_in_the_timeline(session.timeline, TaskOutcome(interrupted=True))
        raise
    unwritten = ""
    try:
        results.write(outcome)
        copy_configuration(session.work_directory, results.reports)
    except ReportError as problem:  # how the tests ended is still to be shown
        unwritten = str(problem)
    end_in_the_timeline(session.timeline, outcome, unwritten)
    outcome.error = outcome.error or unwritten
    return outcome


async def _surroundings(
    session: Session, tree: Tree, task_results: TaskResults, context: Context, taken_over: RunningTest | None
) -> Surroundings:
    """Give what surrounds a test: what is made ready, runs beside it, is checked and is fetched."""
    settings, reports = config.test_control(tree), task_results.reports
    deployment = await session.deployment(tree)
    running = taken_over.test if taken_over else None
    nodes = NodesOfATest(deployment, session.timeline, running)
    measured = perf_files(tree, reports, session.work_directory)
    artifacts = Artifacts(deployment, settings, session.progress, session.state)
    if taken_over is None:
        await artifacts.begin(context)
    else:  # all that lies on the servers may be of the running test
        measured.resume()
    results = ResultsOfATest(measured, settings.output_file, taken_over)
    companions: list[Companion] = [results.companion, nodes.companion]
    checks: list[Check] = [nodes.check]
    preparations: list[Preparation] = []
    if settings.dsisocket.enabled:
        socket = SocketOfATest(
            settings=settings.dsisocket,
            scope=scope_of(tree),
            state=session.state,
            deployment=deployment,
            taken_over=taken_over,
        )
        companions.append(socket.companion)
        preparations += [socket.prepare, client_files]
        checks.append(socket.check)
    if running is not None:
        checks.append(check_of_restarts_before(reports / "timeline.jsonl", running))
    checks.append(_validate(deployment, config.validated(tree), session.progress))
    return Surroundings(
        preparations=preparations,
        companions=companions,
        checks=checks,
        last_checks=[nodes.last_check],
        # The artifacts last: what came of the test is known then.
        afterwards=[results.read, artifacts.fetch],
        diagnose=Hangs(deployment).diagnose,
        for_cmd_alone=[TOKEN, *FOR_CMD],
        keeper=RunningTestKept(session.state, reports),
        record=task_results.write,
        at_the_end=partial(note_clock_offsets, context.inventory, session.timeline),
    )


def plan_of(tree: Tree) -> TaskPlan:
    """Give what the task will do, hooks in the order in which the specification has them run."""
    settings = config.test_control(tree)

    def both(name: str) -> list[str]:
        return [f"mongodb_setup.{name}", f"{STAGE}.{name}"]

    def test_plan(index: int, test: Test) -> TestPlan:
        own = f"{STAGE}.run.{index}"
        return TestPlan(
            test=test,
            pre_test=hook(tree, *both("pre_test"), f"{own}.pre_test"),
            during_test=timed_hook(tree, *both("during_test"), f"{own}.during_test"),
            post_test=hook(tree, f"{own}.post_test", *reversed(both("post_test"))),
        )

    return TaskPlan(
        tests=[test_plan(index, test) for index, test in enumerate(settings.run)],
        pre_task=hook(tree, *both("pre_task")),
        between_tests=hook(tree, *both("between_tests")),
        post_task=hook(tree, *reversed(both("post_task"))),
        no_output_s=settings.timeouts.no_output_ms / 1000,
        max_time_s=settings.timeouts.max_time_ms / 1000 if settings.timeouts.max_time_ms else None,
        delay_s=settings.test_delay_seconds,
        max_log_bytes=settings.max_log_bytes,
    )


def _validate(deployment: Deployment, wanted: Validated, progress: Progress) -> Check:
    async def check(context: Context, test: Test) -> None:
        if not test.skip_validate and deployment.nodes:
            progress.step("validating")
            with context.timeline.span("validate", test=test.id):
                await deployment.validate(wanted)

    return check


async def _insist_on_nodes(deployment: Deployment) -> None:
    missing = [name for name, state in (await deployment.status()).items() if state == "down"]
    if missing:
        raise StateError(f"these nodes are not up: {', '.join(missing)}; run `dsi mongodb-setup` first")
