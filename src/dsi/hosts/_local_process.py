"""How bash is started on this machine: by the first process of a local host, or by dsi itself."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import termios
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from dsi import clock
from dsi.errors import ConnectionLost, HostError, HostUnreachable
from dsi.hosts import local_init
from dsi.hosts.base import END_GRACE_S
from dsi.model import StreamName

TERMINAL_ROWS_COLUMNS: Final = (24, 80)
END_OF_FILE: Final = b"\x04"
"""What a terminal takes for the end of its input (termios(3), VEOF)."""

GIVE_UP_S: Final = END_GRACE_S + 5.0
"""How long the end of a command is waited for. Only what even SIGKILL can't end (a dead NFS, say) takes longer."""

CHECK_S: Final = 0.02
"""How often it is looked whether something has ended, where nothing tells us."""


async def readable(fd: int) -> None:
    """Wait until there is something to read; for a pidfd, until that process has ended (pidfd_open(2))."""
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()
    loop.add_reader(fd, seen.set)
    try:
        await seen.wait()
    finally:
        loop.remove_reader(fd)


class OutputEnd:
    """Our end of a command's output: a pipe's, or a terminal's. A `Reader`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left_bytes: int | None = None
        self._woken = asyncio.Event()
        os.set_blocking(fd, False)

    async def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes; empty when all who could write have gone, or what was there at `finish` has been read."""
        while (block := self._read_now(n)) is None:
            await self._readable()
        return block

    def finish(self) -> None:
        """Take what can be read now as the last: the command has ended. What it left running may still write."""
        self._left_bytes = int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), "little")
        self._woken.set()

    def _read_now(self, n: int) -> bytes | None:
        """Give what is there; None: nothing yet."""
        if self._left_bytes is not None:
            n = min(n, self._left_bytes)
        try:
            block = os.read(self._fd, n)
        except BlockingIOError:
            return None if self._left_bytes is None else b""
        except OSError:  # EIO: the way a terminal says that its last user has gone (Linux)
            return b""
        if self._left_bytes is not None:
            self._left_bytes -= len(block)
        return block

    async def _readable(self) -> None:
        self._woken.clear()
        asyncio.get_running_loop().add_reader(self._fd, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            asyncio.get_running_loop().remove_reader(self._fd)


@dataclass(frozen=True, slots=True)
class Outlets:
    """The file descriptors of one command. `theirs` are closed here once it has been started."""

    script: int
    theirs: tuple[int, int, int]
    terminal: str | None
    readers: Mapping[StreamName, OutputEnd]


@contextlib.contextmanager
def open_outlets(script: str, stdin: bytes | None, *, tty: bool) -> Iterator[tuple[Outlets, ExitStack]]:
    """Make the file descriptors of one command. Closing the stack that is given closes those that are the command's."""
    with ExitStack() as ours, ExitStack() as theirs:
        source = closed_by(theirs, _memory_file(script.encode(errors="surrogateescape")))
        if tty:
            terminal, inside = os.openpty()
            closed_by(ours, terminal)
            closed_by(theirs, inside)
            termios.tcsetwinsize(terminal, TERMINAL_ROWS_COLUMNS)
            readers: dict[StreamName, OutputEnd] = {"stdout": OutputEnd(terminal)}
            _type_in(terminal, stdin or b"")
            yield Outlets(source, (inside, inside, inside), os.ttyname(inside), readers), theirs
        else:
            given = closed_by(theirs, os.open(os.devnull, os.O_RDONLY) if stdin is None else _memory_file(stdin))
            (stdout, their_stdout), (stderr, their_stderr) = os.pipe(), os.pipe()
            for fd, stack in ((stdout, ours), (stderr, ours), (their_stdout, theirs), (their_stderr, theirs)):
                closed_by(stack, fd)
            readers = {"stdout": OutputEnd(stdout), "stderr": OutputEnd(stderr)}
            yield Outlets(source, (given, their_stdout, their_stderr), None, readers), theirs


def closed_by(stack: ExitStack, fd: int) -> int:
    """Let the stack close a file descriptor when it is left."""
    stack.callback(os.close, fd)
    return fd


def _memory_file(content: bytes) -> int:
    """Give a file that nobody sees: no writer must be kept for it, as for a pipe."""
    fd = os.memfd_create("dsi")
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _type_in(terminal: int, content: bytes) -> None:
    """Type what the command can read. What is more than the terminal's queue takes (4 KiB) is lost."""
    with contextlib.suppress(BlockingIOError):
        os.write(terminal, content + 2 * END_OF_FILE)  # in the middle of a line the first one only ends that


class Process(Protocol):
    """A running bash."""

    async def wait(self) -> int:
        """Wait for its end, and give its exit status (128 + N for signal N).

        Raises:
            ConnectionLost: its host has ended.
            HostError: it couldn't be started.
        """
        ...

    async def end(self) -> None:
        """End it with its whole session: SIGTERM, `END_GRACE_S` later SIGKILL. Returns when that has ended."""
        ...


class Starter(Protocol):
    """Knows how to start bash, and where."""

    async def start(self, environment: Mapping[str, str], outlets: Outlets) -> Process:
        """Start it; nothing is left behind when this raises.

        Raises:
            HostUnreachable: the local host isn't running.
            HostError: bash couldn't be started.
        """
        ...


class InitStarter:
    """Lets the first process of a local host do it (`local_init`)."""

    def __init__(self, host: str, folder: Path) -> None:
        self._host = host
        self._folder = folder

    async def start(self, environment: Mapping[str, str], outlets: Outlets) -> Process:
        """Send the request."""
        request = {
            "folder": str(self._folder / "home"),
            "environment": dict(environment),
            "terminal": outlets.terminal,
            "grace_s": END_GRACE_S,
        }
        connection = await connect_to_init(self._host, self._folder)
        with ExitStack() as stack:
            asked = closed_by(stack, _memory_file(json.dumps(request).encode()))
            try:
                socket.send_fds(connection, [b"!"], [asked, outlets.script, *outlets.theirs])
            except OSError as problem:
                connection.close()
                raise ConnectionLost(self._host, f"the local host has just ended ({problem})") from problem
        return _InitProcess(self._host, connection)


async def connect_to_init(host: str, folder: Path) -> socket.socket:
    """Connect to the first process of the local host in this folder.

    Raises:
        HostUnreachable: it isn't there.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    try:
        # Through /proc, since the path itself may be longer than the 107 bytes of unix(7).
        with ExitStack() as stack:
            inside = closed_by(stack, os.open(folder, os.O_PATH | os.O_DIRECTORY))
            while True:
                try:
                    connection.connect(f"/proc/self/fd/{inside}/{local_init.SOCKET}")
                except BlockingIOError:  # its queue of connections is full
                    await asyncio.sleep(CHECK_S)
                else:
                    return connection
    except OSError as problem:
        connection.close()
        raise HostUnreachable(
            host,
            f"the local host in {folder} isn't running ({problem.strerror}): run `dsi teardown`, then `dsi provision`",
        ) from problem
    except BaseException:
        connection.close()
        raise


class _InitProcess:
    """A command of a local host, as seen over the connection to its first process."""

    def __init__(self, host: str, connection: socket.socket) -> None:
        self._host = host
        self._connection = connection
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(connection, self._receive)

    def _receive(self) -> None:
        try:
            line = self._connection.recv(4096)
        except OSError:
            line = b""
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        answer = json.loads(line) if line else {}
        if (exit_status := answer.get("exit_status")) is not None:
            self._exit.set_result(exit_status)
        elif (error := answer.get("error")) is not None:
            self._exit.set_exception(HostError(self._host, f"bash couldn't be started: {error}"))
        else:
            self._exit.set_exception(ConnectionLost(self._host, "the local host ended while the command ran"))

    async def wait(self) -> int:
        return await asyncio.shield(self._exit)

    async def end(self) -> None:
        with contextlib.suppress(OSError):  # closed already: it has ended
            self._connection.shutdown(socket.SHUT_WR)
        await asyncio.wait({self._exit}, timeout=GIVE_UP_S)
        if self._exit.done():
            self._exit.exception()  # whoever ends a command doesn't mind how it ended


class ChildStarter:
    """Starts bash as a child of dsi: on this machine itself."""

    def __init__(self, host: str, folder: Path) -> None:
        self._host = host
        self._folder = folder

    async def start(self, environment: Mapping[str, str], outlets: Outlets) -> Process:
        """Start it."""
        try:
            pid = local_init.spawn_bash(
                str(self._folder), environment, outlets.script, outlets.theirs, outlets.terminal
            )
        except OSError as problem:
            raise HostError(self._host, f"bash couldn't be started: {problem}") from problem
        return _Child(pid)


class _Child:
    """A command that is a child of dsi."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._exit.set_result(local_init.shell_status(os.waitpid(self._pid, 0)[1]))

    async def wait(self) -> int:
        return await asyncio.shield(self._exit)

    async def end(self) -> None:
        begun_s = clock.SYSTEM.monotonic_s()
        number = int(signal.SIGTERM)
        while local_init.signal_session(self._pid, number):
            passed_s = clock.SYSTEM.monotonic_s() - begun_s
            if passed_s > GIVE_UP_S:
                return
            number = int(signal.SIGKILL) if passed_s >= END_GRACE_S else 0
            await asyncio.sleep(CHECK_S)
        await self.wait()
