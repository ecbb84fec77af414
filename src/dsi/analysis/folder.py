"""What lies in a reports folder: which file was fetched from which server after which test."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dsi.analysis.server_log import looks_like_a_log
from dsi.compressed import BROKEN, open_plain, plain_name

_LOG: Final = re.compile(r".+\.log([.-]\d.*)?")
"""`mongod.log`, and `mongod.log.2026-01-31T12-00-00` after a rotation."""

_SERVER_LOG: Final = re.compile(r"mongo[ds]\b.*\.log.*|mongo[ds]\.log.*")
_CORE: Final = re.compile(r"core([.-].*)?|.*\.core|.*\.mdmp")
_ELF: Final = b"\x7fELF"
_MINIDUMP: Final = b"MDMP"
_NO_NODES: Final = frozenset({"logs", "log", "data", "dbs", "diagnostic.data"})
"""Folders that hooks fetch into, as `retrieve_files` of the defaults does: the third part of a path is no node then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file or folder that was fetched from a host: `<test>/<host>/<node>/…`.

    `file` is its path in the reports folder; the rest is None where the path doesn't say it: somebody may have put
    logs together by hand.
    """

    path: Path
    file: str
    test: str | None = None
    host: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """All that was fetched, in the order of paths. `hosts` has each folder that a host has in a test's."""

    logs: tuple[Source, ...] = ()
    cores: tuple[Source, ...] = ()
    diagnostics: tuple[Source, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


def read_folder(reports: Path) -> Folder:
    """Look through a reports folder. Links are not followed.

    Raises:
        OSError: it can't be read.
    """
    sources = list(_sources(reports))
    files = [one for one in sources if one.path.is_file()]
    return Folder(
        logs=tuple(one for one in files if _is_log(one)),
        cores=tuple(one for one in files if _is_core(one.path)),
        diagnostics=tuple(one for one in sources if one.path.is_dir() and one.path.name == "diagnostic.data"),
        hosts=tuple(dict.fromkeys((one.test, one.host) for one in sources if one.test and one.host)),
    )


def _sources(reports: Path) -> Iterator[Source]:
    def fail(problem: OSError) -> None:
        raise problem

    for top, folders, files in os.walk(reports, onerror=fail):
        folders.sort()
        for name in sorted((*files, *folders)):
            path = Path(top) / name
            if not path.is_symlink():
                yield _source(path, path.relative_to(reports).parts)


def _source(path: Path, parts: tuple[str, ...]) -> Source:
    *around, _ = parts
    test, host, node = (*around, None, None, None)[:3]
    return Source(path=path, file="/".join(parts), test=test, host=host, node=None if node in _NO_NODES else node)


def _is_log(source: Source) -> bool:
    name = plain_name(source.path)
    if _SERVER_LOG.fullmatch(name):
        return True
    return source.host is not None and bool(_LOG.fullmatch(name)) and looks_like_a_log(source.path)


def _is_core(path: Path) -> bool:
    """Tell whether it is a core file, also an empty one: by its name and first bytes, since `core.csv` is none."""
    if not _CORE.fullmatch(plain_name(path)):
        return False
    try:
        with open_plain(path) as file:
            head = file.read1(4)
    except BROKEN:
        return True
    return head in (_ELF, _MINIDUMP, b"")
