"""Commands with a retry_id: never started twice."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import structlog

from dsi.control.journal import Journal
from dsi.control.running import Running
from dsi.errors import InvalidCommand, StateError
from dsi.wire import Code, Outcome

log = structlog.get_logger()

_UNKNOWN = Outcome(
    code=Code.UNKNOWN,
    message="It was begun, and dsi ended before it had: whether it ran, or to its end, is not known",
)


class Retry:
    """A command with a retry_id that was checked, and is under way. `running` is set as soon as it has a task."""

    running: Running

    def __init__(self, retry_id: str, digest: str, retries: "Retries") -> None:
        self.digest = digest
        self._retry_id = retry_id
        self._retries = retries

    async def begin(self) -> None:
        """Note that it is about to begin. Until this has returned it must not.

        Raises:
            StateError: it can't be noted.
        """
        try:
            await self._retries.journal.begin(self._retry_id, self.digest)
        except BaseException:
            self._retries.forget(self._retry_id)
            raise

    async def end(self, outcome: Outcome) -> None:
        """Note what came of it, before its client hears of it."""
        if self._retries.journal.digest_of(self._retry_id) is None:
            return  # it never began
        try:
            await self._retries.journal.end(self._retry_id, outcome)
        except StateError as problem:
            log.error("what came of a command with a retry_id can't be noted", error=str(problem))
            return  # it stays with those under way: its task knows
        self._retries.forget(self._retry_id)


class Retries:
    """Knows which of them are under way, and from the journal which were begun before."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._under_way: dict[str, Retry] = {}

    def known(self, retry_id: str, command: Mapping[str, Any]) -> Running | Outcome | None:
        """Give what was begun under a retry_id: it runs, or has ended. None: nothing was.

        Raises:
            InvalidCommand: that was another command.
        """
        under_way = self._under_way.get(retry_id)
        digest = under_way.digest if under_way else self.journal.digest_of(retry_id)
        if digest is None:
            return None
        if digest != _digest(command):
            raise InvalidCommand(
                f"the retry_id {retry_id!r} belongs to another command, begun before: this one was not started",
                path="retry_id",
            )
        return under_way.running if under_way else self.journal.outcome_of(retry_id) or _UNKNOWN

    def claim(self, retry_id: str, command: Mapping[str, Any]) -> Retry:
        """Take a retry_id that is not known: from now on it is."""
        retry = self._under_way[retry_id] = Retry(retry_id, _digest(command), self)
        return retry

    def forget(self, retry_id: str) -> None:
        """Take it from those under way: the journal knows it, or it never began."""
        del self._under_way[retry_id]


def _digest(command: Mapping[str, Any]) -> str:
    """Tell one command from another: the order of its keys makes no difference."""
    return hashlib.sha256(json.dumps(command, sort_keys=True).encode()).hexdigest()
