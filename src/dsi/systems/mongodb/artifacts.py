"""What a node leaves on its host that is worth keeping, and which of it is new since it was last looked at.

A log is known again by how it begins, and not by its name: it may have been put aside (`mongod.log.2026-…`), or
deleted, with the next one in its place. Everything else is new if its size or time has changed. No clock is compared
with another, and a clock that jumps hides nothing.
"""

import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final, Literal

from dsi.hosts.base import Host
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.options import at

Kind = Literal["log", "output", "diagnostic", "core"]

_HEAD_BYTES: Final = 4096
"""By how much of its beginning a log is known: some ten lines, each with its time."""

_LOOKED_AT_BYTES: Final = 1 << 22
"""Some twenty thousand files."""

# Of each file a line: kind, size, time of change, checksum of its head (- where none is needed), path.
_LOOK: Final = r"""
log=$1 diagnostic=$2 output=$3 head_bytes=$4 known_bytes=$5
shopt -s nullglob
tell() { stat -L -c "$1 %s %Y $2 %n" -- "$3"; }
sum() { head -c "$1" -- "$2" | cksum | { read -r sum bytes; echo "$sum,$bytes"; }; }
is_core() { [[ -f $1 && $(head -c 17 -- "$1" | od -An -v -tx1 | tr -d ' \n') == 7f454c46????????????????????????04 ]]; }

if [[ $log ]]; then
    # Those that the server has put aside come first, the oldest at the front.
    for file in "$log".[0-9]* "$log"; do
        if [[ -f $file ]]; then tell log "$(sum "$known_bytes" "$file")" "$file"; fi
    done
    if [[ -f $log ]]; then tell head "$(sum "$head_bytes" "$log")" "$log"; fi
fi
if [[ -s $output ]]; then tell output - "$output"; fi
if [[ -d $diagnostic ]]; then
    tell folder - "$diagnostic"
    for file in "$diagnostic"/metrics.*; do tell diagnostic - "$file"; done
fi
# Core files lie where the server ran (the home folder) or where core_pattern, see core(5), puts them.
cores=(core core.[0-9]*)
for folder in "${log:-.}" "${diagnostic:-.}"; do cores+=("${folder%/*}"/core "${folder%/*}"/core.[0-9]*); done
IFS= read -r pattern < /proc/sys/kernel/core_pattern
if [[ $pattern != '|'* ]]; then
    IFS=
    cores+=(${pattern//%?/*} ${pattern//%?/*}.[0-9]*)
fi
for file in "${cores[@]}"; do
    if is_core "$file"; then tell core - "$(realpath -- "$file")"; fi
done
exit 0
"""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a node, or the part of it from `first_byte` on, which is what is new.

    `name` is what it is called where it is kept, `path` where it lies on the host.
    """

    kind: Kind
    name: str
    path: str
    first_byte: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Seen:
    path: str
    size_bytes: int
    changed_s: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where a node's files lie on its host. `log` and `diagnostic`: None where there are none."""

    program: str
    log: str | None
    diagnostic: str | None
    output: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a node's files were looked at: those that were there, and the log as it was then."""

    seen: frozenset[_Seen] = frozenset()
    log_head: str = ""
    log_head_bytes: int = 0
    log_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON has."""
        return {**asdict(self), "seen": [astuple(seen) for seen in self.seen]}

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> "Mark":
        """Give what `as_json` was made of."""
        return cls(**{**kept, "seen": frozenset(_Seen(*seen) for seen in kept["seen"])})


NOTHING_SEEN: Final = Mark()


@dataclass(frozen=True, slots=True)
class Left:
    """What a node has left: what is new of it, what is missing (for people), and the mark for the next look."""

    new: tuple[Artifact, ...]
    missing: tuple[str, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class _Found:
    kind: str
    file: _Seen
    head: str


def places_of(node: Node) -> Places:
    """Give where a node's files lie."""
    return Places(node.plan.program, _log_path(node), _diagnostic_path(node), node.layout.files.out)


