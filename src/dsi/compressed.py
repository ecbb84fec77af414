"""Files that may have been compressed when they were fetched: `.gz`, `.zst`, or as they are."""

import gzip
import sys
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Final

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

BROKEN: Final = (EOFError, zlib.error, ZstdError, OSError)
"""What reading one raises where it is cut off, damaged, or can't be read at all."""


def open_plain(path: Path) -> BufferedIOBase:
    """Open a file to be read; its name tells how it is compressed.

    Read it with `read1`, which gives what comes before a damage before it raises (`BROKEN`); `read` loses it.

    Raises:
        OSError: it can't be opened.
    """
    if path.suffix == ".gz":
        return gzip.open(path)
    if path.suffix == ".zst":
        return ZstdFile(path)
    return path.open("rb")


def plain_name(path: Path) -> str:
    """Give the name that the file had before it was compressed."""
    return path.stem if path.suffix in {".gz", ".zst"} else path.name
