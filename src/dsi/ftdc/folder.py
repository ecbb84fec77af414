"""A folder of diagnostic data: which files, in which order, and each sample once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dsi.compressed import plain_name
from dsi.errors import NoDiagnosticData
from dsi.ftdc.chunk import Chunk
from dsi.ftdc.damage import Damaged, warn
from dsi.ftdc.reader import METRICS, Metadata, Samples, read_file

FOLDER: Final = "diagnostic.data"
TEMPORARY: Final = "metrics.interim.temp"
"""What becomes metrics.interim once it is written."""

_SHOWN: Final = 5


def files(path: Path) -> list[Path]:
    """Give the files of diagnostic data, in the order they were written, metrics.interim last.

    `path` is a folder of them, a folder that has them in `diagnostic.data`, or one file.

    Raises:
        NoDiagnosticData: there are none.
    """
    if not path.exists():
        raise NoDiagnosticData(f"{path}: there is no such file or folder")
    if not path.is_dir():
        return [path]
    found = _files_in(path) or _files_in(path / FOLDER)
    if not found:
        raise NoDiagnosticData(f"{path}: no diagnostic data (metrics.*) in there; {_elsewhere(path)}")
    return found


def _files_in(folder: Path) -> list[Path]:
    """Give them by name: that has the time, and metrics.interim comes behind all digits."""
    return sorted(file for file in folder.glob("metrics.*") if plain_name(file) != TEMPORARY and file.is_file())


def _elsewhere(path: Path) -> str:
    below = sorted(folder for folder in path.glob(f"**/*{FOLDER}") if _files_in(folder))
    if not below:
        return f"name a server's {FOLDER} (in its dbPath; with mongos, beside its log)"
    more = f" and {len(below) - _SHOWN} more" if len(below) > _SHOWN else ""
    return f"there is some in {', '.join(map(str, below[:_SHOWN]))}{more}"


def read(path: Path, damaged: Damaged = warn) -> Iterator[Chunk]:
    """Give the samples of a diagnostic.data folder or file (see `files`), a chunk at a time; no more is held in memory.

    What a server has written twice (metrics.interim, and again when it ended, or after a crash) is given once.
    `damaged` is told of what can't be read.

    Raises:
        NoDiagnosticData: there are no files.
    """
    given: dict[int, int] = {}
    for file in files(path):
        for content in read_file(file, damaged):
            if isinstance(content, Samples) and (chunk := _unknown(content, given)) is not None:
                yield chunk


def _unknown(samples: Samples, given: dict[int, int]) -> Chunk | None:
    """Leave out what has been given; `given` has the last time of each chunk, by its first sample."""
    last_ms = given.get(samples.first)
    chunk = samples.chunk if last_ms is None else samples.chunk.later_than(last_ms)
    if chunk is not None:
        given[samples.first] = int(chunk.times_ms[-1])
    return chunk


def metadata(path: Path, damaged: Damaged = warn) -> Iterator[Metadata]:
    """Give what the server says of itself in these files (see `files`), in the order it was written.

    Raises:
        NoDiagnosticData: there are no files.
    """
    for file in files(path):
        for content in read_file(file, damaged, passed_over=METRICS):
            if isinstance(content, Metadata):
                yield content
