"""What was begun under which retry_id, and what came of it: a file that outlives dsi.

Lines of JSON: `{"journal": NAME}` first, then appended `{"retry_id": …, "command": DIGEST}` when it is about to begin,
`{"retry_id": …, "outcome": …}` when it has ended. Each of these is on the disk before anything follows from it.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dsi.errors import StateError
from dsi.wire import Code, Outcome

MAX_ENTRIES: Final = 100_000
MAX_BYTES: Final = 256 << 20
"""Beyond either nothing new is begun: to forget an old one would be to start it twice. 256 MiB are 100,000 outcomes of
2.5 KiB each."""


@dataclass(slots=True)
class _Entry:
    """`place`: where in the file its outcome stands (offset and size in bytes); None: there is none."""

    digest: str
    place: tuple[int, int] | None = None


class Journal:
    """One test's. It begins with what the file has, if a dsi that died in this test has left one.

    `name` is no other's: a client that asks again learns by it whether what it asked for would be known here.
    `path` None: it lives as long as this process, in memory.

    Raises:
        StateError: the file can't be read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._where = str(path or "the journal in memory")
        try:
            self._file = (
                os.memfd_create("dsisocket-journal")
                if path is None
                else os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            )
        except OSError as problem:
            raise StateError(f"{self._where} can't be opened: {problem.strerror}") from problem
        self._entries: dict[str, _Entry] = {}
        self._size = 0
        self.name = ""
        self._read_all()
        if not self.name:
            self.name = secrets.token_hex(8)
            self._write(json.dumps({"journal": self.name}).encode() + b"\n")

    def digest_of(self, retry_id: str) -> str | None:
        """Give the digest of the command that was begun under a retry_id; None: none was."""
        entry = self._entries.get(retry_id)
        return None if entry is None else entry.digest

    def outcome_of(self, retry_id: str) -> Outcome | None:
        """Give what came of what was begun; None: it didn't end, as far as is known."""
        entry = self._entries[retry_id]
        if entry.place is None:
            return None
        offset, size = entry.place
        fields = json.loads(os.pread(self._file, size, offset))["outcome"]
        return Outcome(**{**fields, "code": Code[fields["code"]]})

    async def begin(self, retry_id: str, digest: str) -> None:
        """Note that a command is about to begin. Once this has returned, that is never forgotten.

        Raises:
            StateError: it can't be noted, so the command must not begin.
        """
        if len(self._entries) >= MAX_ENTRIES or self._size >= MAX_BYTES:
            raise StateError(
                f"{self._where} is full ({len(self._entries)} retry_ids, {self._size} bytes): the command was not "
                "started; send it without a retry_id"
            )
        self._entries[retry_id] = _Entry(digest)
        try:
            await self._append({"retry_id": retry_id, "command": digest})
        except StateError:
            del self._entries[retry_id]
            raise

    async def end(self, retry_id: str, outcome: Outcome) -> None:
        """Note what came of what was begun.

        Raises:
            StateError: it can't be noted; after a death of dsi it would count as unknown.
        """
        fields = {"code": outcome.code.name, "message": outcome.message, "results": list(outcome.results)}
        if outcome.detail is not None:
            fields["detail"] = outcome.detail
        self._entries[retry_id].place = await self._append({"retry_id": retry_id, "outcome": fields})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    async def _append(self, line: dict[str, Any]) -> tuple[int, int]:
        """Add a line; gives its place when it is on the disk."""
        place = self._write(json.dumps(line).encode() + b"\n")
        try:
            await asyncio.to_thread(os.fdatasync, self._file)
        except OSError as problem:
            raise StateError(f"{self._where} can't be written: {problem.strerror}") from problem
        return place

    def _write(self, line: bytes) -> tuple[int, int]:
        """Write a line at the end, whole or not at all."""
        offset, written = self._size, 0
        try:
            while written < len(line):
                written += os.pwrite(self._file, line[written:], offset + written)
        except OSError as problem:
            os.ftruncate(self._file, offset)
            raise StateError(f"{self._where} can't be written: {problem.strerror}") from problem
        self._size += len(line)
        return offset, len(line)

    def _read_all(self) -> None:
        """Read what a dsi that died has left; a last line that it didn't finish is taken away."""
        for offset, text in self._lines():
            try:
                line = json.loads(text)
                if "journal" in line:
                    self.name = line["journal"]
                elif "outcome" in line:
                    self._entries[line["retry_id"]].place = (offset, len(text))
                else:
                    self._entries[line["retry_id"]] = _Entry(line["command"])
            except (ValueError, KeyError, TypeError) as problem:
                raise StateError(f"{self._where}, byte {offset}: this is no line of a journal; delete it") from problem
        os.ftruncate(self._file, self._size)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with os.fdopen(os.dup(self._file), "rb") as file:
            for text in file:
                if text.endswith(b"\n"):
                    yield self._size, text
                    self._size += len(text)
