"""What a host can do. `LocalHost` and `SshHost` are the kinds there are; both pass `tests/contract`."""

import abc
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dsi.errors import HostError
from dsi.model import Result, StreamName

KEEP_BYTES = 65_536
"""How much of each output a result keeps, from the end, unless the caller says otherwise."""

END_GRACE_S = 5.0
"""How long the process group of a command that is ended has between SIGTERM and SIGKILL."""

_ENDS_WITH_DSI = "a command that runs here ends with the dsi that began it: nobody can go on with it"

OnOutput = Callable[[StreamName, bytes], Awaitable[None]]
"""Gets each block of output as it comes. While it waits, the command's output is not read: that is the backpressure."""

OnLimit = Callable[[], Awaitable[None]]
"""Is told that a command has passed a limit, while it still runs; when this returns, the command is ended."""


class Reader(Protocol):
    """The receiving side of a connection: the part of asyncio's and asyncssh's stream readers that is used here."""

    async def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes; empty at the end."""
        ...


class Writer(Protocol):
    """The sending side of a connection: the part of asyncio's and asyncssh's stream writers that is used here."""

    def write(self, data: bytes, /) -> None:
        """Queue `data`."""
        ...

    async def drain(self) -> None:
        """Wait until there is room in the queue."""
        ...

    def write_eof(self) -> None:
        """Say that nothing more will come."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...

    async def wait_closed(self) -> None:
        """Wait until it has ended."""
        ...


OnConnection = Callable[[Reader, Writer], Awaitable[None]]
"""Serves one connection. It may raise: the host closes that connection, and only that."""


class Listener(Protocol):
    """A port of a host that is listened on."""

    @property
    def address(self) -> str:
        """The address that is really bound."""
        ...

    @property
    def port(self) -> int:
        """The port that is really bound."""
        ...

    async def close(self) -> None:
        """Stop listening; the port is free on the host when this returns. Open connections are closed."""
        ...


@dataclass(frozen=True)
class Handle:
    """By what another dsi finds a command that outlives this one: its name there, and that of dsi's sign of life."""

    id: str
    token: str


