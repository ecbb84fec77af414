#!/usr/bin/env python3
"""Has dsi run commands while a test runs: the client of the dsisocket.

One file for Python 3.8 and later that needs nothing but the standard library: copy it wherever a workload runs. Beside
a workload that dsi started it is there already, as `dsi_client`; where dsi itself is installed it is `dsi.client`, too.

    from dsi_client import CommandFailed, DsiSocket

    with DsiSocket.from_env() as dsi:
        dsi.restart_mongodb(nodes=["rs0:primary"])          # returns when the replica set is whole again
        for result in dsi.exec("on_mongod", "df -h .").results:
            print(result.host, result.stdout)
        for event in dsi.stream({"on_mongod.0": {"exec": "for i in 1 2 3; do echo $i; sleep 1; done"}}):
            print(event.host, event.data, end="")           # as it is written
        try:
            dsi.send({"on_workload_client": {"exec": "ls /nowhere"}}, timeout=30)
        except CommandFailed as failure:
            print(failure.reply.results[0].stderr)

A lost connection is nothing that a caller notices: the client connects again and asks again, and since each command
has a `retry_id`, dsi starts it once. (Where another test runs by then, it is not asked again: that is an error.) A
`DsiSocket` may be used by many threads, an `AsyncDsiSocket` by many tasks: commands that are given at the same time run
side by side, each on a connection of its own.

As a program it is `dsi-send`: `dsi-send '{"on_mongod": {"exec": "uptime"}}'`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import socket
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Coroutine, Generic, TypeVar  # noqa: UP035  Python 3.8 subscripts no other

if TYPE_CHECKING:
    from typing_extensions import Self  # noqa: UP035  every type checker has it, for every Python

__all__ = [
    "AsyncDsiSocket",
    "AsyncStream",
    "Cancelled",
    "CommandError",
    "CommandFailed",
    "ConnectionLost",
    "DsiSocket",
    "DsiSocketError",
    "Event",
    "HostResult",
    "NotConnected",
    "Refused",
    "Reply",
    "Stream",
    "Timeout",
    "Unauthorized",
    "Unknown",
]

CONNECT_S = 10.0
"""How long one try to connect may take: the port is on this machine."""

LATE_S = 30.0
"""How long after its `timeout` a command's reply is waited for: dsi has to end it on its hosts first."""

LONGEST_LINE_BYTES = 1 << 28
"""More than any reply has: each host's output is cut long before."""


# --- what dsi says ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostResult:
    """What a command did on one host. `exit_code`: bash's, None where it was ended. `cut`: more was written before."""

    host: str
    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0
    cut: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happened while a command runs; `kind` "output": `data` is what `host` wrote to `stream`."""

    kind: str
    host: str
    stream: str
    data: str
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> Event:
        """Read a line; `raw` is the whole of it.

        >>> Event.read({"id": 1, "event": "output", "host": "mongod.0", "stream": "stdout", "data": "up"})
        Event(kind='output', host='mongod.0', stream='stdout', data='up')
        """
        kind, host, stream, data = (str(line.get(key, "")) for key in ("event", "host", "stream", "data"))
        return cls(kind, host, stream, data, line)


@dataclass(frozen=True)
class Reply:
    """How a command ended; `code` 0, whose `status` is "OK", alone is success.

    `detail` is what an error has more to say than fits its message, `description` the answer to `describe`.
    """

    code: int
    status: str
    message: str
    results: tuple[HostResult, ...] = ()
    detail: str | None = None
    description: Mapping[str, Any] = field(default_factory=dict, repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> Reply:
        """Read a line; `raw` is the whole of it.

        >>> reply = Reply.read({"status_code": 0, "status": "OK", "message": "fine",
        ...     "results": [{"host": "mongod.0", "exit_code": 0, "stdout": "up", "stderr": "", "duration_s": 0.01}]})
        >>> reply.results
        (HostResult(host='mongod.0', exit_code=0, stdout='up', stderr='', duration_s=0.01, cut=False),)
        """
        return cls(
            line["status_code"],
            line["status"],
            line["message"],
            tuple(HostResult(**_known(each)) for each in line.get("results") or ()),
            line.get("detail"),
            line.get("description") or {},
            line,
        )

    def check(self) -> Reply:
        """Give the reply itself if it is success.

        Raises:
            CommandError: it is not.

        >>> Reply(3, "TIMEOUT", "mongod.0: took longer than 1 s").check()
        Traceback (most recent call last):
        ...
        dsi.client.Timeout: TIMEOUT: mongod.0: took longer than 1 s
        """
        if self.code:
            raise _ERRORS.get(self.code, CommandError)(self)
        return self


def _known(result: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only a newer dsi tells."""
    return {key: result[key] for key in HostResult.__dataclass_fields__ if key in result}


