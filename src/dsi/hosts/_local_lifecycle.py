"""Making, finding and ending local hosts: the first process of each (`local_init`), its namespaces, its address."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from dsi import clock
from dsi.errors import HostError, HostUnreachable, Preflight
from dsi.hosts import local_init
from dsi.hosts._local_process import CHECK_S, OutputEnd, connect_to_init, readable

_log = structlog.get_logger(__name__)

UNSHARE: Final = ("unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc")
USER_NAMESPACES: Final = (("--user", "--map-current-user"), ("--user", "--map-root-user"))

BLOCKS: Final = range(2, 255)
"""127.0.N.M: 127.0.0.1 is everybody's, and Debian gives the machine's own name 127.0.1.1."""

LOG: Final = "init.log"
"""In the host's folder: what its first process had to say."""

MOST_HOSTS: Final = 254
START_S: Final = 20.0
END_S: Final = 10.0

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


async def start_local_hosts(
    names: Sequence[str], folder: Path, *, tied: bool, isolate: bool = True
) -> list[LocalHostRecord]:
    """Start a local host for each name, all at once. What still lives in their folders is ended before.

    `folder` is the work directory's `.dsi/hosts`; each host gets `folder/NAME`, with its `home` in it. `tied`: the
    hosts end when this process ends, however it ends; else they live until `end_local_hosts`, or until their folder is
    deleted. Where PID namespaces can't be had, there is one warning; with `isolate` false they aren't even tried.

    Raises:
        Preflight: no address is left for them.
        HostError: one couldn't start, and the others have been ended.
    """
    folder = _absolute(folder)
    unshare = await _unshare_argv() if isolate else []
    await _end_in([old for old in _folders_in(folder) if old.name in names])
    with ExitStack() as stack:
        block, claim = _claim_block(len(names), stack)
        options: dict[str, object] = {"namespace": bool(unshare), "claim": claim, "owner": None}
        if tied:
            options["owner"] = _closed_by(stack, os.pidfd_open(os.getpid()))
        return await _all_or_none(
            [_start(name, folder / name, f"127.0.{block}.{n}", unshare, options) for n, name in enumerate(names, 1)]
        )


def is_alive(record: LocalHostRecord) -> bool:
    """Tell whether this very host still lives (its pid may have gone to another process: after a reboot, say)."""
    return _start_time(record.pid) == record.start_time


async def end_local_hosts(records: Sequence[LocalHostRecord]) -> None:
    """End hosts with all their processes; returns when they are gone. Those that have ended already are fine.

    Raises:
        HostError: one belongs to another user.
    """
    await asyncio.gather(*(_end(record.name, record.pid, record.start_time) for record in records))
    await _end_marked([Path(record.home).parent for record in records if not record.isolated])


async def end_local_hosts_in(folder: Path) -> None:
    """End whatever local hosts live in the folders of this one (`.dsi/hosts`), also those that no record tells of.

    Raises:
        HostError: one belongs to another user.
    """
    await _end_in(_folders_in(_absolute(folder)))


def conn_argv(record: LocalHostRecord) -> list[str]:
    """Give the command line that opens an interactive shell in the host's home folder."""
    user = ["--user", "--preserve-credentials"] if record.user_namespace else []
    # Without --mount one would see this machine's /proc.
    enter = ["nsenter", "--target", str(record.pid), *user, "--pid", "--mount"] if record.isolated else []
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return [*enter, "env", f"HOME={record.home}", f"PATH={path}", "bash", "-c", "cd && exec bash -i"]


def environment_mark(record: LocalHostRecord) -> dict[str, str]:
    """Give what the environment of a host's commands must hold so that they can be found."""
    return {} if record.isolated else {MARK: str(Path(record.home).parent)}


# --- starting ---------------------------------------------------------------------------------------------------------