class Host(abc.ABC):
    """One machine (or what serves as one), reached over one connection that is kept.

    Paths on the host are relative to the home folder of its user. All methods may raise `HostUnreachable` and
    `ConnectionLost`.
    """

    name: str
    """`mongod.0`: the name in logs, results and errors."""

    machine: Hashable
    """Hosts for which this is equal are one machine under several names."""

    is_local: bool
    """Whether its files are this machine's files, and its addresses this machine's addresses."""

    @abc.abstractmethod
    async def run(
        self,
        command: str,
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        no_output_s: float | None = None,
        on_output: OnOutput | None = None,
        keep_bytes: int = KEEP_BYTES,
        on_limit: OnLimit | None = None,
        tty: bool = False,
        outlives_s: float | None = None,
        joined: bool = False,
        handle: Handle | None = None,
        check: bool = True,
    ) -> Result:
        """Run shell text with bash in the home folder, and wait for its end.

        `stdin` is all that the command can read (None: nothing). `env` is added to the environment, and never appears
        in a list of processes; the text itself doesn't either. With `tty` the command gets a terminal (stderr then
        comes as stdout).
        The end is the end of bash and of its output; a process that it left in the background goes on, and what
        that writes after bash has ended is not waited for.

        A command that is ended (past `timeout_s`, silent for `no_output_s`, or the caller is cancelled) is ended with
        its whole process group: SIGTERM, `END_GRACE_S` later SIGKILL. Past a limit `on_limit` comes first.

        With `outlives_s` the command is not lost with the connection: when that breaks and another takes its place,
        each output goes on where it left off, and the command has run once. `on_output` holds back neither it nor
        other commands. The host ends a command for which dsi was not heard of for so many seconds. Not with `stdin` or
        `tty`. `joined`: stderr comes as stdout, in the order in which both were written (where the command outlives
        the connection; else as they come). With a `handle` of `new_handle` another dsi can `resume` it when this one
        is gone; what it wrote stays on the host until `release`.

        Raises:
            CommandFailed: exit status not 0 (unless `check` is false).
            CommandTimeout: past `timeout_s`; `NoOutput`: silent for `no_output_s`. Also when `check` is false.
        """

    def new_handle(self) -> Handle | None:
        """Give a handle for one command; None: this host has no commands that outlive dsi."""
        return None

    async def resume(
        self,
        handle: Handle,
        command: str,
        *,
        skip_bytes: int,
        outlives_s: float,
        timeout_s: float | None = None,
        no_output_s: float | None = None,
        on_output: OnOutput | None = None,
        on_limit: OnLimit | None = None,
        keep_bytes: int = KEEP_BYTES,
    ) -> Result:
        """Go on with a `joined` command that another dsi has begun, from byte `skip_bytes` of its output.

        `command` is how errors call it. Its end is that of `run`, with `check` false.

        Raises:
            ConnectionLost: it is no longer there. HostError: this host has no commands that outlive dsi.
            CommandTimeout, NoOutput: past `timeout_s`, silent for `no_output_s`, both counted from now.
        """
        raise HostError(self.name, _ENDS_WITH_DSI)

    async def release(self, handle: Handle, *, outlives_s: float) -> None:
        """End the command if it still runs, and remove what it has left on the host. Not there: nothing happens.

        Raises:
            HostError: this host has no commands that outlive dsi.
        """
        raise HostError(self.name, _ENDS_WITH_DSI)

    async def process_group(self, handle: Handle) -> int | None:
        """Give the process group of a command that can outlive dsi; None: it isn't there.

        Raises:
            HostError: this host has no commands that outlive dsi.
        """
        raise HostError(self.name, _ENDS_WITH_DSI)

    @abc.abstractmethod
    async def put(self, source: Path, target: str) -> None:
        """Copy a file or folder to the host; permissions are kept, missing parent folders are made.

        Where `target` is an existing folder or ends in `/`, a file goes into it under its own name. A folder `source`
        becomes `target` (merged into it, where it exists).

        Raises:
            SourceMissing, TransferError
        """

    @abc.abstractmethod
    async def get(self, source: str, target: Path, *, first_byte: int = 0, size_bytes: int | None = None) -> None:
        """Copy a file or folder from the host; permissions are kept, missing parent folders are made.

        Of a file only what begins at `first_byte` is copied, and no more than `size_bytes` (None: to its end). When it
        fails there is no part of a file left, and of a folder perhaps some.

        Raises:
            SourceMissing, TransferError
        """

    @abc.abstractmethod
    async def write_file(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write a file at once: readers see the old content or the new. Missing parent folders are made.

        The file never has wider permissions than `mode`, not even for a moment.

        Raises:
            TransferError
        """

    @abc.abstractmethod
    async def listen(self, address: str, port: int, on_connection: OnConnection) -> Listener:
        """Listen on a port of the host (0: any free one), and serve each connection that comes with `on_connection`.

        Raises:
            PortTaken: somebody has it; the message says who, where that can be seen.
            HostError: the host bound another address than was asked.
        """

    @abc.abstractmethod
    async def who_listens(self, address: str, port: int) -> str:
        """Say who listens on a port of the host, as far as that can be seen: `process 4711 (mongod)`."""

    @abc.abstractmethod
    async def connect(self, address: str, port: int) -> tuple[Reader, Writer]:
        """Connect to a port that the host can reach.

        Raises:
            HostError: refused, or no answer.
        """

    @abc.abstractmethod
    def forward(self, address: str, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        """Give an address on this machine that leads to a port that the host can reach.

        It is for libraries that connect by themselves. For a local host that is the address itself.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """End what still runs over this connection, and the connection."""