# --- what can go wrong ------------------------------------------------------------------------------------------------


class DsiSocketError(Exception):
    """The root. `definite`: the command definitely was not run, and never will be. Else it may have been, in part."""

    definite = False


class NotConnected(DsiSocketError):
    """No connection could be had, and nothing was sent."""

    definite = True


class ConnectionLost(DsiSocketError):
    """The connection broke after the command was sent, and none to the same test could be had.

    It may have run, or still run.
    """


class CommandError(DsiSocketError):
    """dsi has answered, and not with success. `reply` is what it said."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(f"{reply.status}: {reply.message}")


class Refused(CommandError):
    """The line was no JSON for dsi (longer than it reads, say): nothing was run."""

    definite = True


class CommandFailed(CommandError):
    """It failed on one host or more (`reply.results`), or it is no valid command, and nothing was run."""


class Timeout(CommandError):
    """It was ended on its hosts, since it took longer than its `timeout`."""


class Cancelled(CommandError):
    """It was ended on its hosts: by `cancel`, or since the test has ended."""


class Unauthorized(CommandError):
    """The token is missing or wrong: nothing was run."""

    definite = True


class Unknown(CommandError):
    """dsi itself, or the host, died while it ran: it may have run wholly, in part, or not at all."""


_ERRORS = {1: Refused, 2: CommandFailed, 3: Timeout, 4: Cancelled, 5: Unauthorized, 6: Unknown}

# What connecting, reading and writing raise. Before Python 3.11 the time-out of asyncio is a class of its own.
_GONE = (OSError, EOFError, asyncio.TimeoutError)


# --- one command, without I/O -----------------------------------------------------------------------------------------


_AT_ONCE = frozenset(("auth", "cancel", "describe", "mark"))
"""What dsi itself answers, at once: nothing but an `id` can stand beside it, and to ask twice does no harm."""


class _Ask:
    """One command on its way: what to send, and what to do when the connection is lost."""

    def __init__(
        self, command: Mapping[str, Any], options: Mapping[str, Any], *, retry: bool, patience_s: float
    ) -> None:
        made = uuid.uuid4().hex
        message = {"id": made, **command}
        if _AT_ONCE.isdisjoint(command):
            message.update({key: value for key, value in options.items() if value is not None})
            if retry:
                message.setdefault("retry_id", made)
        self.id: str | int = message["id"]
        self.line = json.dumps(message).encode() + b"\n"
        self.sent = False
        self._sent_to = ""
        timeout_s = _seconds(message.get("timeout"))
        self.wait_s = None if timeout_s is None else timeout_s + LATE_S
        self._retry_id = message.get("retry_id")
        self._may_ask_again = retry or self._retry_id is not None
        self._patience_s = patience_s
        self.arrived()

    def go_to(self, journal: str) -> None:
        """Note that it is about to be sent to the test with this journal of retry_ids.

        Raises:
            ConnectionLost: it was sent to another test before; for this one it would be a new command.
        """
        if self.sent and journal != self._sent_to:
            raise ConnectionLost(
                "the connection to dsi broke, and by now another test runs there: the command may have run in the one "
                "that it was sent to, and was not sent again"
            )
        self.sent = True
        self._sent_to = journal

    def not_admitted(self, refusal: CommandError) -> DsiSocketError:
        """Give what is to be raised where dsi doesn't admit a connection for it."""
        if not self.sent:
            return refusal
        return ConnectionLost(
            "the connection to dsi broke, and it admits no other, perhaps since another test runs by now; the command "
            f"may have run, or still run: {refusal}"
        )

    def arrived(self) -> None:
        """Note that dsi has said something: what is lost next is lost anew."""
        self._pauses = _pauses()
        self._give_up_at = float("inf")

    def pause_s(self, problem: BaseException) -> float:
        """Give how long to wait before connecting again.

        Raises:
            NotConnected, ConnectionLost: it is not to be tried any more. The patience begins with the first loss.
        """
        now = time.monotonic()
        self._give_up_at = min(self._give_up_at, now + self._patience_s)
        pause = next(self._pauses)
        if (self.sent and not self._may_ask_again) or now + pause >= self._give_up_at:
            raise self._given_up(problem) from problem
        return pause

    def _given_up(self, problem: BaseException) -> DsiSocketError:
        why = str(problem) or type(problem).__name__
        if not self.sent:
            return NotConnected(f"no connection to dsi in {self._patience_s:g} s, and nothing was sent: {why}")
        if not self._retry_id:
            return ConnectionLost(f"the connection to dsi broke; the command may have run, or still run: {why}")
        return ConnectionLost(
            f"the connection to dsi broke, and none came in {self._patience_s:g} s; the command may have run, or still "
            f'run. Sent again with "retry_id": "{self._retry_id}" it is not started twice: {why}'
        )


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)
_MAX_TIMEOUT_S = 366 * 24 * 3600


