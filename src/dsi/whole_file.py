"""Writing a file in one go: who reads it, also after a crash, finds what was there or what is new, never half of it."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, durable: bool = False) -> None:
    """Write a file, which has this `mode` (less the umask) then. Text is encoded by the caller, whatever the locale.

    `durable`: it is on the disk when this returns, and outlives this machine's crash.

    Raises:
        OSError: it can't be written; what was there still is, and nothing lies beside it.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)  # a dsi that was killed has left it, maybe with another mode
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
