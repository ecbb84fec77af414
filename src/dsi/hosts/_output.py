"""What every kind of host does alike with a running command: its output, its limits, its end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from dsi import clock
from dsi.errors import CommandFailed, CommandTimeout, NoOutput
from dsi.hosts.base import OnLimit, OnOutput, Reader
from dsi.model import Result, StreamName

BLOCK_BYTES: Final = 65_536
"""How much is read at once: a pipe's size on Linux."""

KILLED: Final = 128 + 9
"""The exit status of a command that was ended and never told one."""

LAST_WORDS_S: Final = 1.0
"""How long the output of a command that has been ended may take to arrive."""


class Output:
    """Takes both outputs of one command, block by block: keeps the last bytes of each and hands every block on."""

    def __init__(self, *, keep_bytes: int, on_output: OnOutput | None = None) -> None:
        self._keep_bytes = keep_bytes
        self._on_output = on_output
        self._kept: dict[StreamName, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._cut = False
        self._busy = 0
        self._last_s = self._begun_s = clock.SYSTEM.monotonic_s()

    async def read_from(self, stream: StreamName, reader: Reader) -> None:
        """Take everything that comes, until the end of the stream."""
        while block := await reader.read(BLOCK_BYTES):
            await self.take(stream, block)

    async def take(self, stream: StreamName, block: bytes) -> None:
        """Take one block; returns when `on_output` has dealt with it."""
        self._keep(self._kept[stream], block)
        self._busy += 1
        try:
            if self._on_output is not None:
                await self._on_output(stream, block)
        finally:
            self._busy -= 1
            self._last_s = clock.SYSTEM.monotonic_s()

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """While nobody can hear the command, it isn't silent."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._last_s = clock.SYSTEM.monotonic_s()

    def silent_since_s(self) -> float:
        """When the last block came, in monotonic seconds. A command whose output waits for us isn't silent."""
        return clock.SYSTEM.monotonic_s() if self._busy else self._last_s

    def result(self, *, host: str, command: str, exit_status: int) -> Result:
        """Give what came of the command."""
        return Result(
            host=host,
            command=command,
            exit_status=exit_status,
            stdout=self._text("stdout"),
            stderr=self._text("stderr"),
            duration_s=clock.SYSTEM.monotonic_s() - self._begun_s,
            cut=self._cut,
        )

    def _keep(self, kept: bytearray, block: bytes) -> None:
        if self._keep_bytes == 0:
            self._cut = True
            return
        kept += block
        if len(kept) > self._keep_bytes:
            self._cut = True
        # Cutting at twice the size and not at each block makes the cost of it independent of the blocks' size.
        if len(kept) > 2 * self._keep_bytes:
            del kept[: len(kept) - self._keep_bytes]

    def _text(self, stream: StreamName) -> str:
        kept = self._kept[stream]
        return kept[max(len(kept) - self._keep_bytes, 0) :].decode(errors="replace")


async def follow(
    work: Coroutine[Any, Any, int],
    *,
    end: Callable[[], Awaitable[None]],
    output: Output,
    host: str,
    command: str,
    timeout_s: float | None,
    no_output_s: float | None,
    on_limit: OnLimit | None,
    check: bool,
) -> Result:
    """Wait for a command that has just been started, within its limits.

    `work` feeds `output` and gives the exit status. `end` ends the command with its process group (SIGTERM,
    `END_GRACE_S` later SIGKILL) and returns when it has ended. It is called past a limit, when the caller is
    cancelled, and when `work` raises (an `on_output` that did, say), and runs to its end before the exception leaves.
    Past a limit `on_limit` comes before it.

    Raises:
        CommandFailed: exit status not 0 (unless `check` is false).
        CommandTimeout, NoOutput: past a limit; carries the result up to there.
    """
    task = asyncio.create_task(work)
    try:
        limit = await _limit_passed(task, output, timeout_s, no_output_s)
        if limit is not None and on_limit is not None:
            await on_limit()
        exit_status = task.result() if limit is None else KILLED
    except BaseException:
        await _uncancelled(_end(task, end))
        raise
    if limit is not None:
        exit_status = await _uncancelled(_end(task, end))
        error, limit_s = limit
        raise error(output.result(host=host, command=command, exit_status=exit_status), limit_s)
    result = output.result(host=host, command=command, exit_status=exit_status)
    if check and exit_status != 0:
        raise CommandFailed([result])
    return result


async def _limit_passed(
    task: asyncio.Task[int], output: Output, timeout_s: float | None, no_output_s: float | None
) -> tuple[type[CommandTimeout], float] | None:
    """Wait for the task's end (None), or for the first limit that is passed: its error and its seconds."""
    begun_s = output.silent_since_s()
    while not task.done():
        ends_s: dict[tuple[type[CommandTimeout], float], float] = {}
        if timeout_s is not None:
            ends_s[CommandTimeout, timeout_s] = begun_s + timeout_s
        if no_output_s is not None:
            ends_s[NoOutput, no_output_s] = output.silent_since_s() + no_output_s
        first = min(ends_s, key=lambda limit: ends_s[limit], default=None)
        left_s = None if first is None else ends_s[first] - clock.SYSTEM.monotonic_s()
        if left_s is not None and left_s <= 0:
            return first
        await asyncio.wait({task}, timeout=left_s)
    return None


async def _end(task: asyncio.Task[int], end: Callable[[], Awaitable[None]]) -> int:
    """End the command while its output is still read, then the reading. Gives the exit status, if there is one."""
    try:
        await end()
    finally:
        await asyncio.wait({task}, timeout=LAST_WORDS_S)
        task.cancel()
        await asyncio.wait({task})
    failed = task.cancelled() or task.exception() is not None
    return KILLED if failed else task.result()


async def _uncancelled(work: Coroutine[Any, Any, int]) -> int:
    """Wait for it however often the caller is cancelled meanwhile; the cancellation then leaves afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and task.exception() is None:
        raise cancelled
    return task.result()
