"""Starting local hosts: the first process of each (`local_init`), its namespaces, its address."""

import asyncio
import errno
import json
import os
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import structlog

from dsi.errors import HostError, Preflight
from dsi.hosts import local_init
from dsi.hosts._local_end import LocalHostRecord, end_in, end_local_hosts, folders_in, kill_child, peer, start_time_of
from dsi.hosts._local_process import OutputEnd, closed_by, connect_to_init

_log = structlog.get_logger(__name__)

UNSHARE: Final = ("unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc")
USER_NAMESPACES: Final = (("--user", "--map-current-user"), ("--user", "--map-root-user"))

BLOCKS: Final = range(2, 255)
"""127.0.N.M: 127.0.0.1 is everybody's, and Debian gives the machine's own name 127.0.1.1."""

LOG: Final = "init.log"
"""In the host's folder: what its first process had to say."""

MOST_HOSTS: Final = 254
"""Per work directory: M of 127.0.N.M."""

START_S: Final = 20.0
"""How long a first process may take until it is ready: 30 ms alone, a second where fifty start on two cores."""


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
    folder = Path.cwd() / folder
    unshare = await _unshare_argv() if isolate else []
    await end_in([old for old in folders_in(folder) if old.name in names])
    with ExitStack() as stack:
        block, claim = _claim_block(len(names), stack)
        options: dict[str, object] = {"namespace": bool(unshare), "claim": claim, "owner": None}
        if tied:
            options["owner"] = closed_by(stack, os.pidfd_open(os.getpid()))
        return await _all_or_none(
            [_start(name, folder / name, f"127.0.{block}.{n}", unshare, options) for n, name in enumerate(names, 1)]
        )


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
    start_time = start_time_of(pid)
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
        closed_by(ours, ready)
        with ExitStack() as theirs:
            stdin = closed_by(theirs, os.open(os.devnull, os.O_RDONLY))
            stdout = closed_by(theirs, their_ready)
            stderr = closed_by(theirs, os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            kept = [options[key] for key in ("claim", "owner") if options[key] is not None]
            pid = _spawn(name, argv, (stdin, stdout, stderr), kept)
        try:
            async with asyncio.timeout(START_S):
                if not await OutputEnd(ready).read(16):
                    raise HostError(name, f"the local host didn't start: {_log_text(folder)}")
                with await connect_to_init(name, folder) as connection:
                    return peer(connection)
        except TimeoutError as problem:
            await kill_child(pid)
            raise HostError(name, f"the local host didn't start within {START_S:g} s: {_log_text(folder)}") from problem
        except BaseException:
            await kill_child(pid)
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
    return (folder / LOG).read_text(encoding="utf-8", errors="replace").strip() or "it says nothing about why"
