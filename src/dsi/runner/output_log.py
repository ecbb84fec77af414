"""The log of what a command on the workload client writes, of which no more is kept than a disk can bear.

The first half of what may be kept goes to the log itself. What comes then goes to parts beside it, each a quarter, of
which the last two are kept; at the end they are put behind the first half. So the log is whole up to its limit, and of
more it has the beginning and the end; and whoever goes on with it after a crash sees how much has come until now.
"""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from os import SEEK_END
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import structlog

from dsi.errors import ReportError
from dsi.report.folder import writing
from dsi.report.test_files import CUT

log = structlog.get_logger()

TAIL_BYTES: Final = 1000
"""How much of the end is kept at hand."""


class OutputLog(AbstractContextManager["OutputLog"]):
    """A file with what a command writes, as it comes: `limit_bytes` of it at most. That of `cmd` has its end in it.

    `note` hears, when it is closed, of what was not kept. `again`: another dsi has begun it, and this one goes on.
    """

    def __init__(self, path: Path, *, limit_bytes: int, note: Callable[[str], None], again: bool = False) -> None:
        self._path = path
        self._note = note
        self._limit_bytes = limit_bytes
        self._again = again
        self._file: BinaryIO | None = None
        self._room_bytes = limit_bytes // 2
        self._written_bytes = 0
        self._tail = b"\n"

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            ReportError
        """
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._again:
                for part in _parts(self._path):
                    part.unlink()
            if self._again and self._path.exists():
                self._go_on()
            else:
                self._file = self._path.open("wb", buffering=0)
        return self

    def _go_on(self) -> None:
        last = [self._path, *_parts(self._path)][-1]
        size_bytes = last.stat().st_size
        self._written_bytes = _begins_at(self._path, last) + size_bytes
        self._room_bytes = max(self._limit_bytes // (2 if last == self._path else 4) - size_bytes, 0)
        self._tail += last_output(self._path, TAIL_BYTES)
        self._file = last.open("ab", buffering=0)

    def size_bytes(self) -> int:
        """Give how much was written until now, also what is no longer kept."""
        return self._written_bytes

    def write(self, block: bytes) -> None:
        """Write a block.

        Raises:
            ReportError: the disk is full, say.

        """
        assert self._file is not None, "used outside `with`"
        with writing(self._path):
            rest = memoryview(block)
            while rest:
                if not self._room_bytes:
                    self._begin_part()
                count = self._file.write(rest[: self._room_bytes])
                rest = rest[count:]
                self._room_bytes -= count
                self._written_bytes += count
        self._tail = (self._tail + block[-TAIL_BYTES:])[-TAIL_BYTES:]

    def _begin_part(self) -> None:
        assert self._file is not None, "used outside `with`"
        for part in _parts(self._path)[:-1]:
            part.unlink()
        self._file.close()
        part = self._path.with_name(f"{self._path.name}.part-{self._written_bytes:015}")
        self._file = part.open("wb", buffering=0)
        self._room_bytes = max(self._limit_bytes // 4, 1)

    @property
    def last_line(self) -> str:
        """The last line in it, cut at its front; empty: there is none."""
        return self._tail.strip().rpartition(b"\n")[2].decode(errors="replace")

    def end(self, exit_status: int | None, message: str) -> None:
        """Write the last line. Where `cmd` was ended in the middle of a line, it says so: that line is no result."""
        cut = not self._tail.endswith(b"\n")
        shown = 1 if exit_status is None else exit_status
        line = message.replace("\n", "\\n") + (f"; {CUT}" if cut and shown else "")
        self.write((b"\n" if cut else b"") + f"exit_status: {shown} '{line}'\n".encode())

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, and put what was kept together."""
        if self._file is not None:
            self._file.close()
        parts = _parts(self._path)
        if parts:
            try:
                with writing(self._path):
                    self._join(parts)
            except ReportError as full:  # nothing is lost: the parts are still there
                log.warning("the end of a log lies in files beside it", reason=str(full), files=[*map(str, parts)])

    def _join(self, parts: list[Path]) -> None:
        with self._path.open("ab") as file:
            left_out_bytes = _begins_at(self._path, parts[0]) - file.tell()
            if left_out_bytes:
                what = (
                    f"{left_out_bytes} bytes of the output are left out: of more than {self._limit_bytes} "
                    "(test_control.max_log_bytes) the beginning and the end are kept"
                )
                file.write(f"\n[{what}]\n".encode())
                log.warning(f"{self._path}: {what}")
                self._note(f"{self._path.name}: {what}")
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                part.unlink()


def last_output(path: Path, size_bytes: int) -> bytes:
    """Give the last bytes of a log, so many at most, also while it is still written."""
    found = b""
    for file in reversed([path, *_parts(path)]):
        found = _end_of(file, size_bytes - len(found)) + found
    return found


def _end_of(path: Path, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(size_bytes, file.seek(0, SEEK_END)), SEEK_END)
        return file.read(size_bytes)


def _parts(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.part-*"))


def _begins_at(path: Path, part: Path) -> int:
    """Give how many bytes came before a part; none before the log itself."""
    return 0 if part == path else int(part.name.rpartition("-")[2])
