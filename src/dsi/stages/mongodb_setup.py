"""Stage mongodb_setup: the clusters of the topology, up and whole."""

from typing import Final

import structlog

from dsi.clock import SYSTEM, isoformat
from dsi.commands import Context
from dsi.config import Tree
from dsi.errors import ConfigError, DsiError, StateError
from dsi.runner import run_hook
from dsi.stages.hooks import hook
from dsi.stages.running_test import insist_on_none
from dsi.stages.session import Session
from dsi.stages.validate import in_the_files
from dsi.state import State

log = structlog.get_logger()

STAGE = "mongodb_setup"

_UNFINISHED: Final = "unfinished_setup"


async def mongodb_setup(session: Session) -> None:
    """Install the binaries, and start the clusters; nodes that an earlier stage has started are stopped first.

    Raises:
        DsiError: what broke; `upon_error` has run then.
    """
    tree = session.begin(STAGE)
    await insist_on_none(session.state)
    session.state.write(_UNFINISHED, {"since": isoformat(SYSTEM.wall_s())})
    context = await session.context(tree)
    deployment = await session.deployment(tree)
    await deployment.stop()
    session.progress.step("installing mongod")
    with session.timeline.span("install"):
        try:
            await deployment.install()
        except ConfigError as problem:
            raise ConfigError(in_the_files(tree, problem.problems)) from problem
    await _run(session, "pre_cluster_start", tree, context)
    session.progress.step("starting the clusters")
    try:
        with session.timeline.span("cluster_start"):
            await deployment.start()
    except DsiError:
        await _upon_error(session, tree, context)
        raise
    await _run(session, "post_cluster_start", tree, context)
    session.state.forget(_UNFINISHED)


def insist_on_its_end(state: State) -> None:
    """See to it that the last setup has come to its end: the servers may be up, and no cluster yet.

    Raises:
        StateError: it was interrupted, has failed, or was killed.
    """
    if begun := state.read(_UNFINISHED):
        raise StateError(
            f"mongodb_setup, begun {begun['since']}, did not come to its end (it failed, or was interrupted): "
            "run `dsi mongodb-setup` again first"
        )


def forget_setup(state: State) -> None:
    """Forget that there was one: its servers are gone."""
    state.forget(_UNFINISHED)


async def _run(session: Session, name: str, tree: Tree, context: Context) -> None:
    await run_hook(name, hook(tree, f"{STAGE}.{name}"), context.into(name), session.progress)


async def _upon_error(session: Session, tree: Tree, context: Context) -> None:
    """Run `upon_error`. What fails in there is logged, since it must not hide why the cluster did not start."""
    try:
        await _run(session, "upon_error", tree, context)
    except DsiError as problem:
        log.error("upon_error failed too", error=str(problem))
