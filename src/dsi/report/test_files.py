"""What lies in the folder of a test, as its result parser gets it: read piece by piece, however large it is."""

import gzip
import re
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from os import SEEK_END
from pathlib import Path
from typing import Final

from dsi.errors import ReportError
from dsi.parsers import Lines, Output
from dsi.report.folder import inside

_BLOCK_BYTES: Final = 1 << 20
_MOST_FILES: Final = 1000
"""Of a folder among output_files; a parser that wants more files than that isn't known."""

CUT: Final = "its last line has no end"
"""What `test_output.log` says with the exit status where `cmd` failed, and had not written its last line to the end."""

_EXIT_STATUS: Final = re.compile(rb"exit_status: (\d+) '(.*)'\n")
_END_BYTES: Final = 4096
"""No line is longer whose last number is a result."""


class Stopped(Exception):
    """Reading was called off."""


def output_of(
    test: str,
    folder: Path,
    output_files: Sequence[str],
    usual: str | None = None,
    *,
    client: str,
    stop: threading.Event | None = None,
) -> Output:
    """Give the output of a test from its folder in the reports. `client` is the workload client's name.

    `usual`: one more file, where it is there: a hook may have fetched it.

    Its lines raise `ReportError` where a file can't be read, and `Stopped` once `stop` is set.
    """
    log = folder / "test_output.log"
    found = {source: _fetched(folder, source, client) for source in output_files}
    paths = [path for fetched in found.values() for path in fetched]
    paths += _fetched(folder, usual, client) if usual else []
    sizes = _sure_bytes(log, [path for path in dict.fromkeys(paths) if path != log])
    first, *files = (_lines(path, folder, stop, size_bytes) for path, size_bytes in sizes.items())
    missing = [source for source in found if not found[source]]
    unfinished = [str(path.relative_to(folder)) for path, size_bytes in sizes.items() if size_bytes is not None]
    return Output(test, first, files, missing, unfinished)


def _sure_bytes(log: Path, files: Sequence[Path]) -> dict[Path, int | None]:
    """Give how much of the log, and of each file, is to be read: None is all.

    A line that ends with a digit, and with no newline, may be the half of one: 98 of 98.9. So it is where `cmd` was
    killed; one that ended well has written what it wanted.
    """
    content = _end_of(log)
    end = _EXIT_STATUS.search(content, content.rfind(b"\n", 0, -1) + 1)
    if end is None:  # dsi was killed
        return {path: _whole_lines(path, _end_of(path)) for path in (log, *files)}
    if int(end[1]) == 0:
        return dict.fromkeys([log, *files])
    before = content[: max(end.start() - 1, 0)] if CUT.encode() in end[2] else b""
    after_bytes = len(content) - len(before)
    return {log: _whole_lines(log, before, after_bytes), **{path: _whole_lines(path, _end_of(path)) for path in files}}


def _whole_lines(path: Path, end: bytes, after_bytes: int = 0) -> int | None:
    """Give how many bytes of a file are whole lines; None: all. `end` is what there is of it before `after_bytes`."""
    if path.suffix == ".gz" or not end[-1:].isdigit():
        return None
    return path.stat().st_size - after_bytes - len(end) + end.rfind(b"\n") + 1


def _end_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(-min(file.seek(0, SEEK_END), _END_BYTES), SEEK_END)
            return file.read()
    except OSError:  # whoever reads it says so
        return b""


def _fetched(folder: Path, source: str, client: str) -> list[Path]:
    """Give the files that an output file (or folder) has become: it lies deeper where its name was taken already."""
    for place in (folder / client / inside(source), folder / inside(source).name):
        if place.is_file():
            return [place]
        if place.is_dir():
            return sorted(path for path in place.rglob("*") if path.is_file())[:_MOST_FILES]
    return []


def _lines(path: Path, folder: Path, stop: threading.Event | None, size_bytes: int | None) -> Lines:
    return Lines(str(path.relative_to(folder)), lambda: _blocks(path, stop, size_bytes))


def _blocks(path: Path, stop: threading.Event | None, size_bytes: int | None) -> Iterator[bytes]:
    rest_bytes = sys.maxsize if size_bytes is None else size_bytes
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while block := file.read(min(_BLOCK_BYTES, rest_bytes)):
                rest_bytes -= len(block)
                if stop is not None and stop.is_set():
                    raise Stopped
                yield block
    except FileNotFoundError:  # somebody has deleted the reports; there is nothing in there now
        return
    except (OSError, EOFError, zlib.error) as problem:
        raise ReportError(f"{path} can't be read: {problem}; so its results are not in perf.json") from problem
