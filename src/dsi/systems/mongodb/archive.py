"""`mongodb_binary_archive`: fetched once to this machine, and looked into before it goes anywhere."""

import asyncio
import hashlib
import http.client
import tarfile
import threading
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dsi.errors import Preflight
from dsi.state import State

_SILENCE_LIMIT_S = 60.0
_BLOCK_BYTES = 1 << 20
_FORM = "a .tgz whose one top folder holds bin/"
_WITHOUT = 'name another, or do without: in overrides.yml, write mongodb_setup: {mongodb_binary_archive: ""}'


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive on this machine. `mark` is written beside what was unpacked, and tells it from any other archive."""

    path: Path
    mark: str


async def fetch(source: str, state: State) -> Archive:
    """Give the archive of a URL (downloaded to `.dsi/archives/`, unless it is there) or of a local path.

    A relative path is relative to the work directory.

    Raises:
        Preflight: it can't be had, or is no archive of binaries.
    """
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_fetch, source, state, stop)
    finally:
        stop.set()  # a thread isn't cancelled with us


def _fetch(source: str, state: State, stop: threading.Event) -> Archive:
    if source.startswith(("http://", "https://")):
        path, mark = _download(source, state, stop), source
    else:
        path = (state.work_directory / Path(source).expanduser()).resolve()
        mark = _mark_of(path)
    try:
        _insist_on_binaries(path, source)
    except Preflight:
        if path.is_relative_to(state.folder):
            path.unlink(missing_ok=True)
        raise
    return Archive(path, mark)


def _mark_of(path: Path) -> str:
    try:
        known = path.stat()
    except OSError as problem:
        raise Preflight(f"mongodb_setup.mongodb_binary_archive: {path}: {problem.strerror}; {_WITHOUT}") from problem
    return f"{path} {known.st_size} {known.st_mtime_ns}"


def _download(url: str, state: State, stop: threading.Event) -> Path:
    folder = state.make_folder() / "archives"
    folder.mkdir(exist_ok=True)
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{url.rsplit('/', 1)[-1][-80:]}"
    if path.exists():
        return path
    partial = path.with_name(path.name + ".part")
    try:
        with urllib.request.urlopen(url, timeout=_SILENCE_LIMIT_S) as answer, partial.open("wb") as file:  # noqa: S310  http or https
            _copy(answer, file, stop)
    except (OSError, urllib.error.URLError, http.client.HTTPException) as problem:
        partial.unlink(missing_ok=True)
        raise Preflight(
            f"mongodb_setup.mongodb_binary_archive: {url} could not be fetched: {problem}; {_WITHOUT}"
        ) from problem
    return partial.replace(path)


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, stop: threading.Event) -> None:
    """Copy all that was announced: a connection that breaks off looks like the end of the file else."""
    announced = answer.headers.get("Content-Length")
    size_bytes = 0
    while block := answer.read(_BLOCK_BYTES):
        if stop.is_set():
            raise OSError("it was called off")
        size_bytes += file.write(block)
    if announced is not None and size_bytes != int(announced):
        raise OSError(f"the connection broke after {size_bytes} of {announced} bytes")


def _insist_on_binaries(path: Path, source: str) -> None:
    """Look through the archive as far as the first file in a `bin/` one level below the top."""
    try:
        with tarfile.open(path, "r|gz") as archive:
            if any(_is_binary(member.name) for member in archive):
                return
    except (tarfile.TarError, zlib.error, EOFError, OSError) as problem:
        raise Preflight(
            f"mongodb_setup.mongodb_binary_archive: {source} is no archive: {problem}; needed: {_FORM}"
        ) from problem
    raise Preflight(f"mongodb_setup.mongodb_binary_archive: {source} has no TOP/bin/ in it; needed: {_FORM}")


def _is_binary(name: str) -> bool:
    parts = name.removeprefix("./").split("/")
    return len(parts) == 3 and parts[1] == "bin" and bool(parts[2])