async def _unshare_argv() -> list[str]:
    """Give the command line that makes the namespaces; empty: they can't be had. Tried, since nothing else tells."""
    problem = ""
    for user_namespace in ((), USER_NAMESPACES[1]) if os.geteuid() == 0 else USER_NAMESPACES:
        # As root without a user namespace, if possible: inside one, the folders of other users can't be read.
        argv = [*UNSHARE, *user_namespace]
        try:
            trial = await asyncio.create_subprocess_exec(
                *argv, "true", stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
        except FileNotFoundError:
            problem = "no unshare (package util-linux)"
            break
        _, stderr = await trial.communicate()
        if trial.returncode == 0:
            return argv
        problem = stderr.decode(errors="replace").strip()
    _log.warning("no PID namespaces here: `pkill` on a local host reaches every process of this user", problem=problem)
    return []


def _claim_block(hosts: int, stack: ExitStack) -> tuple[int, int]:
    """Give N of 127.0.N.*, and the file descriptor that keeps it ours wherever it is open.

    The claim is an abstract Unix socket (unix(7)): atomic, gone with its last holder, and seen by all who share this
    loopback.
    """
    if hosts > MOST_HOSTS:
        raise Preflight(f"{hosts} local hosts: there are addresses for {MOST_HOSTS}")
    for block in BLOCKS:
        claim = stack.enter_context(socket.socket(socket.AF_UNIX))
        try:
            claim.bind(f"\0dsi/127.0.{block}")
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise
        else:
            _try_address(f"127.0.{block}.1")
            return block, claim.fileno()
    raise Preflight("all of 127.0.2.* to 127.0.254.* is taken by other local hosts: end some (`dsi teardown`)")


def _try_address(address: str) -> None:
    with socket.socket() as trial:
        try:
            trial.bind((address, 0))
        except OSError as problem:
            raise Preflight(f"local hosts need addresses like {address}, but: {problem.strerror}") from problem


def _absolute(folder: Path) -> Path:
    return folder.absolute()


def _folders_in(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []


def _closed_by(stack: ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


async def _all_or_none(starts: Sequence[Coroutine[Any, Any, LocalHostRecord]]) -> list[LocalHostRecord]:
    tasks: list[asyncio.Task[LocalHostRecord]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(start) for start in starts]
    except BaseException as problem:
        started = [task.result() for task in tasks if not task.cancelled() and task.exception() is None]
        await end_local_hosts(started)
        if isinstance(problem, BaseExceptionGroup):
            raise problem.exceptions[0] from None  # the others were called off because of it
        raise
    return [task.result() for task in tasks]


async def _start(
    name: str, folder: Path, address: str, unshare: Sequence[str], options: Mapping[str, Any]
) -> LocalHostRecord:
    home = folder / "home"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    pid = await _start_init(name, folder, unshare, options)
    start_time = _start_time(pid)
    if start_time is None:
        raise HostError(name, f"the local host ended as soon as it had started: see {folder / LOG}")
    return LocalHostRecord(
        name=name,
        address=address,
        home=str(home),
        pid=pid,
        start_time=start_time,
        isolated=bool(unshare),
        user_namespace="--user" in unshare,
    )


async def _start_init(name: str, folder: Path, unshare: Sequence[str], options: Mapping[str, Any]) -> int:
    """Start the first process, wait until it is ready, and give its pid as seen from here."""
    asked = json.dumps({"folder": str(folder), **options})
    argv = [*unshare, sys.executable, "-I", "-S", local_init.__file__, asked]
    with ExitStack() as ours:
        ready, their_ready = os.pipe()
        _closed_by(ours, ready)
        with ExitStack() as theirs:
            stdin = _closed_by(theirs, os.open(os.devnull, os.O_RDONLY))
            stdout = _closed_by(theirs, their_ready)
            stderr = _closed_by(theirs, os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            kept = [options[key] for key in ("claim", "owner") if options[key] is not None]
            pid = _spawn(name, argv, (stdin, stdout, stderr), kept)
        try:
            async with asyncio.timeout(START_S):
                if not await OutputEnd(ready).read(16):
                    raise HostError(name, f"the local host didn't start: {_log_text(folder)}")
                with await connect_to_init(name, folder) as connection:
                    return _peer(connection)
        except TimeoutError as problem:
            await _kill_child(pid)
            raise HostError(name, f"the local host didn't start within {START_S:g} s: {_log_text(folder)}") from problem
        except BaseException:
            await _kill_child(pid)
            raise


def _spawn(name: str, argv: Sequence[str], outlets: tuple[int, int, int], kept: Sequence[int]) -> int:
    """Start a process in a session of its own, with these file descriptors and no others. Gives its pid.

    Not by asyncio or subprocess: both want to look after the process to its end, and this one may outlive us.
    """
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(outlets)]
    # Duplicated to itself, a file descriptor stays open (posix_spawn_file_actions_adddup2(3)).
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in kept]
    try:
        return os.posix_spawnp(argv[0], list(argv), os.environ, file_actions=actions, setsid=True)
    except OSError as problem:
        raise HostError(name, f"the local host didn't start: {argv[0]}: {problem.strerror}") from problem


def _log_text(folder: Path) -> str:
    return (folder / LOG).read_text(errors="replace").strip() or "it says nothing about why"


def _peer(connection: socket.socket) -> int:
    """Give the pid of who listens at the other end (unix(7), SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


# --- finding and ending -----------------------------------------------------------------------------------------------


def _start_time(pid: int) -> int | None:
    """Give when a process was started; None: there is none, or just its zombie."""
    try:
        # The name, in parentheses, may hold anything. Fields: proc(5), /proc/PID/stat.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


async def _end_in(folders: Sequence[Path]) -> None:
    """End the hosts that live in these folders, whoever started them."""
    await asyncio.gather(*(_end_listening(folder) for folder in folders))
    await _end_marked(folders)


async def _end_listening(folder: Path) -> None:
    try:
        with await connect_to_init(folder.name, folder) as connection:
            pid = _peer(connection)
    except HostUnreachable:
        return
    start_time = _start_time(pid)
    if start_time is not None:
        await _end(folder.name, pid, start_time)


async def _end(name: str, pid: int, start_time: int) -> None:
    """End a host's first process, and with it all others; returns when they are gone."""
    with ExitStack() as stack:
        try:
            init = _closed_by(stack, os.pidfd_open(pid))
            # Looked at only now, when the pidfd makes sure that it stays the same process.
            if _start_time(pid) != start_time:
                return
            above = _unshare_above(pid)
            unshare = None if above is None else _closed_by(stack, os.pidfd_open(above))
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
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.strip()
    return ""


def _reap(pid: int) -> None:
    """Reap it if it is our child; who started it may have been another dsi."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


async def _kill_child(pid: int) -> None:
    """Kill and reap a child that has just been started; `unshare --kill-child` passes it on."""
    with ExitStack() as stack:
        pidfd = _closed_by(stack, os.pidfd_open(pid))
        os.kill(pid, signal.SIGKILL)
        await readable(pidfd)
    _reap(pid)


async def _end_marked(folders: Sequence[Path]) -> None:
    """Kill what is left of hosts without a namespace whose first process was killed."""
    marks = {f"{MARK}={folder}".encode() for folder in folders}
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
