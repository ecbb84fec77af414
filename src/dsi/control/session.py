"""One client of the dsisocket: its lines in order, and a reply to each."""

import asyncio
from contextlib import suppress

import structlog

from dsi import wire
from dsi.control.controls import Controls
from dsi.control.gate import MAX_LINE_BYTES, TOKEN_WITHIN_S, TOO_LATE, TOO_MANY, Gate
from dsi.control.inbox import Asked, Inbox
from dsi.control.outbox import FLUSH_S, GONE, Outbox
from dsi.control.registry import Registry
from dsi.control.running import outcome_of, refusal
from dsi.control.stream import Stream
from dsi.control.work import Work
from dsi.errors import InvalidCommand
from dsi.hosts.base import Reader, Writer
from dsi.wire import Code, Outcome

log = structlog.get_logger()

READ_BYTES = 16_384
"""How much is read at once."""

_NEVER_BEGAN = Outcome(code=Code.CANCELLED, message="The command was cancelled before it began")
_CANCELLED = "The command was cancelled"


class Session:
    """Talks to one client: reads on while a command runs, runs its commands one after another, answers each line once.

    `run` goes on until the client's input ends, the client is gone, or the test ends (`ending` set, and `end` called):
    then what was read until now is answered, and what has not begun isn't started any more. A client that doesn't show
    the token within `token_within_s` is turned out.
    """

    def __init__(
        self,
        client: int,
        reader: Reader,
        writer: Writer,
        *,
        work: Work,
        registry: Registry,
        controls: Controls,
        gate: Gate,
        max_line_bytes: int,
        ending: asyncio.Event,
        token_within_s: float = TOKEN_WITHIN_S,
    ) -> None:
        self._client = client
        self._reader = reader
        self._writer = writer
        self._work = work
        self._registry = registry
        self._controls = controls
        self._gate = gate
        self._max_line_bytes = max_line_bytes
        self._decoder = wire.Decoder(max_line_bytes if gate.is_open else min(MAX_LINE_BYTES, max_line_bytes))
        self._token_within_s = token_within_s
        self._turned_out: Outcome | None = None
        self.is_stuck = False
        self._ending = ending
        self._inbox = Inbox()
        self._log = log.bind(client=client)
        self._outbox = Outbox(writer, self._log)
        self._tasks = asyncio.TaskGroup()
        self._listening: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Serve the client, then close its connection; cancelling it waits for nothing.

        `is_stuck` afterwards: the client takes nothing, not even its end, or there was no time for that.
        """
        no_token = asyncio.get_running_loop().call_later(self._token_within_s, self.turn_out, TOO_LATE)
        try:
            async with self._tasks:
                reading = self._tasks.create_task(self._read())
                await self._answer_in_order()
                if not reading.done():
                    await self._see_out(reading)
        except asyncio.CancelledError:
            self.is_stuck = True
            raise
        except Exception:  # noqa: BLE001  a task's boundary: what ends one conversation must not touch the others
            self._log.warning("dsisocket connection broke", exc_info=True)
        finally:
            no_token.cancel()
            self._registry.forget(self)
            await self._close()

    async def _close(self) -> None:
        is_over = self._ending.is_set() or self._outbox.is_gone or self.is_leaving
        limit = asyncio.timeout(FLUSH_S if is_over else None)
        self._writer.close()
        if self.is_stuck:
            return
        try:
            with suppress(*GONE):
                async with limit:
                    await self._writer.wait_closed()
            self.is_stuck = limit.expired()
        except asyncio.CancelledError:
            self.is_stuck = True
            raise

    async def _see_out(self, reading: "asyncio.Task[None]") -> None:
        """Give a client that was turned out a moment to close first: else it might never see why (a reset)."""
        with suppress(*GONE):
            if not self._outbox.is_gone:
                self._writer.write_eof()
                await asyncio.wait({reading}, timeout=FLUSH_S)
        reading.cancel()

    @property
    def is_leaving(self) -> bool:
        """Whether it was turned out."""
        return self._turned_out is not None

    def turn_out(self, outcome: Outcome) -> bool:
        """Answer this to a client that has not shown the token, and close its connection; give whether that is so."""
        if self._gate.is_open or self.is_leaving:
            return False
        self._log.debug("dsisocket client turned out", reason=outcome.message)
        self._turned_out = outcome
        self.end()
        return True

    def end(self) -> None:
        """Wait for no more lines, and let the client have what is still to be said, within `FLUSH_S` for each line."""
        self._outbox.hurry()
        if self._listening is not None and not self._listening.expired():
            self._listening.reschedule(0)

    def cancel(self, asked: Asked) -> None:
        """End a command of this client, or answer it in place of beginning it."""
        if asked.running is not None:
            asked.running.end(Code.CANCELLED, _CANCELLED)
        elif self._inbox.remove(asked):
            self._tasks.create_task(self._reply(asked, _NEVER_BEGAN))
        else:
            asked.outcome = _NEVER_BEGAN  # it waits for a place in the inbox, or has just left it

    # --- reading ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            await self._read_lines()
        except GONE as problem:
            self._log.debug("dsisocket client gone", reason=str(problem))
        finally:
            self._inbox.close(Asked(outcome=self._turned_out) if self.is_leaving else None)
        with suppress(*GONE):
            while self.is_leaving and await self._reader.read(READ_BYTES):
                pass  # what is left unread fills memory

    async def _read_lines(self) -> None:
        while data := await self._next_block():
            for message in self._decoder.feed(data):
                await self._take(message)
                if self._gate.is_closed:
                    self._log.warning("dsisocket client showed a wrong token too often, and is disconnected")
                    return
                if self.is_leaving:
                    return
        if not (self._ending.is_set() or self.is_leaving):  # else it isn't the client who left its last line unfinished
            for message in self._decoder.finish():
                await self._take(message)

    async def _next_block(self) -> bytes:
        """Give what the client sends next, b"" at its end; once it is to be waited for no more, what has come by then.

        It may be turned out before its first turn here, where many connect at once.
        """
        limit = asyncio.timeout(0 if self._ending.is_set() or self.is_leaving else None)
        try:
            async with limit:
                self._listening = limit
                return await self._reader.read(READ_BYTES)
        except TimeoutError:
            if limit.expired():
                return b""
            raise  # the way to the client is gone
        finally:
            self._listening = None

    async def _take(self, message: wire.Message) -> None:
        await asyncio.sleep(0)  # neither reading nor writing lets others go on while there is data: a flood would block
        if isinstance(message, wire.Malformed):
            self._log.debug("dsisocket line is no JSON", reason=message.message)
            await self._queue(Asked(text=message.message, outcome=self._gate.malformed(message.message)))
            return
        asked = self._opened(message)
        if asked.outcome is None and asked.envelope is not None and asked.envelope.control is not None:
            asked.outcome = await self._controls.answer(asked.envelope, self, nothing_new=self._ending.is_set())
            await self._reply(asked, asked.outcome)
            return
        if asked.outcome is None:
            self._registry.add(self, asked)
        await self._queue(asked)

    async def _queue(self, asked: Asked) -> None:
        """Have it answered in its turn. Who hasn't shown the token is not waited for: what it sends would pile up."""
        if self._gate.is_open or self._inbox.has_room_for(asked):
            await self._inbox.put(asked)
        else:
            self.turn_out(TOO_MANY)

    def _opened(self, request: wire.Request) -> Asked:
        """Look at a line: what it asks for, or what is to be answered since it asks for nothing that can be done."""
        id_: wire.Id | None = None
        envelope: wire.Envelope | None = None
        outcome: Outcome | None = None
        try:
            id_ = wire.read_id(request.value)
            envelope = wire.open_envelope(request.value)
            outcome = self._gate.pass_through(envelope)
            if self._gate.is_open:
                self._decoder.max_line_bytes = self._max_line_bytes
            wire.insist_on_unicode(request.value, request.text)
        except InvalidCommand as problem:
            outcome = outcome or self._gate.refusal or refusal(problem)
        return Asked(text=request.text, value=request.value, id_=id_, envelope=envelope, outcome=outcome)

    # --- answering ----------------------------------------------------------------------------------------------

    async def _answer_in_order(self) -> None:
        while (asked := await self._inbox.get()) is not None:
            await asyncio.sleep(0)
            outcome = asked.outcome or await self._outcome(asked)
            self._tell(asked, outcome)
            await self._reply(asked, outcome)

    def _tell(self, asked: Asked, outcome: Outcome) -> None:
        """Tell of what was asked for and not done; but what its client has withdrawn isn't asked for any more."""
        is_withdrawn = outcome.code is Code.CANCELLED and not self._ending.is_set()
        if outcome.code not in (Code.OK, Code.UNAUTHORIZED) and not is_withdrawn:
            self._work.on_failure(asked.value, outcome)

    async def _outcome(self, asked: Asked) -> Outcome:
        try:
            started = self._work.start(asked, self._client, nothing_new=self._ending.is_set())
        except Exception as problem:  # noqa: BLE001  a command's boundary: a bug in it must not end the connection
            return outcome_of(problem, asked.text)
        if isinstance(started, Outcome):
            return started
        asked.running = started
        if asked.envelope is None or not asked.envelope.stream or asked.id is None:
            return await started.outcome()
        stream = Stream(self._outbox, asked.id)
        started.hearing.stream_to(stream)
        outcome = await started.outcome()
        await stream.finish()
        return outcome

    async def _reply(self, asked: Asked, outcome: Outcome) -> None:
        """Send a reply. A client that is gone is sent nothing more, and what it had sent is still run."""
        self._registry.remove(asked)
        await self._outbox.send(wire.encode_reply(outcome, asked.id))
