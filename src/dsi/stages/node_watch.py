"""What is told of a node that goes down during a test: the timeline, the log, and the test's outcome."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from dsi.commands import Context
from dsi.config.models import Test
from dsi.errors import NodeMissing, NoEffect, raise_together
from dsi.systems.mongodb import Deployment, NodeDown, NodeWatch, Process
from dsi.timeline import Timeline

log = structlog.get_logger()

_BEFORE: Final = "before cmd began (in a hook, say)"
_WHILE_AWAY: Final = "while dsi was away, or before"
_AFTER: Final = "after cmd had ended (in post_test, say)"


class NodesOfATest:
    """Watches the nodes as long as `cmd` runs (a `Companion`), and fails the test afterwards (a `Check`).

    It lasts as long as the task: a node that goes down is told of once, also if nobody starts it again. `taken_over` is
    the test that another dsi has begun.
    """

    def __init__(self, deployment: Deployment, timeline: Timeline, taken_over: str | None = None) -> None:
        self._deployment = deployment
        self._timeline = timeline
        self._taken_over = taken_over
        self._watch: NodeWatch | None = None
        self._told: dict[tuple[str, Process], tuple[str, NodeDown]] = {}
        """What went down, with the test in which that was told."""

    @asynccontextmanager
    async def companion(self, _context: Context, test: Test) -> AsyncIterator[None]:
        """Watch while the block runs."""
        self._deployment.announced.clear()
        self._watch = NodeWatch(self._deployment.nodes, lambda down: self._tell(test, down), known=self._told.keys())
        async with self._watch.running(before=_WHILE_AWAY if test.id == self._taken_over else _BEFORE):
            yield

    async def check(self, _context: Context, _test: Test) -> None:
        """Fail the test if a node went down that wasn't meant to, or none did that was.

        Raises:
            ClusterError: with how it ended, and the lines of its log that tell most. SeveralFailed: for several.
            NoEffect: a command with expect_down took nothing down. HostError: a host is lost.
            NodeMissing: a node is down since an earlier test.
        """
        if self._watch is None:  # a test may end before `cmd` begins
            return
        watch = self._watch
        missing = [_missing(*self._told[which]) for which in self._told if which in watch.still_down]
        raise_together([*watch.failures, *filter(None, missing), *self._without_effect(watch)])

    async def last_check(self, _context: Context, _test: Test) -> None:
        """Look once more after post_test: what went down there belongs to this test, not to the next.

        Raises:
            ClusterError, HostError: as `check`, again with what that has said.
            NoEffect: what a command in post_test has announced stayed up.
        """
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.look_once_more(_AFTER)
            raise_together([*watch.failures, *self._without_effect(watch)])

    def _without_effect(self, watch: NodeWatch) -> list[NoEffect]:
        """Give what was announced since this was last asked, and of which all stayed up."""
        stayed = [announced for announced in self._deployment.announced if watch.saw_none_of(announced)]
        self._deployment.announced.clear()
        return [_no_effect(announced.names) for announced in stayed]

    def _tell(self, test: Test, down: NodeDown) -> None:
        self._told[down.node.name, down.process] = (test.id, down)
        self._timeline.add(
            "node_down",
            test=test.id,
            node=down.node.name,
            host=down.node.host.name,
            exit_status=down.exit_status,
            how=down.how,
            expected=down.expected,
            log_tail=list(down.log_tail),
        )
        if not down.expected:
            log.error("a node went down", node=down.node.name, how=down.how)


def _missing(test: str, down: NodeDown) -> NodeMissing | None:
    """Say that a node is missing; None if it is meant to be."""
    if down.expected or down.node.ends.is_expected(down.process):
        return None
    return NodeMissing(
        f"{down.node.plan.label}: is down since test {test}, {down.how}: the cluster isn't the one that was asked for; "
        "a restart_mongodb in between_tests starts it again"
    )


def _no_effect(names: Sequence[str]) -> NoEffect:
    return NoEffect(f"a command with expect_down: [{', '.join(names)}] took none of these nodes down")