def _seconds(timeout: Any) -> float | None:
    """Read a `timeout` as dsi does; None where there is none, or one that dsi will refuse.

    >>> _seconds(90), _seconds("1m30s"), _seconds("2h"), _seconds("1.5s")
    (90.0, 90.0, 7200.0, 1.5)
    >>> _seconds(None), _seconds(""), _seconds("90"), _seconds("soon"), _seconds([])
    (None, None, None, None, None)
    >>> _seconds(0), _seconds(-31), _seconds(float("nan")), _seconds(10**400), _seconds("9999999h")
    (None, None, None, None, None)
    """
    match = _DURATION.fullmatch(timeout) if isinstance(timeout, str) else None
    if match is not None:
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        timeout = hours * 3600 + minutes * 60 + seconds
    if not isinstance(timeout, (int, float)) or not 0 < timeout <= _MAX_TIMEOUT_S:  # a comparison with NaN is false
        return None
    return float(timeout)


def _pauses() -> Iterator[float]:
    """At once, then 0.1, 0.2, 0.4 … 2 s, each up to a quarter more: a thousand clients should not come together."""
    yield 0.0
    pause = 0.1
    while True:
        yield pause * random.uniform(1, 1.25)  # noqa: S311  no secret
        pause = min(2 * pause, 2.0)


def _place(address: str) -> tuple[str, int]:
    """Read an address.

    >>> _place("127.0.0.1:27007"), _place("[::1]:27007")
    (('127.0.0.1', 27007), ('::1', 27007))
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"an address has the form HOST:PORT, as 127.0.0.1:27007; this is {address!r}")
    return host.strip("[]"), int(port)


def _read(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise EOFError("dsi closed the connection")
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise DsiSocketError(f"what listens there is not dsi: it says {line[:80]!r}")
    return message


def _greeting(token: str | None) -> bytes:
    """Show the token. Where none is asked for, too: the answer says with which test one speaks."""
    return json.dumps({"id": "", "auth": token or ""}).encode() + b"\n"


def _journal(answer: Mapping[str, Any]) -> str:
    """Read the answer to the greeting: which journal of retry_ids there is, that is to say which test's.

    Raises:
        Unauthorized: the token is missing or wrong.
        ConnectionRefusedError: this answers no greeting (it has no `id`): dsi has no room for the connection, say.
    """
    if "id" not in answer:
        raise ConnectionRefusedError(str(answer.get("message", answer)))
    return str(Reply.read(answer).check().description.get("journal", ""))


_R = TypeVar("_R")


class _Commands(Generic[_R]):
    """What both sockets can do. `_R` is a `Reply`, or one that is to be awaited."""

    def __init__(self, address: str, *, token: str | None = None, retry: bool = True, patience_s: float = 60.0) -> None:
        _place(address)  # a wrong one is told now
        self._address = address
        self._token = token
        self._retry = retry
        self._patience_s = patience_s

    @classmethod
    def from_env(cls, *, retry: bool = True, patience_s: float = 60.0) -> Self:
        """Take address and token from where dsi puts them for a running test: `DSI_SOCKET`, `DSI_SOCKET_TOKEN`.

        Raises:
            NotConnected: they aren't there, or what is there is no address.
        """
        address = os.environ.get("DSI_SOCKET")
        if not address:
            raise NotConnected(
                "DSI_SOCKET is not set. dsi sets it for what it runs on the workload client during a test, if "
                "test_control.yml has `dsisocket: {enabled: true}`"
            )
        token = os.environ.get("DSI_SOCKET_TOKEN") or None
        try:
            return cls(address, token=token, retry=retry, patience_s=patience_s)
        except ValueError as problem:
            raise NotConnected(f"DSI_SOCKET: {problem}") from None

    def send(self, command: Mapping[str, Any], *, timeout: float | str | None = None) -> _R:
        """Send any command, and wait until it is done. `timeout`: seconds, or "1m30s", after which dsi ends it.

        Raises:
            CommandError: dsi's answer is another than OK; NotConnected, ConnectionLost: there is none.
        """
        raise NotImplementedError

    def exec(self, target: str, text: str, *, timeout: float | str | None = None) -> _R:
        """Run shell text on hosts: `exec("on_mongod", "uptime")`. Raises as `send` does, as all of these."""
        return self.send({target: {"exec": text}}, timeout=timeout)

    def restart_mongodb(
        self,
        *,
        nodes: Sequence[str] | None = None,
        mode: str = "clean",
        clean_logs: bool = False,
        clean_db_dir: bool = False,
        timeout: float | str | None = None,
    ) -> _R:
        """Restart the clusters, or some nodes ("rs0:primary"), and wait until they are whole again.

        `mode`: "clean", "crash" or "rolling".
        """
        wanted = {"mode": mode, "clean_logs": clean_logs, "clean_db_dir": clean_db_dir}
        some = {} if nodes is None else {"nodes": list(nodes)}
        return self.send({"restart_mongodb": {**wanted, **some}}, timeout=timeout)

    def mark(self, name: str) -> _R:
        """Write a named instant into the run's timeline (twice, perhaps, where the connection broke just then)."""
        return self.send({"mark": name})

    def describe(self) -> _R:
        """Ask what there is: `description` of the reply has the test, hosts, nodes with their roles, and commands."""
        return self.send({"describe": {}})

    def cancel(self, command_id: str | int) -> _R:
        """End the command that was sent with this `"id"` by another thread, task or process."""
        return self.send({"cancel": command_id})

    def _ask(self, command: Mapping[str, Any], **options: Any) -> _Ask:
        return _Ask(command, options, retry=self._retry, patience_s=self._patience_s)


