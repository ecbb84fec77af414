"""One client of the dsisocket: its requests in order, and a reply to each."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from dsi import wire
from dsi.errors import DsiError, HostError, InvalidCommand
from dsi.hosts.base import Reader, Writer
from dsi.timeline import Timeline
from dsi.wire import Code

log = structlog.get_logger()

Execute = Callable[[Any], Awaitable[object]]
"""Checks one command (a JSON object) when it is called, and runs it when it is awaited.

What it raises becomes the reply: `InvalidCommand` its message, any other `DsiError` its text. A command that is refused
at the call never began, and isn't in the timeline.
"""

READ_BYTES = 16_384
"""How much is read at once. While a command runs nothing is read: what a client sends ahead waits in its connection."""

FLUSH_S = 1.0
"""How long a client has to take its last replies once the test has ended. On a test's own network a reply takes
milliseconds; a client that needs longer isn't reading."""

GONE = (OSError, EOFError, HostError)
"""What reading and writing raise when the client, or the way to it, is gone."""

_SHOWN_CHARS = 2048
"""How much of a client's text goes to timeline and log: a line of 1 MiB each would soon fill memory and disk."""

INVALID_COMMAND_TYPE = "Invalid command type"

_NO_OBJECT = 'a command is a JSON object with one key, like {"on_workload_client": {"exec": "uptime"}}'
_NOT_STARTED = "The test has ended: the command was not started"
_ENDED = "The test ended while the command ran: it was ended, and may have taken effect in part"

Outcome = tuple[Code, str]


class Session:
    """Talks to one client. `run` goes on until the client's input ends, the client is gone, or the task is cancelled.

    `ending` set means that the test is over: what has not begun isn't started any more. Cancelling the task then ends
    the running command, which is answered all the same.
    """

    def __init__(
        self,
        client: int,
        reader: Reader,
        writer: Writer,
        *,
        execute: Execute,
        timeline: Timeline,
        max_line_bytes: int,
        ending: asyncio.Event,
    ) -> None:
        self.busy = False
        self._client = client
        self._reader = reader
        self._writer = writer
        self._execute = execute
        self._timeline = timeline
        self._decoder = wire.Decoder(max_line_bytes)
        self._ending = ending
        self._gone = False
        self._log = log.bind(client=client)

    async def run(self) -> None:
        """Serve the client, then close its connection."""
        try:
            await self._converse()
        except GONE as problem:
            self._log.debug("dsisocket client gone", reason=str(problem))
        except Exception:  # noqa: BLE001  a task's boundary: what ends one conversation must not touch the others
            self._log.warning("dsisocket connection broke", exc_info=True)
        finally:
            self._writer.close()
            with suppress(*GONE):
                async with asyncio.timeout(self._patience_s()):
                    await self._writer.wait_closed()

    async def _converse(self) -> None:
        while data := await self._reader.read(READ_BYTES):
            for message in self._decoder.feed(data):
                await self._answer(message)
            if self._ending.is_set():
                return
        for message in self._decoder.finish():
            await self._answer(message)

    async def _answer(self, message: wire.Message) -> None:
        await asyncio.sleep(
            0
        )  # neither reading nor writing lets others go on while there is data: a flood would block all
        code, text = await self._outcome(message)
        await self._send(wire.encode_reply(code, text))

    async def _outcome(self, message: wire.Message) -> Outcome:
        if isinstance(message, wire.Malformed):
            self._log.debug("dsisocket line is no JSON", reason=message.message)
            return Code.JSON_ERROR, message.message
        if self._ending.is_set():
            return Code.EXECUTION_ERROR, _NOT_STARTED
        if not isinstance(message.value, dict):
            return Code.EXECUTION_ERROR, _NO_OBJECT
        return await self._run(message)

    async def _run(self, request: wire.Request) -> Outcome:
        self.busy = True
        try:
            _insist_on_unicode(request)
            running = self._execute(request.value)
            with self._timeline.span("dsisocket_command", client=self._client, command=_shown(request.text)):
                await running
        except InvalidCommand as problem:
            self._log.info("dsisocket command refused", reason=_shown(problem.message), allowed=problem.allowed)
            return Code.EXECUTION_ERROR, _with_allowed(problem)
        except DsiError as problem:
            return Code.EXECUTION_ERROR, str(problem)
        except asyncio.CancelledError:
            return self._cancelled()
        except Exception as problem:  # noqa: BLE001  a command's boundary: a bug in it must not end the connection
            self._log.exception("dsisocket command failed by a bug in dsi", command=_shown(request.text))
            return Code.EXECUTION_ERROR, f"Internal error of dsi ({type(problem).__name__}): see its log"
        finally:
            self.busy = False
        return Code.OK, wire.OK_MESSAGE

    def _cancelled(self) -> Outcome:
        """Take a cancellation for the running command's, so that its client still gets the reply."""
        task = asyncio.current_task()
        if task is None or not self._ending.is_set():
            raise asyncio.CancelledError
        task.uncancel()
        return Code.EXECUTION_ERROR, _ENDED

    async def _send(self, line: bytes) -> None:
        """Send a reply. A client that is gone is sent nothing more, and what it had sent is still run."""
        if self._gone:
            return
        try:
            self._writer.write(line)
            async with asyncio.timeout(self._patience_s()):
                await self._writer.drain()
        except GONE as problem:
            self._gone = True
            self._log.debug("dsisocket client takes no replies", reason=str(problem))

    def _patience_s(self) -> float | None:
        return FLUSH_S if self._ending.is_set() else None


def _insist_on_unicode(request: wire.Request) -> None:
    """Refuse half a surrogate pair: `json` reads it from an escape, and no host, log or file can be given it."""
    if "\\u" not in request.text:
        return
    try:
        json.dumps(request.value, ensure_ascii=False).encode()
    except UnicodeEncodeError as problem:
        half = ascii(problem.object[problem.start])
        raise InvalidCommand(f"{half} is half a surrogate pair: write both halves, or the character") from problem


def _with_allowed(problem: InvalidCommand) -> str:
    """Say what was allowed, but for the one message that the original document has to the byte."""
    if problem.message == INVALID_COMMAND_TYPE or not problem.allowed:
        return problem.message
    return f"{_shown(problem.message)}; known: {', '.join(problem.allowed)}"


def _shown(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
