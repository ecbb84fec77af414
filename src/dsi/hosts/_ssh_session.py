"""One SSH session: a process on the host, its two outputs, and marks in them."""

import asyncio
from contextlib import suppress
from typing import Any, Final, cast

import asyncssh

from dsi.hosts._output import LAST_WORDS_S
from dsi.hosts._ssh_connection import WINDOW_BYTES
from dsi.hosts.base import Reader

START_BASH: Final = """exec bash --norc --noprofile -c 'IFS= read -r -d "" REPLY; eval "$REPLY"'"""
"""The command line of every session. Every login shell understands it, also fish and csh; what bash should do comes
over standard input, ended by a NUL, so that no list of processes shows it."""

NO_PROGRAM: Final = 127
"""The exit status of a shell that should run what isn't there."""

AT_ONCE_BYTES: Final = 1 << 18
"""How much is taken at once of what has come. Packets have 32 KiB: taking them one by one costs more than the rest."""

DROPPED_BYTES: Final = 1000
"""How much of what is said outside of any command is kept, for an error's message."""


class ShellGone(Exception):
    """The session ended before the command did.

    `begun` tells whether the command had begun, `exit_status` how the session ended (None: the connection is dead), and
    `said` what it said last, outside of any command.
    """

    def __init__(self, *, begun: bool, exit_status: int | None, said: str = "") -> None:
        self.begun = begun
        self.exit_status = exit_status
        self.said = said
        super().__init__(self.why())

    def why(self) -> str:
        """Say what happened, for people."""
        if self.exit_status is None:
            return "the SSH connection broke"
        if self.exit_status == NO_PROGRAM and not self.begun:
            return f"there is no bash on its PATH, which dsi needs ({self.said})"
        return f"its shell ended with exit status {self.exit_status} ({self.said or 'and said nothing'})"


class NoSession(Exception):
    """No session could be opened, or no shell in it. `refused`: sshd has no place for one more."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(message)


class Ended(Exception):
    """The end of a session's output, or of its connection."""


class Process(asyncssh.SSHClientProcess[bytes]):
    """A session's process. Its output ends soon after it has, also when what it left behind holds the output open."""

    def __init__(self) -> None:
        super().__init__()
        self._exited = asyncio.Event()

    def exit_status_received(self, status: int) -> None:
        """Called by asyncssh."""
        self._end_soon()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Called by asyncssh."""
        self._end_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncssh, once, in any case."""
        super().connection_lost(exc)
        self._exited.set()

    async def has_ended_within(self, limit_s: float) -> bool:
        """Wait for the end, for so long at most; give whether it has come."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), limit_s)
        return self._exited.is_set()

    def _end_soon(self) -> None:
        self._exited.set()
        # sshd tells of the end before it has sent the last output.
        asyncio.get_running_loop().call_later(LAST_WORDS_S, self.eof_received)

    async def exit_status_in_bash(self) -> int | None:
        """Wait for the end; give the exit status (128 + N for signal N), None if the connection died."""
        await self._exited.wait()
        status = self.returncode
        return 128 - status if status is not None and status < 0 else status


async def open_process(connection: asyncssh.SSHClientConnection, line: str, **options: Any) -> Process:
    """Open a session for bytes.

    Raises:
        NoSession
    """
    try:
        _, process = await connection.create_session(Process, line, encoding=None, window=WINDOW_BYTES, **options)
    except asyncssh.ChannelOpenError as error:
        await asyncio.sleep(0)  # asyncssh opens nothing more from the break on, but says that it is closed a turn later
        if connection.is_closed():
            raise NoSession("the SSH connection broke") from error
        message = f"sshd refused a session ({error.reason}): see MaxSessions in its sshd_config"
        raise NoSession(message, refused=True) from error
    except (OSError, asyncssh.Error) as error:
        raise NoSession("the SSH connection broke") from error
    return cast("Process", process)


class Marked:
    """One output of a shell: bytes, and marks in between, each followed by the rest of a line."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._ahead = b""
        self.line = b""
        """What stood behind the last mark."""
        self.dropped = b""
        """The last that came outside of any command."""

    def until(self, mark: str) -> "Section":
        return Section(self, mark.encode())

    async def drop_until(self, mark: str) -> None:
        section = self.until(mark)
        while block := await section.read():
            self.dropped = (self.dropped + block)[-DROPPED_BYTES:]

    async def more(self) -> bytes:
        """Some bytes. Raises `Ended` at the end of the session, or when the connection breaks."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        try:
            block = await self._reader.read(AT_ONCE_BYTES)
        except (OSError, asyncssh.Error) as error:
            raise Ended from error
        if not block:
            raise Ended
        return block

    async def finish_line(self, rest: bytes) -> None:
        while b"\n" not in rest:
            rest += await self.more()
        self.line, _, self._ahead = rest.partition(b"\n")


class Section:
    """What comes before a mark, as a stream that ends there."""

    def __init__(self, source: Marked, mark: bytes) -> None:
        self._source = source
        self._mark = mark
        self._maybe = b""
        self._ended = False

    async def read(self, n: int = -1, /) -> bytes:
        """Some bytes (never waiting for `n` of them); empty at the mark."""
        while not self._ended:
            block = self._maybe + await self._source.more()
            at = block.find(self._mark)
            if at >= 0:
                self._ended = True
                await self._source.finish_line(block[at + len(self._mark) :])
                return block[:at]
            # Only what may be the mark's beginning is held back: a prompt without a newline comes through at once.
            cut = len(block) - self._prefix_bytes(block)
            self._maybe = block[cut:]
            if cut:
                return block[:cut]
        return b""

    def _prefix_bytes(self, block: bytes) -> int:
        """How many bytes at the end of the block could be the beginning of the mark."""
        begins, longest = self._mark[:1], min(len(self._mark) - 1, len(block))
        at = block.find(begins, len(block) - longest)
        while at >= 0 and not self._mark.startswith(block[at:]):
            at = block.find(begins, at + 1)
        return len(block) - at if at >= 0 else 0