async def look(node: Node, since: Mark) -> Left:
    """See what a node has left on its host since `since`.

    Raises:
        HostError: the host can't be reached.
        CommandFailed: its shell could not look.
    """
    return await look_at(node.host, places_of(node), since)


async def look_at(host: Host, places: Places, since: Mark) -> Left:
    """The same where the node itself is no longer known.

    Raises:
        HostError, CommandFailed: as `look`.
    """
    arguments = [places.log or "", places.diagnostic or "", places.output, _HEAD_BYTES, since.log_head_bytes]
    script = f"set -- {shlex.join(map(str, arguments))}\n{_LOOK}"
    done = await host.run(script, keep_bytes=_LOOKED_AT_BYTES)
    found = list(dict.fromkeys(_read(line) for line in done.stdout.splitlines()))
    there = {one.file.path for one in found}
    wanted = {"log": places.log, "diagnostic data": places.diagnostic}
    return Left(
        new=tuple(_named(_new(found, since), places)),
        missing=tuple(f"{what}: {path} is not there" for what, path in wanted.items() if path and path not in there),
        mark=_mark(found),
    )


async def first_mark(node: Node) -> Mark:
    """Give the mark for the first test: what lies there is old, but not the present log and diagnostic data.

    In these stands how the server was started, with which options.

    Raises:
        HostError, CommandFailed: as `look`.
    """
    left = await look(node, NOTHING_SEEN)
    present = {_log_path(node), *sorted(new.path for new in left.new if new.kind == "diagnostic")[-2:]}
    return Mark(seen=frozenset(file for file in left.mark.seen if file.path not in present))


def _log_path(node: Node) -> str | None:
    """Give where the log lies; None where it goes to syslog."""
    return None if node.plan.log_path is None else node.layout.log_path


def _diagnostic_path(node: Node) -> str | None:
    """Give where the diagnostic data lie; None where none are collected."""
    config = node.layout.config
    if at(config, "setParameter.diagnosticDataCollectionEnabled") in (False, "false"):
        return None
    if given := at(config, "setParameter.diagnosticDataCollectionDirectoryPath"):
        return str(given)
    if node.layout.db_path is not None:
        return f"{node.layout.db_path}/diagnostic.data"
    return f"{posixpath.splitext(node.layout.log_path)[0]}.diagnostic.data"  # a mongos has it beside its log


def _read(line: str) -> _Found:
    kind, size, changed, head, path = line.split(" ", 4)
    return _Found(kind, _Seen(path, int(size), int(changed)), head)


def _new(found: Iterable[_Found], since: Mark) -> Iterator[tuple[Kind, _Seen, int]]:
    """Yield what is new, and from which byte on."""
    for one in found:
        match one.kind:
            case "log" if (
                since.log_head_bytes and one.head == since.log_head and one.file.size_bytes >= since.log_bytes
            ):
                yield "log", one.file, since.log_bytes
            case "log" | "output" | "diagnostic" | "core" as kind if one.file not in since.seen:
                yield kind, one.file, 0


def _mark(found: Iterable[_Found]) -> Mark:
    seen = frozenset(one.file for one in found)
    for one in found:
        if one.kind == "head":
            return Mark(seen, one.head, int(one.head.partition(",")[2]), one.file.size_bytes)
    return Mark(seen)


def _named(new: Iterable[tuple[Kind, _Seen, int]], places: Places) -> Iterator[Artifact]:
    """Call things by what they are: `mongod.log`, whatever `systemLog.path` is; each name once."""
    taken: set[str] = set()
    for kind, file, first_byte in new:
        name = _name(kind, file.path, places)
        while name in taken:  # core files of two folders, say
            name = f"{name}.other"
        taken.add(name)
        yield Artifact(kind, name, file.path, first_byte, file.size_bytes - first_byte)


def _name(kind: Kind, path: str, places: Places) -> str:
    program = places.program
    match kind:
        case "log":
            return f"{program}.log{path.removeprefix(places.log or '')}"
        case "output":
            return f"{program}.out"
        case "diagnostic":
            return f"diagnostic.data/{posixpath.basename(path)}"
        case "core":
            return posixpath.basename(path)
