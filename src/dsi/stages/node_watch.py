"""What is told of a node that goes down during a test: the timeline, the log, and the test's outcome."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from dsi.commands import Context
from dsi.config.models import Test
from dsi.errors import NoEffect, raise_together
from dsi.systems.mongodb import Deployment, NodeDown, NodeWatch
from dsi.timeline import Timeline

log = structlog.get_logger()


class NodesOfATest:
    """Watches the nodes as long as `cmd` runs (a `Companion`), and fails the test afterwards (a `Check`)."""

    def __init__(self, deployment: Deployment, timeline: Timeline) -> None:
        self._deployment = deployment
        self._timeline = timeline
        self._watch: NodeWatch | None = None

    @asynccontextmanager
    async def companion(self, _context: Context, test: Test) -> AsyncIterator[None]:
        """Watch while the block runs."""
        self._deployment.announced.clear()
        self._watch = NodeWatch(self._deployment.nodes, lambda down: self._tell(test, down))
        async with self._watch.running():
            yield

    async def check(self, _context: Context, _test: Test) -> None:
        """Fail the test if a node went down that wasn't meant to, or none did that was.

        Raises:
            ClusterError: with how it ended, and the lines of its log that tell most. SeveralFailed: for several.
            NoEffect: a command with expect_down took nothing down. HostError: a host is lost.
        """
        watch, self._watch = self._watch, None
        if watch is None:  # a test may end before `cmd` begins
            return
        stayed = [announced for announced in self._deployment.announced if watch.saw_none_of(announced)]
        raise_together([*watch.failures, *(_no_effect(announced.names) for announced in stayed)])

    def _tell(self, test: Test, down: NodeDown) -> None:
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


def _no_effect(names: Sequence[str]) -> NoEffect:
    return NoEffect(f"a command with expect_down: [{', '.join(names)}] took none of these nodes down")
