"""Ports of an SSH host: what came of asking sshd to listen, and serving what comes."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import asyncssh
import structlog

from dsi import clock
from dsi.errors import HostError, PortTaken
from dsi.hosts._output import BLOCK_BYTES
from dsi.hosts._ssh_connection import WINDOW_BYTES
from dsi.hosts._ssh_streams import PlainReader, PlainWriter
from dsi.hosts.base import OnConnection, Reader, Writer

_log = structlog.get_logger(__name__)

Ask = Callable[[str], Awaitable[str]]
"""Runs shell text on the host, and gives its standard output."""

FREE_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Waits until a port that is taken is tried again; the last one again and again."""

WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  to recognise them, not to bind them

# Local addresses of the sockets that listen on a port (state 0A; proc_net_tcp.txt of the kernel's documentation).
_BOUND: Final = """
while read -r _ local _ state _; do
  [[ $state == 0A && $local == *:{port:04X} ]] && echo "${{local%:*}}"
done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
exit 0
"""

_WHO: Final = """
while read -r _ local _ state _ _ _ _ _ inode _; do
  [[ $state == 0A && $local == *:{port:04X} ]] && find /proc/[0-9]*/fd -lname "socket:\\\\[$inode\\\\]" 2>/dev/null
done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) | while IFS=/ read -r _ _ pid _; do
  echo "process $pid ($(cat /proc/$pid/comm))"
done | sort -u
exit 0
"""


class SshListener:
    """A port of the host, listened on by sshd for us. `ask` runs what has to be asked there."""

    def __init__(
        self, host: str, on_connection: OnConnection, ask: Ask, *, on_close: Callable[["SshListener"], None]
    ) -> None:
        self._host = host
        self._on_connection = on_connection
        self._ask = ask
        self._on_close = on_close
        self._serving: set[asyncio.Task[None]] = set()
        self._listener: asyncssh.SSHListener | None = None
        self._asked = ""
        self.address = ""
        self.port = 0

    async def open(self, connection: asyncssh.SSHClientConnection, address: str, port: int) -> None:
        """Listen, and look what was really bound.

        Raises:
            PortTaken: somebody has it.
            HostError: sshd may not listen there, or bound another address than was asked.
            asyncssh.Error: the connection broke.
        """
        self._asked = address
        self._listener = await self._listen(connection, address, port)
        self.port = self._listener.get_port()
        try:
            self.address = await _bound_address(self._host, address, self.port, self._ask)
        except BaseException:
            await self.close()
            raise

    async def reopen(self, connection: asyncssh.SSHClientConnection) -> None:
        """Listen on the same port over another connection; again and again while somebody (the old sshd) has it.

        Raises:
            HostError, asyncssh.Error: as `open`.
        """
        pauses = iter(FREE_S)
        while True:
            try:
                self._listener = await self._listen(connection, self._asked, self.port)
            except PortTaken as problem:
                _log.warning("a port can't be listened on again yet", host=self._host, reason=problem.message)
                await clock.SYSTEM.sleep(next(pauses, FREE_S[-1]))
            else:
                return

    async def _listen(self, connection: asyncssh.SSHClientConnection, address: str, port: int) -> asyncssh.SSHListener:
        try:
            return await connection.start_server(
                lambda *_: self._serve, address, port, encoding=None, window=WINDOW_BYTES
            )
        except asyncssh.ChannelListenError:
            if connection.is_closed():
                raise
            raise await _refused(self._host, address, port, self._ask) from None

    async def close(self) -> None:
        """Stop listening, and close the open connections."""
        self._on_close(self)
        if self._listener is None:
            return
        self._listener.close()
        await self._listener.wait_closed()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _serve(self, reader: "asyncssh.SSHReader[bytes]", writer: "asyncssh.SSHWriter[bytes]") -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._on_connection(PlainReader(reader), PlainWriter(writer))
        except asyncio.CancelledError:
            writer.channel.abort()
        except (ConnectionError, asyncssh.Error) as problem:
            _log.debug("a client has gone", host=self._host, port=self.port, problem=str(problem))
        except Exception:  # noqa: BLE001  a task's boundary: asyncssh would close the whole connection
            _log.exception("a connection failed", host=self._host, port=self.port)
        finally:
            self._serving.discard(task)
            writer.close()


async def join_streams(one: tuple[Reader, Writer], other: tuple[Reader, Writer]) -> None:
    """Pass on what comes on either side, until both have ended or one has broken; `other` is closed then."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pass_on(one[0], other[1]))
            tasks.create_task(_pass_on(other[0], one[1]))
    except* (OSError, asyncssh.Error) as problems:
        _log.debug("a forwarded connection broke", problem=str(problems.exceptions[0]))
    finally:
        other[1].close()


async def _pass_on(reader: Reader, writer: Writer) -> None:
    while block := await reader.read(BLOCK_BYTES):
        writer.write(block)
        await writer.drain()
    writer.write_eof()


async def _refused(host: str, address: str, port: int, ask: Ask) -> HostError:
    where = f"{address}:{port}"
    if port and await ask(_BOUND.format(port=port)):
        return PortTaken(host, f"port {where} is taken by {await who_listens(port, ask)}")
    return HostError(
        host,
        f"sshd won't listen on {where}, and nobody else does: look at AllowTcpForwarding and PermitListen in its "
        "sshd_config, whether the host has that address, and whether a port below 1024 needs another user",
    )


async def who_listens(port: int, ask: Ask) -> str:
    """Say who listens on a port of the host: `process 4711 (mongod)`."""
    who = " and ".join((await ask(_WHO.format(port=port))).split("\n")[:-1])
    return who or f"a process that can't be seen from here (as root, `ss -ltnp sport = :{port}` shows it there)"


async def _bound_address(host: str, asked: str, port: int, ask: Ask) -> str:
    """Give the address that is really bound, if it is what was asked.

    `GatewayPorts no` binds loopback whatever is asked, `yes` binds everything (sshd_config(5)).
    """
    bound = {_address(text) for text in (await ask(_BOUND.format(port=port))).split()}
    wanted = _wanted(asked)
    if not bound or wanted & bound:  # nothing to be seen: no /proc there
        return asked
    where = f"{asked}:{port}"
    seen = " and ".join(sorted(bound))
    if bound & WILDCARDS:
        raise HostError(
            host,
            f"sshd listens for {where} on all addresses ({seen}), open to everybody who reaches this host: "
            "set GatewayPorts to clientspecified (or no) in its sshd_config",
        )
    raise HostError(
        host,
        f"sshd listens for {where} on {seen}: set GatewayPorts to clientspecified in its sshd_config, "
        "or ask for 127.0.0.1",
    )


def _wanted(asked: str) -> set[str]:
    if asked == "localhost":
        return {"127.0.0.1", "::1"}
    return set(WILDCARDS) if asked in WILDCARDS | {"", "*"} else {str(ipaddress.ip_address(asked))}


def _address(text: str) -> str:
    """Read an address of /proc/net/tcp: words of 32 bits in the machine's own order, little-endian here."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(words))
