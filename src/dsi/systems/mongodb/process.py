"""The process of a node on its host: start it, find it again, wait until it is gone, end it.

All of it is shell text for the host's bash, and needs nothing else there but setsid (util-linux). A process is known by
its pid and its start time, so that no other process is ever taken for it.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dsi.errors import CommandFailed
from dsi.hosts.base import Host

_FUNCTIONS = r"""
# These are asked a hundred times a second, so they start no process, not even a subshell: the answer is in a variable.

# `started`: the start time of a process, in clock ticks since boot: field 22 of /proc/PID/stat, see proc(5), and so the
# 20th behind the name in brackets, which may have blanks in it; empty if the process is gone. A zombie without threads
# is gone; one whose threads still run is not: they hold the port.
look() {
    local line threads folder=/proc/$1
    started=
    { read -r line < "$folder/stat"; } 2>/dev/null || return 0
    set -- ${line##*) }
    if [ "$1" = Z ]; then threads=("$folder/task"/*); [ "${#threads[@]}" -gt 1 ] || return 0; fi
    started=${20}
}
runs() { look "$1"; [ -n "$started" ] && [ "$started" = "$2" ]; }

# Waiting without starting a process for it.
exec {never}<> <(:)
pause() { read -rt "$1" -u "$never" || :; }

listens() { { : <> "/dev/tcp/$1/$2"; } 2>/dev/null; }
limit() { give_up=$(( ${EPOCHREALTIME/[.,]/} + $1 * 1000 )); }
is_late() { [ "${EPOCHREALTIME/[.,]/}" -ge "$give_up" ]; }
"""


def script(text: str, *arguments: object) -> str:
    """Put shell text together: the functions that processes are looked at with, its arguments, itself."""
    return f"{_FUNCTIONS}set -- {shlex.join(map(str, arguments))}\n{text}"


_LAUNCH = r"""
log_folder=$1 name=$2 address=$3 port=$4 limit_ms=$5; shift 5
pid_file=$log_folder/$name.pid exit_file=$log_folder/$name.exit out_file=$log_folder/$name.out
if listens "$address" "$port"; then
    echo taken
    exit
fi
rm -f "$exit_file" "$pid_file"
# In a session of its own the node outlives this shell, the connection and dsi. Its parent stays with it to keep its
# exit status, which nobody else is told.
read -r pid start < <(
    setsid bash -c '
        pid_file=$1 exit_file=$2 out_file=$3; shift 3
        "$@" > "$out_file" 2>&1 < /dev/null &
        pid=$!
        # As `look`, which this bash does not have: handed down, it would be in the environment of the server.
        { read -r line < "/proc/$pid/stat"; } && set -- ${line##*) }
        echo "$pid ${20}" > "$pid_file"
        echo "$pid ${20}"
        exec > /dev/null
        wait "$pid"
        echo $? > "$exit_file.new"
        mv "$exit_file.new" "$exit_file"
    ' node "$pid_file" "$exit_file" "$out_file" "$@" < /dev/null 2> /dev/null {never}>&-
)
[ -n "$pid" ] || { echo "setsid could not be started (package util-linux)" >&2; exit 127; }
limit "$limit_ms"
until listens "$address" "$port"; do
    if ! runs "$pid" "$start"; then
        for _ in {1..50}; do [ -e "$exit_file" ] && break; pause 0.01; done
        echo "ended $(cat "$exit_file" 2>/dev/null)"
        exit
    fi
    if is_late; then echo "slow $pid $start"; exit; fi
    pause 0.01
done
echo "up $pid $start"
"""

_END = r"""
if runs "$2" "$3"; then exit; fi
for _ in {1..50}; do [ -e "$1" ] && break; pause 0.01; done
echo "ended $(cat "$1" 2>/dev/null)"
"""

_WAIT = r"""
pid=$1 start=$2
limit "$3"
while runs "$pid" "$start"; do
    if is_late; then echo there; exit; fi
    pause 0.01
done
echo gone
"""

_SIGNAL = r"""
if runs "$2" "$3"; then kill -s "$1" "$2" || :; fi
"""

_FIND = r"""
lock=$1 pid_file=$2 pid=$3 start=$4
if [ -z "$pid" ]; then read -r pid start < "$pid_file" || :; fi
[ -n "$pid" ] && runs "$pid" "$start" || { echo gone; exit; }
[ -z "$lock" ] || read -r locked < "$lock" || :
if [ "${locked:-$pid}" = "$pid" ]; then echo "up $pid $start"; else echo "other $pid $locked"; fi
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a host: nothing else there has both this pid and this start time (clock ticks since boot)."""

    pid: int
    start: int


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Why a launched program doesn't listen. `reason`: `taken`: somebody else does;
    `ended`: it ended (`exit_status`; None: not known); `slow`: it runs (`process`), but took too long; `died`: as
    `ended`, but it had listened.
    """

    reason: Literal["taken", "ended", "slow", "died"]
    exit_status: int | None = None
    process: Process | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """Where the process of a node leaves its traces: `FOLDER/NAME.pid`, `.exit`, `.out`; `lock` is its mongod.lock.

    A mongos has no `lock`: its pid and start time must do.
    """

    folder: str
    name: str
    lock: str | None

    @property
    def pid(self) -> str:
        """PID and start time."""
        return f"{self.folder}/{self.name}.pid"

    @property
    def out(self) -> str:
        """What it wrote to standard output and standard error."""
        return f"{self.folder}/{self.name}.out"

    @property
    def exit(self) -> str:
        """Its exit status, once it has ended."""
        return f"{self.folder}/{self.name}.exit"


async def launch(
    host: Host, command: Sequence[str], files: Files, *, address: str, port: int, limit_ms: int
) -> Process | NotStarted:
    """Start a program in a session of its own, and wait until it listens on a port, or has ended.

    Raises:
        CommandFailed: the host's shell could not even try.
    """
    done = await host.run(script(_LAUNCH, files.folder, files.name, address, port, limit_ms, *command))
    word, *numbers = done.stdout.split()
    match word:
        case "up":
            return Process(*map(int, numbers))
        case "taken":
            return NotStarted("taken")
        case "slow":
            return NotStarted("slow", process=Process(*map(int, numbers)))
        case _:
            return NotStarted("ended", exit_status=int(numbers[0]) if numbers else None)


async def death(host: Host, files: Files, process: Process) -> NotStarted | None:
    """See whether the program that was launched last has ended since; None: it runs."""
    done = await host.run(script(_END, files.exit, process.pid, process.start))
    words = done.stdout.split()
    return NotStarted("died", exit_status=int(words[1]) if words[1:] else None) if words else None


async def is_gone(host: Host, process: Process, *, within_ms: float) -> bool:
    """Wait until a process, with all its threads, is gone; give whether it is, after that long at most."""
    done = await host.run(script(_WAIT, process.pid, process.start, int(within_ms)))
    return done.stdout.strip() == "gone"


async def signal(host: Host, process: Process, name: str) -> None:
    """Send a signal (`TERM`) to this process, and to no other that may have got its pid meanwhile."""
    await host.run(script(_SIGNAL, name, process.pid, process.start))


async def find(host: Host, files: Files, process: Process | None) -> Process | None:
    """Find a process that was started before: by pid and start time, which `mongod.lock` must agree with.

    `process` None: what the pid file on the host says, for one whose start was cut short.
    """
    known = ("", "") if process is None else (process.pid, process.start)
    try:
        done = await host.run(script(_FIND, files.lock or "", files.pid, *known))
    except CommandFailed:
        return None
    word, *numbers = done.stdout.split()
    return Process(*map(int, numbers)) if word == "up" else None
