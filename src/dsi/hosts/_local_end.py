"""Finding local hosts and ending them: who is it, does it live, and is nothing left of it."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dsi import clock
from dsi.errors import HostError, HostUnreachable
from dsi.hosts._local_process import CHECK_S, closed_by, connect_to_init, readable

END_S: Final = 10.0
"""How long the end of a host may take; the kernel needs milliseconds."""

MARK: Final = "DSI_LOCAL_HOST"
"""In the environment of what runs on a host without a namespace: how it is found when the first process was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHostRecord:
    """What must be kept of a local host to find it again; all JSON: `asdict(record)`, `LocalHostRecord(**mapping)`.

    `pid` is its first process as seen from here, `start_time` that one's start in clock ticks since the boot
    (proc(5), /proc/PID/stat): both together are never another process. `isolated`: it has a PID namespace of its own,
    and with `user_namespace` one of those around it.
    """

    name: str
    address: str
    home: str
    pid: int
    start_time: int
    isolated: bool
    user_namespace: bool


def is_alive(record: LocalHostRecord) -> bool:
    """Tell whether this very host still lives (its pid may have gone to another process: after a reboot, say)."""
    return start_time_of(record.pid) == record.start_time


async def end_local_hosts(records: Sequence[LocalHostRecord]) -> None:
    """End hosts with all their processes; returns when they are gone. Those that have ended already are fine.

    Raises:
        HostError: one belongs to another user.
    """
    await asyncio.gather(*(_end(record.name, record.pid, record.start_time) for record in records))
    await _end_in_folders([Path(record.home).parent for record in records if not record.isolated])


async def end_local_hosts_in(folder: Path) -> None:
    """End whatever local hosts live in the folders of this one (`.dsi/hosts`), also those that no record tells of.

    Raises:
        HostError: one belongs to another user.
    """
    await end_in(folders_in(Path.cwd() / folder))


def environment_mark(record: LocalHostRecord) -> dict[str, str]:
    """Give what the environment of a host's commands must hold so that they can be found."""
    return {} if record.isolated else {MARK: str(Path(record.home).parent)}


def start_time_of(pid: int) -> int | None:
    """Give when a process was started; None: there is none, or just its zombie."""
    try:
        # The name, in parentheses, may hold anything. Fields: proc(5), /proc/PID/stat.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


async def end_in(folders: Sequence[Path]) -> None:
    """End the hosts that live in these folders, whoever started them."""
    await asyncio.gather(*(_end_listening(folder) for folder in folders))
    await _end_in_folders(folders)


async def _end_listening(folder: Path) -> None:
    try:
        with await connect_to_init(folder.name, folder) as connection:
            pid = peer(connection)
    except HostUnreachable:
        return
    start_time = start_time_of(pid)
    if start_time is not None:
        await _end(folder.name, pid, start_time)


async def _end(name: str, pid: int, start_time: int) -> None:
    """End a host's first process, and with it all others; returns when they are gone."""
    with ExitStack() as stack:
        try:
            init = closed_by(stack, os.pidfd_open(pid))
            # Looked at only now, when the pidfd makes sure that it stays the same process.
            if start_time_of(pid) != start_time:
                return
            above = _unshare_above(pid)
            unshare = None if above is None else closed_by(stack, os.pidfd_open(above))
            await _signal_until_gone(name, init, _ending_signals(pid))
            if above is not None and unshare is not None:
                await readable(unshare)
                _reap(above)
        except ProcessLookupError:
            return  # it has just ended by itself
        finally:
            _reap(pid)


async def _signal_until_gone(name: str, pidfd: int, signals: Sequence[signal.Signals]) -> None:
    for number in signals:
        try:
            signal.pidfd_send_signal(pidfd, number)
        except PermissionError as problem:
            raise HostError(
                name, "the local host belongs to another user: end it as that user, or as root"
            ) from problem
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                return await readable(pidfd)
    raise HostError(name, f"the local host doesn't end, though it was sent {signals[-1].name} {END_S:g} s ago")


def _ending_signals(pid: int) -> list[signal.Signals]:
    """Give what ends a first process with all others: the kernel in a namespace (pid_namespaces(7)), else itself."""
    # NSpid (proc(5)) has one number for each namespace that the process is in, from ours on.
    numbers = _status(pid, "NSpid").split()
    return [signal.SIGKILL] if len(numbers) > 1 else [signal.SIGTERM, signal.SIGKILL]


def _unshare_above(pid: int) -> int | None:
    """Give the pid of the `unshare` that waits for this first process; it ends just after it."""
    parent = int(_status(pid, "PPid") or 0)
    return parent if _status(parent, "Name") == "unshare" else None


def _status(pid: int, field: str) -> str:
    """Give a line of /proc/PID/status; empty if there is none."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.strip()
    return ""


def _reap(pid: int) -> None:
    """Reap it if it is our child; who started it may have been another dsi."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


async def kill_child(pid: int) -> None:
    """Kill and reap a child that has just been started; `unshare --kill-child` passes it on."""
    with ExitStack() as stack:
        pidfd = closed_by(stack, os.pidfd_open(pid))
        os.kill(pid, signal.SIGKILL)
        await readable(pidfd)
    _reap(pid)


async def end_processes_with(variable: str, value: str) -> None:
    """Kill the processes of this machine that have this in their environment, and that we may kill."""
    await _end_marked({f"{variable}={value}".encode()})


async def _end_in_folders(folders: Sequence[Path]) -> None:
    """Kill what is left of hosts without a namespace whose first process was killed."""
    await _end_marked({f"{MARK}={folder}".encode() for folder in folders})


async def _end_marked(marks: set[bytes]) -> None:
    give_up_s = clock.SYSTEM.monotonic_s() + END_S
    while marks and (pids := _marked(marks)) and clock.SYSTEM.monotonic_s() < give_up_s:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(CHECK_S)


def _marked(marks: set[bytes]) -> list[int]:
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # another user's, or just gone
            if not marks.isdisjoint(environment.read_bytes().split(b"\0")):
                found.append(int(environment.parent.name))
    return found


def peer(connection: socket.socket) -> int:
    """Give the pid of who listens at the other end (unix(7), SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def folders_in(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
