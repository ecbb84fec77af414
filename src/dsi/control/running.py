"""One command that runs: ended past its timeout or when it is cancelled; its outcome is for whoever waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

import structlog

from dsi.control.hearing import Hearing
from dsi.errors import MAX_MESSAGE_BYTES, ConnectionLost, DsiError, InvalidCommand, SeveralFailed
from dsi.timeline import Timeline
from dsi.wire import Code, Outcome

log = structlog.get_logger()

Run = Callable[[Hearing], Awaitable[object]]
"""Runs one command that was checked."""

Execute = Callable[[Any], Run]
"""Checks one command (a JSON object), and gives what runs it.

What either raises becomes the reply: `InvalidCommand` its message, any other `DsiError` its text. A command that is
refused by the check never began, and isn't in the timeline.
"""

INVALID_COMMAND_TYPE = "Invalid command type"

SHOWN_CHARS = 2048
"""How much of a client's text goes to timeline and log: a line of 1 MiB each would soon fill memory and disk."""

_TOOK_LONGER = "The command took longer than {:g} s"
_IN_PART = "it was ended, and may have taken effect in part"
_NOT_AT_ALL = "it never began"

_MAX_DETAIL_CHARS = 65_536


class Journalled(Protocol):
    """Keeps a command from being started twice."""

    async def begin(self) -> None:
        """Note that the command is about to begin."""
        ...

    async def end(self, outcome: Outcome) -> None:
        """Note what came of it."""
        ...


class Running:
    """A command under way, in a task of its own: its client may go, and it runs to its end.

    `timeout_s` None: as long as it takes. `journalled` is told before it begins (and may
    refuse with a `DsiError`), and how it ended before anybody else is.
    """

    def __init__(
        self,
        run: Run,
        *,
        timeline: Timeline,
        client: int,
        text: str,
        timeout_s: float | None = None,
        journalled: Journalled | None = None,
    ) -> None:
        self.hearing = Hearing()
        self._run = run
        self._timeline = timeline
        self._client = client
        self._text = text
        self._timeout_s = timeout_s
        self._journalled = journalled
        self._ended: _Ended | None = None
        self._is_at_work = self._was_run = False
        self.task = asyncio.create_task(self._live(), name=f"dsisocket command of client {client}")

    async def outcome(self) -> Outcome:
        """Wait for what comes of it. Cancelling ends the waiting alone."""
        await asyncio.wait({self.task})
        return self.task.result()

    def end(self, code: Code, why: str) -> None:
        """End it, on its hosts too; what comes of it is then this code. A second wish changes nothing."""
        if self._ended is None:
            self._ended = _Ended(code, why)
            if self._is_at_work:
                self.task.cancel()

    async def _live(self) -> Outcome:
        outcome = await self._outcome()
        if self._journalled is not None:
            await self._journalled.end(outcome)
        return outcome

    async def _outcome(self) -> Outcome:
        try:
            if self._journalled is not None:
                await self._journalled.begin()
            with self._timeline.span("dsisocket_command", client=self._client, command=shown(self._text)):
                await self._work()
        except _Ended as end:
            return Outcome(code=end.code, message=str(end), results=self.hearing.results())
        except Exception as problem:  # noqa: BLE001  a command's boundary: a bug in it must not end the connection
            outcome = replace(outcome_of(problem, self._text), results=self.hearing.results())
            # Level 1 has no such code; who asks for "never twice" is told that nobody knows whether it was once.
            return replace(outcome, code=Code.UNKNOWN) if self._journalled and _is_unknown(problem) else outcome
        return Outcome(code=Code.OK, results=self.hearing.results())

    async def _work(self) -> None:
        """Run the command within its time. What it raises while it is being ended says less than why it was ended."""
        if self._ended is not None:
            raise self._explained(self._ended)
        limit = asyncio.timeout(self._timeout_s)
        self._is_at_work = self._was_run = True
        try:
            async with limit:
                await self._run(self.hearing)
        except (Exception, asyncio.CancelledError):
            if limit.expired():
                raise self._explained(_Ended(Code.TIMEOUT, _TOOK_LONGER.format(self._timeout_s))) from None
            if self._ended is not None:
                raise self._explained(self._ended) from None
            raise
        finally:
            self._is_at_work = False
            if self._ended is not None:
                self.task.uncancel()

    def _explained(self, end: "_Ended") -> "_Ended":
        """Give it with whether anything may have come of the command."""
        what = _IN_PART if self._was_run and not self.hearing.never_began else _NOT_AT_ALL
        return _Ended(end.code, f"{end}: {what}")


class _Ended(DsiError):
    """The command was ended by us, and why. Never leaves this module."""

    def __init__(self, code: Code, why: str) -> None:
        self.code = code
        super().__init__(why)


def _is_unknown(problem: Exception) -> bool:
    if isinstance(problem, SeveralFailed):
        return any(_is_unknown(error) for error in problem.errors)
    return isinstance(problem, ConnectionLost)


def outcome_of(problem: Exception, text: str) -> Outcome:
    """Give what a client is told of what went wrong with its command; a bug of ours is logged."""
    if isinstance(problem, InvalidCommand):
        return refusal(problem)
    if not isinstance(problem, DsiError):
        log.error("dsisocket command failed by a bug in dsi", command=shown(text), exc_info=problem)
        message = f"Internal error of dsi ({type(problem).__name__}): see its log"
        return Outcome(code=Code.EXECUTION_ERROR, message=message)
    message = str(problem)
    is_whole = len(message.encode(errors="replace")) <= MAX_MESSAGE_BYTES
    detail = None if is_whole else message[:_MAX_DETAIL_CHARS]
    return Outcome(code=Code.EXECUTION_ERROR, message=message, detail=detail)


def refusal(problem: InvalidCommand) -> Outcome:
    """Say why a command is none; what was allowed too, but for the one message that the original has to the byte."""
    log.info("dsisocket command refused", reason=shown(problem.message), allowed=problem.allowed)
    known = f"; known: {', '.join(problem.allowed)}" if problem.allowed else ""
    if problem.message == INVALID_COMMAND_TYPE or not problem.allowed:
        detail = shown(problem.detail) + known
        return Outcome(
            code=Code.EXECUTION_ERROR,
            message=problem.message,
            detail=detail if detail != problem.message else None,
        )
    return Outcome(code=Code.EXECUTION_ERROR, message=shown(problem.message) + known)


def shown(text: str) -> str:
    """Give the beginning of a client's text, for people."""
    text = text.strip()
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
