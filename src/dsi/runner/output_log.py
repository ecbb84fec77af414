"""The log of what a command on the workload client writes."""

from contextlib import AbstractContextManager
from os import SEEK_END
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from dsi.report.folder import writing

TAIL_BYTES: Final = 1000
"""How much of the end is kept at hand."""


class OutputLog(AbstractContextManager["OutputLog"]):
    """A file with what a command writes, as it comes. That of `cmd` ends with how it ended.

    `again`: another dsi has begun it, and this one goes on.
    """

    def __init__(self, path: Path, *, again: bool = False) -> None:
        self._path = path
        self._again = again
        self._file: BinaryIO | None = None
        self._tail = b"\n"

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            ReportError
        """
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._again and self._path.exists():
                self._tail += last_output(self._path, TAIL_BYTES)
            self._file = self._path.open("ab" if self._again else "wb", buffering=0)
        return self

    def size_bytes(self) -> int:
        """Give how much was written until now."""
        return self._path.stat().st_size

    def write(self, block: bytes) -> None:
        """Write a block.

        Raises:
            ReportError: the disk is full, say.

        """
        assert self._file is not None, "used outside `with`"
        with writing(self._path):
            rest = memoryview(block)
            while rest:
                rest = rest[self._file.write(rest) :]
        self._tail = (self._tail + block[-TAIL_BYTES:])[-TAIL_BYTES:]

    @property
    def last_line(self) -> str:
        """The last line in it, cut at its front; empty: there is none."""
        return self._tail.strip().rpartition(b"\n")[2].decode(errors="replace")

    def end(self, exit_status: int | None, message: str) -> None:
        """Write the last line."""
        newline = b"" if self._tail.endswith(b"\n") else b"\n"
        shown = 1 if exit_status is None else exit_status
        line = message.replace("\n", "\\n")
        self.write(newline + f"exit_status: {shown} '{line}'\n".encode())

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def last_output(path: Path, size_bytes: int) -> bytes:
    """Give the last bytes of a log, so many at most."""
    with path.open("rb") as file:
        file.seek(-min(size_bytes, file.seek(0, SEEK_END)), SEEK_END)
        return file.read(size_bytes)
