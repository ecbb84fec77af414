"""What the servers leave behind in a test is fetched when it is over: logs, diagnostic data, core files."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import structlog

from dsi.commands import Context
from dsi.config.models import Test, TestControl
from dsi.errors import DsiError, HostUnreachable, StateError
from dsi.hosts import this_machine
from dsi.hosts.base import Host
from dsi.report.progress import Progress
from dsi.runner import Status
from dsi.state import State
from dsi.systems.mongodb import (
    Artifact,
    Deployment,
    Left,
    Mark,
    Node,
    Places,
    first_mark,
    look_for_artifacts,
    look_for_artifacts_at,
    places_of,
)
from dsi.timeline import Timeline

log = structlog.get_logger()

AT_ONCE: Final = 16
"""How many nodes are fetched from side by side: what is on its way from each takes up to ten megabytes of memory."""

MB: Final = 1_000_000

_STATE: Final = "artifacts"


class Artifacts:
    """Fetches what is new on each node after each test (an `Afterwards`), into `reports/TEST/HOST/NODE/`.

    Each node is for itself, and each file: what can't be had is a warning, and stands in the timeline.
    """

    def __init__(self, deployment: Deployment, settings: TestControl, progress: Progress, state: State) -> None:
        self._nodes = deployment.nodes if settings.artifacts != "never" else ()
        self._when = settings.artifacts
        self._max_bytes = settings.artifacts_max_mb * MB
        self._limit_s = settings.timeouts.artifacts_ms / 1000
        self._progress = progress
        self._state = state
        self._marks: dict[str, Mark] = {}

    async def begin(self, context: Context) -> None:
        """Note what lies on the nodes now, and so isn't of the tests that follow."""

        async def begin(node: Node) -> None:
            with _told(context.timeline, node.host, node.name):
                async with asyncio.timeout(self._limit_s):
                    self._marks[node.name] = await first_mark(node)

        await asyncio.gather(*map(begin, self._nodes))
        self._keep()

    async def fetch(self, context: Context, test: Test, status: Status) -> None:
        """Fetch what the test has left, if it is wanted. In any case the next test begins where this one ends."""
        if not self._nodes:
            return
        wanted = self._when == "always" or status != "passed"
        if wanted:
            self._progress.step("fetching logs, diagnostic data and core files")
        with context.timeline.span("artifacts", test=test.id) as ending:
            fetch = _Fetch(context.timeline, context.reports, self._max_bytes)
            places = asyncio.Semaphore(AT_ONCE)
            ends_s = asyncio.get_running_loop().time() + self._limit_s

            async def of_a_node(node: Node) -> None:
                with _told(context.timeline, node.host, node.name, test.id):
                    async with asyncio.timeout_at(ends_s), places:
                        left = await look_for_artifacts(node, self._marks.get(node.name, Mark()))
                        self._marks[node.name] = left.mark
                        if wanted:
                            await fetch.from_node(node.name, node.host, left)

            await asyncio.gather(*map(of_a_node, self._nodes))
            ending.update(files=fetch.files, size_bytes=fetch.size_bytes)
        self._keep()

    def _keep(self) -> None:
        """Keep what lies where: if dsi is killed in the next test, the one after it has that test's files."""
        kept = {
            node.name: {
                "host": node.host.name,
                "places": asdict(places_of(node)),
                "mark": self._marks.get(node.name, Mark()).as_json(),
            }
            for node in self._nodes
        }
        try:
            self._state.write(_STATE, kept)
        except StateError as problem:
            log.warning("where the servers' files lie can't be kept", reason=str(problem))


async def fetch_left(
    state: State, homes: Mapping[str, Path], timeline: Timeline, reports: Path, max_bytes: int
) -> None:
    """Fetch what a test has left on local hosts, whose `homes` are still there, though the dsi that ran it is gone.

    `reports`: the test's folder. A node of which something is in there is passed over.
    """
    fetch = _Fetch(timeline, reports, max_bytes)
    with timeline.span("artifacts", test=reports.name) as ending:
        for name, kept in (state.read(_STATE) or {}).items():
            host_name = kept["host"]
            if host_name in homes and not (reports / host_name / name).exists():
                host = this_machine(host_name, homes[host_name])
                try:
                    with _told(timeline, host, name, reports.name):
                        left = await look_for_artifacts_at(host, Places(**kept["places"]), Mark.of_json(kept["mark"]))
                        await fetch.from_node(name, host, left)
                finally:
                    await host.close()
        ending.update(files=fetch.files, size_bytes=fetch.size_bytes)


class _Fetch:
    """One test's artifacts on their way to its folder. `files` and `size_bytes` count what has arrived."""

    def __init__(self, timeline: Timeline, folder: Path, max_bytes: int) -> None:
        self._timeline = timeline
        self._folder = folder
        self._max_bytes = max_bytes
        self._cores: set[object] = set()
        self.files = 0
        self.size_bytes = 0

    async def from_node(self, node: str, host: Host, left: Left) -> None:
        """Fetch what a node has left, one after another.

        Raises:
            HostUnreachable: there is no use in trying the rest.
        """
        folder = self._folder / host.name / node
        for missing in left.missing:
            self._warn(node, host, f"missing: {missing}")
        for artifact in left.new:
            if artifact.kind == "core" and not self._is_first(host, artifact):
                continue
            try:
                await self._fetch(node, host, artifact, folder)
            except HostUnreachable:
                raise
            except DsiError as problem:
                self._warn(node, host, f"not fetched: {problem}")

    def _is_first(self, host: Host, core: Artifact) -> bool:
        """Tell whether no other node had this core file: nodes of one machine may share the folder."""
        key = ("here" if host.is_local else host.machine, core.path)
        is_first = key not in self._cores
        self._cores.add(key)
        return is_first

    async def _fetch(self, node: str, host: Host, artifact: Artifact, folder: Path) -> None:
        first_byte, size_bytes = artifact.first_byte, artifact.size_bytes
        if size_bytes > self._max_bytes:
            has = f"{artifact.path} has {size_bytes} bytes that are new"
            limit = f"{self._max_bytes // MB} MB (test_control.artifacts_max_mb)"
            if artifact.kind != "log":
                self._warn(node, host, f"not fetched: {has}, more than {limit}; it is still on {host.name}")
                return
            self._warn(node, host, f"{has}, and the last {limit} alone were fetched")  # the end says most
            first_byte, size_bytes = first_byte + size_bytes - self._max_bytes, self._max_bytes
        await host.get(artifact.path, folder / artifact.name, first_byte=first_byte, size_bytes=size_bytes)
        self.files += 1
        self.size_bytes += size_bytes

    def _warn(self, node: str, host: Host, message: str) -> None:
        _warn(self._timeline, host, node, message, self._folder.name)


@contextmanager
def _told(timeline: Timeline, host: Host, node: str, test: str | None = None) -> Iterator[None]:
    """Have what goes wrong with a node told, and the others go on."""
    try:
        yield
    except TimeoutError:
        _warn(timeline, host, node, "not all was fetched within timeouts.artifacts_ms; what had come is kept", test)
    except DsiError as problem:
        _warn(timeline, host, node, f"not all was fetched: {problem}", test)


def _warn(timeline: Timeline, host: Host, node: str, message: str, test: str | None) -> None:
    timeline.add("warning", test=test, host=host.name, node=node, message=f"artifacts: {message}")
    log.warning(f"artifacts: {message}", host=host.name, node=node)
