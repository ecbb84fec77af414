"""What lies in the folder of a test, as its result parser gets it: read piece by piece, however large it is."""

import gzip
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from dsi.errors import ReportError
from dsi.parsers import Lines, Output
from dsi.report.folder import inside

_BLOCK_BYTES: Final = 1 << 20
_MOST_FILES: Final = 1000
"""Of a folder among output_files; a parser that wants more files than that isn't known."""


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
    files = [_lines(path, folder, stop) for path in dict.fromkeys(paths) if path != log]
    return Output(test, _lines(log, folder, stop), files, [source for source in found if not found[source]])


def _fetched(folder: Path, source: str, client: str) -> list[Path]:
    """Give the files that an output file (or folder) has become: it lies deeper where its name was taken already."""
    for place in (folder / client / inside(source), folder / inside(source).name):
        if place.is_file():
            return [place]
        if place.is_dir():
            return sorted(path for path in place.rglob("*") if path.is_file())[:_MOST_FILES]
    return []


def _lines(path: Path, folder: Path, stop: threading.Event | None) -> Lines:
    return Lines(str(path.relative_to(folder)), lambda: _blocks(path, stop))


def _blocks(path: Path, stop: threading.Event | None) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                if stop is not None and stop.is_set():
                    raise Stopped
                yield block
    except FileNotFoundError:  # somebody has deleted the reports; there is nothing in there now
        return
    except (OSError, EOFError, zlib.error) as problem:
        raise ReportError(f"{path} can't be read: {problem}; so its results are not in perf.json") from problem
