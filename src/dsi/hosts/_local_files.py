"""Copying and writing files on this machine. Nothing here waits for anything but the disk: call it in a thread."""

import contextlib
import errno
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BLOCK_BYTES: Final = 1 << 20
"""How much of a file is copied at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """What of a file is copied: what begins at `first_byte`, no more than `size_bytes` (None: to its end)."""

    first_byte: int = 0
    size_bytes: int | None = None


WHOLE: Final = Part()


class Missing(FileNotFoundError):
    """What should be copied isn't there."""


class Stopped(Exception):
    """The copy was called off."""


def copy(source: Path, target: Path, stop: threading.Event, *, into: bool, part: Part = WHOLE) -> None:
    """Copy a file (or a part of it) or a folder, with permissions and times; missing parent folders are made.

    `into`: a file goes into the folder `target` under its own name; so it does where `target` is an existing folder. A
    folder becomes `target`, and is merged into it where that exists.

    Raises:
        Missing: `source` isn't there.
        OSError: what the disk says.
        Stopped: `stop` was set meanwhile.
    """
    if not source.exists():
        raise Missing(errno.ENOENT, os.strerror(errno.ENOENT), str(source))
    if source.is_dir():
        if target.resolve().is_relative_to(source.resolve()):
            raise OSError(errno.EINVAL, "a folder can't be copied into itself", str(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_folder(source, target, stop)
    else:
        if into or target.is_dir():
            target = target / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(source, target, stop, part)


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file at once, never with wider permissions than `mode`; missing parent folders are made.

    Raises:
        OSError: what the disk says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as fresh:
        fresh.touch(mode=0o600, exist_ok=False)
        fresh.write_bytes(content)
        fresh.chmod(mode)


def _copy_folder(source: Path, target: Path, stop: threading.Event) -> None:
    # Its final permissions may not let us write into it.
    with contextlib.suppress(FileExistsError):
        target.mkdir(mode=0o700)
    with os.scandir(source) as entries:
        for entry in entries:
            if stop.is_set():
                raise Stopped
            # Logs are rotated and data files dropped while a running server's folder is copied.
            with contextlib.suppress(FileNotFoundError):
                _copy_entry(entry, target / entry.name, stop)
    shutil.copystat(source, target)


def _copy_entry(entry: os.DirEntry[str], target: Path, stop: threading.Event) -> None:
    """Copy what lies in a folder. Links stay links; sockets, pipes and devices are passed over."""
    if entry.is_dir(follow_symlinks=False):
        _copy_folder(Path(entry.path), target, stop)
    elif entry.is_symlink():
        with _replacing(target) as fresh:
            fresh.symlink_to(Path(entry.path).readlink())
    elif entry.is_file():
        _copy_file(Path(entry.path), target, stop)


def _copy_file(source: Path, target: Path, stop: threading.Event, part: Part = WHOLE) -> None:
    # Never written in place: a running program's file can't be (ETXTBSY), and readers see the old one or the new.
    with _replacing(target) as fresh:
        fresh.touch(mode=0o600, exist_ok=False)
        _copy_content(source, fresh, stop, part)
        shutil.copystat(source, fresh)


def _copy_content(source: Path, target: Path, stop: threading.Event, part: Part) -> None:
    # By blocks, since a core file of 100 GB must not hold up whoever has called the copy off.
    left = part.size_bytes
    with source.open("rb") as there, target.open("wb") as here:
        there.seek(part.first_byte)
        while block := there.read(BLOCK_BYTES if left is None else min(left, BLOCK_BYTES)):
            if stop.is_set():
                raise Stopped
            here.write(block)
            left = None if left is None else left - len(block)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path`; what is made there takes its place at the end, or goes if that fails.

    Unlike that of `whole_file.write_whole` the name is another each time, since several commands may write one file at
    once; and what is made may be a link, or a copy that is called off half-way.
    """
    fresh = path.with_name(f".dsi-{secrets.token_hex(8)}")
    try:
        yield fresh
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
