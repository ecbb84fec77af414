"""What a client has sent ahead: waits in order until its turn comes, and is bounded."""

import asyncio
from collections import deque
from typing import Any

from dsi import wire
from dsi.control.running import Running
from dsi.wire import Envelope, Outcome

MAX_LINES = 256
"""How many lines of one client wait at most. What it sends beyond waits in its connection, unread."""

MAX_BYTES = 65_536
"""The same in characters of their text; but one line always has a place, however long it is."""


class Asked:
    """One line of a client that has no reply yet.

    `value` is the JSON that it is (None: it is none). `outcome` is set where nothing is to be run for it.
    """

    def __init__(
        self,
        *,
        text: str = "",
        value: Any = None,
        id_: wire.Id | None = None,
        envelope: Envelope | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        self.text = text
        self.value = value
        self.id = id_
        self.envelope = envelope
        self.outcome = outcome
        self.running: Running | None = None


class Inbox:
    """The lines of one client, first come first served. One task puts, one gets."""

    def __init__(self) -> None:
        self._lines: deque[Asked] = deque()
        self._size = 0
        self._closed = False
        self._changed = asyncio.Event()

    async def put(self, asked: Asked) -> None:
        """Add a line, when there is room."""
        while not self.has_room_for(asked):
            await self._change()
        self._add(asked)

    def has_room_for(self, asked: Asked) -> bool:
        """Tell whether a line can be added at once."""
        return not self._lines or (len(self._lines) < MAX_LINES and self._size + len(asked.text) <= MAX_BYTES)

    async def get(self) -> Asked | None:
        """Take the first line, when there is one; None: there will be no more."""
        while not self._lines:
            if self._closed:
                return None
            await self._change()
        asked = self._lines.popleft()
        self._size -= len(asked.text)
        self._changed.set()
        return asked

    def remove(self, asked: Asked) -> bool:
        """Take out a line that still waits; tell whether it did."""
        if asked not in self._lines:
            return False
        self._lines.remove(asked)
        self._size -= len(asked.text)
        self._changed.set()
        return True

    def close(self, last: Asked | None = None) -> None:
        """Say that nothing more will be put in, but for this, for which there is always room."""
        if last is not None:
            self._add(last)
        self._closed = True
        self._changed.set()

    def _add(self, asked: Asked) -> None:
        self._lines.append(asked)
        self._size += len(asked.text)
        self._changed.set()

    async def _change(self) -> None:
        """Wait for a change. With one who puts and one who gets, only one of them can be waiting at a time."""
        self._changed.clear()
        await self._changed.wait()