# --- for threads ------------------------------------------------------------------------------------------------------


class DsiSocket(_Commands[Reply]):
    """Sends commands to dsi. Any number of threads may use one; it connects when there is something to send.

    `retry`: what a lost connection left open is asked again. `patience_s`: how long it is tried to connect, each time.
    """

    def __init__(self, address: str, *, token: str | None = None, retry: bool = True, patience_s: float = 60.0) -> None:
        super().__init__(address, token=token, retry=retry, patience_s=patience_s)
        self._idle: list[_Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def send(self, command: Mapping[str, Any], *, timeout: float | str | None = None) -> Reply:  # noqa: D102
        *_, line = self._converse(self._ask(command, timeout=timeout))
        return Reply.read(line).check()

    def stream(self, command: Mapping[str, Any], *, timeout: float | str | None = None) -> Stream:
        """Send a command, and give what it writes as it comes. It is sent when the first event is asked for."""
        ask = self._ask(command, timeout=timeout, stream=True)
        return Stream(ask.id, self._converse(ask))

    def _converse(self, ask: _Ask) -> Generator[dict[str, Any], None, None]:
        """Give every line that answers, the reply last, whatever becomes of the connection."""
        while True:
            try:
                connection = self._connection()
                try:
                    ask.go_to(connection.journal)
                    connection.send(ask.line, ask.wait_s)
                    while "status_code" not in (line := connection.read()):
                        ask.arrived()
                        yield line
                except BaseException:
                    connection.close()  # what comes on it now is no answer to the next command
                    raise
                self._idle.append(connection)
                yield line
            except CommandError as refusal:
                raise ask.not_admitted(refusal) from None
            except _GONE as problem:
                time.sleep(ask.pause_s(problem))
            else:
                return

    def _connection(self) -> _Connection:
        with contextlib.suppress(IndexError):  # not `while self._idle`: another thread may take the last one
            while True:
                connection = self._idle.pop()
                if connection.is_open():
                    return connection
                connection.close()
        return _Connection(self._address, self._token)


class Stream:
    """The events of one command as they come; afterwards `reply` has how it ended. For one thread.

    What goes wrong is raised where the iteration ends. Whoever stops before that leaves the command running: use `with`
    (or `close`) to let go of the connection, and `DsiSocket.cancel(stream.id)` to end the command.
    """

    reply: Reply

    def __init__(self, command_id: str | int, lines: Generator[dict[str, Any], None, None]) -> None:
        self.id = command_id
        self._lines = lines

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        line = next(self._lines)
        if "status_code" not in line:
            return Event.read(line)
        self.close()
        self.reply = Reply.read(line)
        self.reply.check()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Listen no more."""
        self._lines.close()


class _Connection:
    """One connection. One command at a time is sent on it."""

    def __init__(self, address: str, token: str | None) -> None:
        self._socket = socket.create_connection(_place(address), timeout=CONNECT_S)
        self._lines = self._socket.makefile("rb")
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.send(_greeting(token), CONNECT_S)
            self.journal = _journal(self.read())
        except BaseException:
            self.close()
            raise

    def send(self, line: bytes, wait_s: float | None) -> None:
        self._socket.settimeout(wait_s)
        self._socket.sendall(line)

    def read(self) -> dict[str, Any]:
        return _read(self._lines.readline(LONGEST_LINE_BYTES))

    def is_open(self) -> bool:
        """Tell whether it can be used again: dsi says nothing unasked, so all that can be read is the end."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


# --- for asyncio ------------------------------------------------------------------------------------------------------


class AsyncDsiSocket(_Commands[Coroutine[Any, Any, Reply]]):
    """As `DsiSocket`, for any number of tasks: what `asyncio.gather(dsi.exec(…), dsi.exec(…))` sends runs side by side.

    A task that is cancelled listens no more; its command runs on, unless `cancel` ends it.
    """

    def __init__(self, address: str, *, token: str | None = None, retry: bool = True, patience_s: float = 60.0) -> None:
        super().__init__(address, token=token, retry=retry, patience_s=patience_s)
        self._idle: list[_AsyncConnection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            await self._idle.pop().aclose()

    async def send(self, command: Mapping[str, Any], *, timeout: float | str | None = None) -> Reply:  # noqa: D102
        *_, line = [line async for line in self._converse(self._ask(command, timeout=timeout))]
        return Reply.read(line).check()

    def stream(self, command: Mapping[str, Any], *, timeout: float | str | None = None) -> AsyncStream:
        """Send a command, and give what it writes as it comes. It is sent when the first event is asked for."""
        ask = self._ask(command, timeout=timeout, stream=True)
        return AsyncStream(ask.id, self._converse(ask))

    async def _converse(self, ask: _Ask) -> AsyncGenerator[dict[str, Any], None]:
        while True:
            try:
                connection = await self._connection()
                try:
                    ask.go_to(connection.journal)
                    await connection.send(ask.line, ask.wait_s)
                    while "status_code" not in (line := await connection.read()):
                        ask.arrived()
                        yield line
                except BaseException:
                    connection.close()
                    raise
                self._idle.append(connection)
                yield line
            except CommandError as refusal:
                raise ask.not_admitted(refusal) from None
            except _GONE as problem:
                await asyncio.sleep(ask.pause_s(problem))
            else:
                return

    async def _connection(self) -> _AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                return connection
            connection.close()
        return await _AsyncConnection.open(self._address, self._token)


class AsyncStream:
    """As `Stream`, for `async for` and `async with`."""

    reply: Reply

    def __init__(self, command_id: str | int, lines: AsyncGenerator[dict[str, Any], None]) -> None:
        self.id = command_id
        self._lines = lines

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        line = await self._lines.__anext__()
        if "status_code" not in line:
            return Event.read(line)
        await self.aclose()
        self.reply = Reply.read(line)
        self.reply.check()
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Listen no more."""
        await self._lines.aclose()


class _AsyncConnection:
    """One connection. One command at a time is sent on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._wait_s: float | None = None
        self.journal = ""

    @classmethod
    async def open(cls, address: str, token: str | None) -> _AsyncConnection:
        host, port = _place(address)
        opening = asyncio.open_connection(host, port, limit=LONGEST_LINE_BYTES)
        connection = cls(*await asyncio.wait_for(opening, CONNECT_S))
        try:
            await connection.send(_greeting(token), CONNECT_S)
            connection.journal = _journal(await connection.read())
        except BaseException:
            connection.close()
            raise
        return connection

    async def send(self, line: bytes, wait_s: float | None) -> None:
        self._wait_s = wait_s
        self._writer.write(line)
        await self._writer.drain()

    async def read(self) -> dict[str, Any]:
        return _read(await asyncio.wait_for(self._reader.readline(), self._wait_s))

    def is_open(self) -> bool:
        return not (self._reader.at_eof() or self._reader.exception() or self._writer.is_closing())

    def close(self) -> None:
        self._writer.close()

    async def aclose(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


# --- dsi-send ---------------------------------------------------------------------------------------------------------

NO_REPLY = 69
"""Exit status where dsi gave no reply: EX_UNAVAILABLE of sysexits(3), which is no code of the protocol."""

INTERRUPTED = 130

PIPE_CLOSED = 141
"""Exit status where nobody reads what is shown any more (`| head`): that of a program which SIGPIPE ends."""

HURRIED_S = 2.0
"""How long it is tried to reach dsi in order to end a command: whoever pressed Ctrl-C is waiting."""


class Screen:
    """Shows what dsi says: `HOST: line` as it comes, stdout and stderr apart; or with `as_json` each line as it is."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._begun: dict[tuple[str, str], str] = {}

    def event(self, event: Event) -> None:
        """Show an event. What a host has written of a line is kept until its end comes."""
        if self._as_json:
            _print(json.dumps(event.raw))
        elif event.kind == "output":
            place = (event.host, event.stream)
            *lines, self._begun[place] = (self._begun.get(place, "") + event.data).split("\n")
            self._show(place, lines)
        elif event.kind == "waiting":
            _print(f"waiting for {event.raw.get('for')}", sys.stderr)

    def reply(self, reply: Reply) -> int:
        """Show how it ended, and give the exit status: the reply's code."""
        for place, rest in self._begun.items():
            self._show(place, [rest] if rest else [])
        if self._as_json:
            _print(json.dumps(reply.raw))
        elif reply.description:
            _print(json.dumps(reply.description, indent=2))
        elif reply.code:
            _print(f"{reply.status}: {reply.message}", sys.stderr)
        return reply.code

    @staticmethod
    def _show(place: tuple[str, str], lines: Sequence[str]) -> None:
        host, stream = place
        for line in lines:
            _print(f"{host}: {line}", sys.stderr if stream == "stderr" else sys.stdout)


def _print(line: str, file: Any = None) -> None:
    """Show a line; what the terminal's encoding hasn't is shown escaped."""
    file = file or sys.stdout
    encoding = getattr(file, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=True)


def pipe_closed(*streams: Any) -> int:
    """Have nothing more be written to these, also not when Python ends; give the exit status."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    return PIPE_CLOSED


def read_command(text: str) -> dict[str, Any]:
    """Read a command that somebody typed; `-` stands for standard input.

    Raises:
        Refused, CommandFailed: it is no JSON, or no object; the reply is what dsi itself would say.
    """
    try:
        command = json.loads(sys.stdin.read() if text == "-" else text)
    except (ValueError, RecursionError) as problem:
        raise Refused(Reply(1, "JSON_ERROR", str(problem))) from problem
    if not isinstance(command, dict):
        message = 'a command is a JSON object with one key, like {"on_workload_client": {"exec": "uptime"}}'
        raise CommandFailed(Reply(2, "EXECUTION_ERROR", message))
    return command


def show(dsi: DsiSocket, command: Mapping[str, Any], screen: Screen) -> int:
    """Send a command, show what comes, and give the exit status.

    Ctrl-C ends the command, and so does the end of whoever reads what is shown.
    """
    stream = dsi.stream(command)
    try:
        for event in stream:
            screen.event(event)
    except (KeyboardInterrupt, BrokenPipeError):  # what breaks between dsi and us the stream doesn't raise
        with contextlib.suppress(DsiSocketError), DsiSocket.from_env(patience_s=HURRIED_S) as hurried:
            hurried.cancel(stream.id)
        raise
    return screen.reply(stream.reply)


def main(arguments: Sequence[str] | None = None) -> int:
    """Be `dsi-send`, and give the exit status: the reply's code, or `NO_REPLY`."""
    parser = argparse.ArgumentParser(prog="dsi-send", description="Have dsi run a command while a test runs.")
    parser.add_argument("command", help="""such as '{"on_mongod": {"exec": "uptime"}}'; - reads it from stdin""")
    parser.add_argument("--json", action="store_true", help="show dsi's lines as they are")
    chosen = parser.parse_args(arguments)
    screen = Screen(as_json=chosen.json)
    try:
        with DsiSocket.from_env() as dsi:
            return show(dsi, read_command(chosen.command), screen)
    except CommandError as problem:
        return screen.reply(problem.reply)
    except DsiSocketError as problem:
        _print(f"dsi-send: {problem}", sys.stderr)
        return NO_REPLY
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return pipe_closed(sys.stdout, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
