"""Noticing that a node goes down: one shell on each host looks at its nodes' processes five times a second.

It is the same for every kind of host, and starts no process to look. A node that dsi itself stops is no loss, nor is
one whose end was announced (`Node.expect_end`).
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from dsi.errors import ClusterError, CommandFailed, DsiError, HostError
from dsi.hosts.base import Host
from dsi.model import StreamName
from dsi.systems.mongodb.ends import Announced
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.process import Files, Process, script
from dsi.systems.mongodb.waiting import side_by_side

log = structlog.get_logger()

PERIOD_S: Final = 0.2
"""How long after one look comes the next: what goes down is noticed within a second, on a busy host, too."""

_ROUNDS = 50
"""How often one shell looks before another takes its place (ten seconds). If dsi is killed, no shell is left on the
host for long; and where sshd allows few sessions, the commands that wait for one get their turn."""

_LAST_ROUNDS = 2
"""A fifth of a second, before and after: a server that was just sent SIGKILL needs some time to be gone."""

_AGAIN_S = 0.2
"""How long after a lost connection, or a shell that somebody ended, the host is tried again."""


_WATCH = r"""
rounds=$1 period_s=$2 files=() pids=() starts=(); shift 2
while [ $# -gt 0 ]; do files+=("$1") pids+=("$2") starts+=("$3"); shift 3; done
told=()
# Nobody is told the exit status but its parent, which writes it down a moment later.
tell() {
    local status= file=${files[$1]}.exit
    for _ in {1..50}; do [ -e "$file" ] && break; pause 0.01; done
    { read -r status < "$file"; } 2>/dev/null || :
    echo "$1 ${pids[$1]} ${starts[$1]} $status"
    told[$1]=1
}
while :; do
    for i in "${!files[@]}"; do
        pid= start=
        { read -r pid start < "${files[i]}.pid"; } 2>/dev/null || :
        # No such file while a node is being started (or somebody deleted it): it is still the one before.
        if [ -n "$start" ] && [ "$pid $start" != "${pids[i]} ${starts[i]}" ]; then
            # Another one was started since we looked, and what the one before ended with is no longer there.
            [ -z "${pids[i]}" ] || [ -n "${told[i]}" ] || echo "$i ${pids[i]} ${starts[i]}"
            pids[i]=$pid starts[i]=$start told[i]=
        fi
        if [ -n "${pids[i]}" ] && [ -z "${told[i]}" ]; then runs "${pids[i]}" "${starts[i]}" || tell "$i"; fi
    done
    [ $(( rounds -= 1 )) -gt 0 ] || exit 0
    pause "$period_s"
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDown:
    """A node whose process is gone, `when` that was noticed.

    `exit_status`: 128 + N for signal N; None: not known, since the shell that started it is gone too. `expected`: it
    was announced, or dsi stopped it. `log_tail`: the lines of its log that tell most.
    """

    node: Node
    process: Process
    exit_status: int | None
    expected: bool
    when: str
    log_tail: Sequence[str] = ()

    @property
    def how(self) -> str:
        """Say how it ended: `signal 9 (SIGKILL)`."""
        if self.exit_status is None:
            return "its exit status is not known"
        if self.exit_status <= 128:
            return f"exit status {self.exit_status}"
        number = self.exit_status - 128
        known = {one.value: one.name for one in signal.Signals}
        return f"signal {number} ({known.get(number, 'unknown')})"

    def as_error(self) -> ClusterError:
        """Give it as what fails a test."""
        return ClusterError(
            self.node.plan.label,
            f"went down {self.when}, {self.how}; if it is meant to, write expect_down: [{self.node.name}] beside the "
            "command",
            self.log_tail,
        )


class NodeWatch:
    """Watches nodes from `async with watch.running()` to its end.

    `on_down` is told of each that goes down, expected ones too, but for those `known` already: processes that an
    earlier watch has told of, by the names of their nodes. `still_down` has those of them that nobody has started anew.
    """

    def __init__(
        self, nodes: Sequence[Node], on_down: Callable[[NodeDown], None], *, known: Collection[tuple[str, Process]] = ()
    ) -> None:
        self.still_down: set[tuple[str, Process]] = set()
        self._hosts: dict[str, list[Node]] = {}
        for node in nodes:
            self._hosts.setdefault(node.host.name, []).append(node)
        self._on_down = on_down
        self._known = frozenset(known)
        self._down: dict[tuple[str, Process], NodeDown] = {}
        self._unreachable: dict[str, HostError] = {}
        self._when = ""

    @asynccontextmanager
    async def running(self, *, before: str) -> AsyncIterator[None]:
        """Watch. At the beginning it is looked for what is down already: that was `before`, as people are told.

        At the end, unless by an error, it is looked once more: what has happened until then is known.
        """
        await self._look_everywhere(before)
        self._when = "during the test"
        tasks = [asyncio.create_task(self._follow(nodes)) for nodes in self._hosts.values()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for bug in (task for task in tasks if not task.cancelled()):
            bug.result()  # they end by being cancelled alone
        await self.look_once_more(self._when)

    async def look_once_more(self, when: str) -> None:
        """Look for what has happened, or was announced, since the last look: that was then, as people are told."""
        await self._look_everywhere(when)
        self._forget_what_did_not_come()

    def saw_none_of(self, announced: Announced) -> bool:
        """Tell whether all that was meant to go down stayed up."""
        return not announced.processes & self._down.keys()

    @property
    def failures(self) -> list[DsiError]:
        """What went down and wasn't meant to, and hosts of which that isn't known."""
        down = [one.as_error() for one in self._down.values() if not one.expected]
        return [*down, *self._unreachable.values()]

    async def _look_everywhere(self, when: str) -> None:
        self._when = when
        await side_by_side(self._look(nodes, rounds=_LAST_ROUNDS) for nodes in self._hosts.values())

    async def _follow(self, nodes: Sequence[Node]) -> None:
        while True:
            await self._look(nodes, rounds=_ROUNDS)
            if nodes[0].host.name in self._unreachable:
                await asyncio.sleep(_AGAIN_S)

    async def _look(self, nodes: Sequence[Node], *, rounds: int) -> None:
        host = nodes[0].host
        gone: asyncio.Queue[tuple[Node, Process, int | None] | None] = asyncio.Queue()

        def on_gone(index: int, which: Process, exit_status: int | None) -> None:
            gone.put_nowait((nodes[index], which, exit_status))

        watched = [(node.layout.files, node.process) for node in nodes]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_note(gone))
            try:
                await _watch_processes(host, watched, rounds=rounds, on_gone=on_gone)
                self._unreachable.pop(host.name, None)
            except (HostError, CommandFailed) as problem:
                self._lose(host, problem)
            gone.put_nowait(None)

    async def _take_note(self, gone: "asyncio.Queue[tuple[Node, Process, int | None] | None]") -> None:
        """Note what went down, once each, until None comes. The log is read at once: a restart may delete it."""
        while (item := await gone.get()) is not None:
            node, which, exit_status = item
            if (node.name, which) in self._known:
                self.still_down.add((node.name, which))
                continue
            if (node.name, which) in self._down:
                continue
            expected = node.ends.is_expected(which)
            down = NodeDown(
                node=node,
                process=which,
                exit_status=exit_status,
                expected=expected,
                when=self._when,
                log_tail=() if expected else await _log_tail(node),
            )
            self._down[node.name, which] = down
            self._on_down(down)

    def _lose(self, host: Host, problem: DsiError) -> None:
        if host.name not in self._unreachable:
            log.warning("the nodes of a host can't be watched", host=host.name, reason=str(problem))
        self._unreachable[host.name] = HostError(host.name, f"whether its nodes run is not known: {problem}")

    def _forget_what_did_not_come(self) -> None:
        """Take back what was announced and did not happen: it would hide what happens to the next test."""
        came = self._down.keys() | self._known
        for nodes in self._hosts.values():
            for node in nodes:
                node.ends.expect_none(but_of={which for name, which in came if name == node.name})


async def _log_tail(node: Node) -> Sequence[str]:
    try:
        return await node.log_tail()
    except DsiError as problem:
        return [f"(the log can't be read: {problem})"]


async def _watch_processes(
    host: Host,
    watched: Sequence[tuple[Files, Process | None]],
    *,
    rounds: int,
    on_gone: Callable[[int, Process, int | None], None],
) -> None:
    """Look at processes, five times a second, `rounds` times.

    Each is what was started last with these files; `watched` has beside them the one that is known, if any. `on_gone`
    is told of each that is gone: its position in `watched`, the process, its exit status (None: not known).

    Raises:
        HostError: the connection is lost.
        CommandFailed: somebody ended the shell.
    """
    cut = b""

    async def take(_stream: StreamName, block: bytes) -> None:
        nonlocal cut
        *lines, cut = (cut + block).split(b"\n")
        for line in lines:
            index, pid, start, *status = map(int, line.split())
            on_gone(index, Process(pid, start), status[0] if status else None)

    arguments: list[object] = [rounds, PERIOD_S]
    for files, known in watched:
        arguments += [f"{files.folder}/{files.name}", *((known.pid, known.start) if known else ("", ""))]
    await host.run(script(_WATCH, *arguments), on_output=take)
