"""A node's folders on its host: making them, and deleting in them what is meant to be deleted, and nothing else."""

import posixpath
import shlex
from collections.abc import Sequence

from dsi.hosts.base import Host
from dsi.systems.mongodb.layout import JOURNAL_OF
from dsi.systems.mongodb.room import SEIZE

_CLEAN_DATA = r"""
folder=$(realpath -m -- "$1")
case "$(realpath -m -- "$HOME")/" in "${folder%/}"/*)
    echo "storage.dbPath $1 is $folder, which has the home folder in it: nothing was deleted" >&2; exit 1;;
esac
if [ -n "$(ls -A "$folder" 2>/dev/null)" ]; then
    # A server makes these before anything else; whatever has none of them is somebody's own.
    for sign in mongod.lock storage.bson WiredTiger diagnostic.data journal; do
        { [ -e "$folder/$sign" ] || [ -L "$folder/$sign" ]; } && found=$sign
    done
    if [ -z "${found:-}" ]; then
        echo "storage.dbPath $1 ($folder) holds no server's files: nothing was deleted; empty it, or name another" >&2
        exit 1
    fi
    seize "$folder/mongod.lock"
    if [ -n "$holder" ]; then
        echo "storage.dbPath $1 ($folder) is in use by $holder: nothing was deleted" >&2
        exit 1
    fi
    # The file of the lock stays: a server that begins now would make itself another one, and be deleted with the rest.
    find "$folder/" -mindepth 1 -maxdepth 1 ! -name diagnostic.data ! -name mongod.lock -exec rm -rf -- {} +
    [ ! -e "$folder/mongod.lock" ] || : > "$folder/mongod.lock" # with a pid in it, it speaks of a crash
fi
"""

_CLEAN_LOGS = r"""
log=$1 data=$2
# The log, and those that the server has put aside: mongod.log.2026-01-31T12-00-00.
rm -f -- "$log" "$log".[0-9]*
rm -rf -- "$data/diagnostic.data" "${log%.*}.diagnostic.data" # a mongos has it beside its log
# Core dumps lie where the server ran (the home folder) or where core_pattern and its own handlers put them.
for folder in . "$(dirname -- "$log")" "$data"; do
    find "$folder/" -maxdepth 1 -type f \( -name core -o -name 'core.[0-9]*' -o -name '*.mdmp' \) -delete || :
done
"""

_CLEAN_JOURNAL = r"""
if [ -d "$1" ]; then find "$1/" -mindepth 1 -maxdepth 1 -type f -name 'WiredTiger*[Ll]og.*' -delete; fi
"""

_LINK_JOURNAL = r"""
mkdir -p -- "$2"
link=$1/journal journal=$(realpath -- "$2")
if [ "$(realpath -m -- "$link")" != "$journal" ]; then
    # An empty folder may go; a journal without its data, and data without its journal, are worth nothing.
    if [ -L "$link" ] || { [ -e "$link" ] && ! rmdir -- "$link" 2>/dev/null; }; then
        echo "$link is a journal already, at $(realpath -m -- "$link"), and journal_dir says $journal: nothing was" \
            "changed; write clean_db_dir: true once, or move the journal there yourself" >&2
        exit 1
    fi
    ln -s -- "$journal" "$link"
fi
ln -sfn -- "$(realpath -- "$1")" "$journal/@DATA@" # whose it is
""".replace("@DATA@", JOURNAL_OF)

_TAIL = r"""
file=$1 lines=$2 since=$3
if [ -s "$file" ] && ! [ "$file" -ot "$since" ]; then tail -n "$lines" -- "$file"; fi
"""


async def make(host: Host, folders: Sequence[str]) -> None:
    """Make folders, with their parents; those that are there stay as they are.

    Raises:
        CommandFailed
    """
    await host.run(f"mkdir -p -- {shlex.join(folders)}")


async def clean_data(host: Host, db_path: str) -> None:
    """Empty a data folder, but for its diagnostic data.

    Raises:
        CommandFailed: the folder holds the home folder, or is no server's data folder, or a server lives in it; nothing
            is deleted then.
    """
    await host.run(f"set -- {shlex.quote(db_path)}\n{SEIZE}{_CLEAN_DATA}")


async def clean_journal(host: Host, journal: str) -> None:
    """Delete the journal's files in a folder outside the data folder; what else lies there stays.

    Raises:
        CommandFailed
    """
    await host.run(f"set -- {shlex.quote(journal)}\n{_CLEAN_JOURNAL}")


async def link_journal(host: Host, db_path: str, journal: str) -> None:
    """Have the data folder's `journal` lie in a folder elsewhere, by a symbolic link; both are made if need be.

    Raises:
        CommandFailed: the data folder has a journal already that lies elsewhere.
    """
    await host.run(f"set -- {shlex.join([db_path, journal])}\n{_LINK_JOURNAL}")


async def clean_logs(host: Host, log_path: str, db_path: str) -> None:
    """Delete a server's log files, core dumps and diagnostic data.

    Raises:
        CommandFailed
    """
    await host.run(f"set -- {shlex.join([log_path, db_path])}\n{_CLEAN_LOGS}")


async def remove_file(host: Host, path: str) -> None:
    """Remove a file that dsi has put there, and its folder, if that is empty then. One that is gone is no error.

    Raises:
        CommandFailed
    """
    await host.run(f"rm -f -- {shlex.quote(path)}; rmdir -- {shlex.quote(posixpath.dirname(path))} 2>/dev/null || :")


async def tail(host: Host, file: str, *, lines: int, written_since: str = "") -> list[str]:
    """Give the last lines of a file; none if it isn't there, or is older than the file `written_since`."""
    done = await host.run(f"set -- {shlex.join([file, str(lines), written_since])}\n{_TAIL}", check=False)
    return done.stdout.splitlines()
