"""The first process of a local host: starts commands for dsi, reaps what they leave, and ends with all of them.

It runs by itself (`python -I -S local_init.py OPTIONS`, standard library alone), as PID 1 of the host's own PID
namespace, or where that can't be had as a "child subreaper" (prctl(2)), which every orphan among its descendants is
handed to. A process that nobody reaps would stay as a zombie, and a second `pkill mongod` would find the dead one.

dsi connects to `init.sock` in the host's folder, once per command, and sends one byte with five file descriptors: the
request (a memfd with JSON: `folder`, `environment`, `terminal`, `grace_s`), the script (a memfd), stdin, stdout,
stderr. When bash has ended, it gets one line of JSON back, `{"exit_status": N}` or `{"error": "…"}`. When dsi closes
its side before (or dies), the command is ended with its session, and the line comes when nothing of that is left.
"""

# ruff: noqa: PTH108, PTH123, PTH208
# Each host starts a Python with this file: it does without pathlib, which takes long to import.

import array
import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Set

SOCKET = "init.sock"
REQUEST_FDS = 5
SCRIPT_FD = 9

RUN_SCRIPT = f'cd -- "$1" && shift && eval "$(</dev/fd/{SCRIPT_FD})" {SCRIPT_FD}<&-'
"""What bash is told to do: the script itself comes in a file descriptor, since everybody can read a command line.
stdin stays free for the script, and `$$` and `$0` are what they are under `bash -c`."""

CHECK_S = 0.02
"""How often it is looked whether a session that is being ended is gone."""

IDLE_S = 5.0
"""How often it is looked whether the host's folder is still there: nobody can find a host without one to end it."""

GIVE_UP_S = 10.0
"""How long processes that SIGKILL doesn't end, or that we may not signal, are tried again."""

PR_SET_CHILD_SUBREAPER = 36


# --- dsi's own process uses these too, for commands on this machine itself --------------------------------------------


def spawn_bash(
    folder: str, environment: Mapping[str, str], script: int, outlets: tuple[int, int, int], terminal: str | None
) -> int:
    """Start bash in a session of its own. Gives its pid, which is also the session's and the group's.

    `script` is a file descriptor to read it from, `outlets` are stdin, stdout and stderr. With `terminal` (the path of
    a tty) all three are that, and it controls the session. Raises OSError (no bash, too large an environment …).
    """
    if terminal is None:
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(outlets)]
    else:
        # The first terminal that a session opens controls it (tty_ioctl(4)).
        actions = [(os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
    return os.posix_spawnp(
        "bash",
        ["bash", "-c", RUN_SCRIPT, "bash", folder],
        environment,
        file_actions=[*actions, (os.POSIX_SPAWN_DUP2, script, SCRIPT_FD)],
        setsid=True,
        setsigmask=[],
        # Python ignores the first two, we the third; what is ignored would stay so in bash and all its children.
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT],
    )


def shell_status(wait_status: int) -> int:
    """Give the exit status as bash would: 128 + N for a process that signal N ended."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def processes() -> Iterator[tuple[int, int, int, int]]:
    """Give (pid, parent, group, session) of all processes that can be seen, zombies left out."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                # The name, in parentheses, may hold anything.
                fields = file.read().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    yield int(entry), int(fields[1]), int(fields[2]), int(fields[3])


def signal_session(session: int, number: int) -> bool:
    """Send a signal (0: none) to every process group of a session. Gives whether anybody was there.

    Not to the first group alone: `timeout 60 ./bench` makes a group of its own.
    """
    groups = {group for _, _, group, its_session in processes() if its_session == session}
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    return bool(groups)


# --- the process ------------------------------------------------------------------------------------------------------


class Command:
    """One command that runs, and the connection that waits for its end."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.session = 0
        self.grace_s = 0.0
        self.exit_status: int | None = None
        self.kill_at_s: float | None = None

    def start(self, request: int, script: int, stdin: int, stdout: int, stderr: int) -> None:
        """Start what these file descriptors ask for. Raises OSError."""
        with open(request, "rb", closefd=False) as file:
            asked = json.load(file)
        self.grace_s = asked["grace_s"]
        outlets = (stdin, stdout, stderr)
        self.session = spawn_bash(asked["folder"], asked["environment"], script, outlets, asked["terminal"])

    def begin_end(self) -> None:
        """Ask all processes of its session to end."""
        self.kill_at_s = time.monotonic() + self.grace_s
        signal_session(self.session, signal.SIGTERM)

    def has_ended(self) -> bool:
        """Go on with its end: past the grace they are killed. Gives whether none is left."""
        late = self.kill_at_s is not None and time.monotonic() >= self.kill_at_s
        return not signal_session(self.session, signal.SIGKILL if late else 0) and self.exit_status is not None

    def reply(self, **answer: object) -> None:
        """Tell dsi, if it is still there, and be done with it."""
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(answer).encode() + b"\n")
        self.connection.close()


class Init:
    """Waits for connections, for children that end, and for the sign to end itself.

    `owner` is a pidfd: when that process ends, the host does. `folder` is a file descriptor of the host's folder.
    """

    def __init__(self, listener: socket.socket, owner: int | None, folder: int) -> None:
        self.listener = listener
        self.owner = owner
        self.folder = folder
        self.running: dict[int, Command] = {}
        self.ending: list[Command] = []
        self.stopped = False
        self.selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Serve until the owner ends, the folder is deleted, or `stop` is called."""
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.selector.register(self.catch_children(), selectors.EVENT_READ, self.reap)
        if self.owner is not None:
            self.selector.register(self.owner, selectors.EVENT_READ, self.stop)
        while not self.stopped and os.fstat(self.folder).st_nlink > 0:
            for key, _ in self.selector.select(CHECK_S if self.ending else IDLE_S):
                key.data(key.fileobj)
            self.go_on_ending()

    def stop(self, *_: object) -> None:
        """Leave `serve` at the next occasion."""
        self.stopped = True

    def catch_children(self) -> socket.socket:
        """Give a socket that becomes readable when a child has ended (or another signal has come)."""
        readable, woken = socket.socketpair()
        readable.setblocking(False)
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return readable

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; its request is read when it comes."""
        with contextlib.suppress(OSError):  # out of file descriptors: it waits in the queue
            connection, _ = listener.accept()
            self.selector.register(connection, selectors.EVENT_READ, self.receive)

    def receive(self, connection: socket.socket) -> None:
        """Start what a new connection asks for."""
        self.selector.unregister(connection)
        command = Command(connection)
        fds: list[int] = []
        try:
            fds = receive_fds(connection)
            if len(fds) < REQUEST_FDS:
                raise OSError("the host's first process has too many files open, or was sent too few")
            command.start(*fds)
        except OSError as problem:
            command.reply(error=str(problem))
            return
        finally:
            for fd in fds:
                os.close(fd)
        self.running[command.session] = command
        self.selector.register(connection, selectors.EVENT_READ, lambda _: self.end(command))

    def end(self, command: Command) -> None:
        """End a command: dsi has closed its side."""
        if command.exit_status is None:  # else it has ended by itself since we woke up
            self.selector.unregister(command.connection)
            command.begin_end()
            self.ending.append(command)

    def go_on_ending(self) -> None:
        """Look after the commands that are being ended."""
        for command in [command for command in self.ending if command.has_ended()]:
            self.ending.remove(command)
            command.reply(exit_status=command.exit_status)

    def reap(self, woken: socket.socket) -> None:
        """Reap every child that has ended, commands and orphans alike."""
        with contextlib.suppress(BlockingIOError):
            woken.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid in self.running:
                    self.finish(self.running.pop(pid), shell_status(status))

    def finish(self, command: Command, exit_status: int) -> None:
        """Take note that bash has ended. What it left in the background goes on, unless the command is being ended."""
        command.exit_status = exit_status
        if command.kill_at_s is None:
            self.selector.unregister(command.connection)
            command.reply(exit_status=exit_status)


def receive_fds(connection: socket.socket) -> list[int]:
    """Receive a request. (Python 3.11's `socket.recv_fds` ignores its flags: children would inherit these.)"""
    fds = array.array("i")
    room = socket.CMSG_SPACE(REQUEST_FDS * fds.itemsize)
    _, ancillary, _, _ = connection.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return fds.tolist()


def end_descendants() -> None:
    """Kill and reap all descendants: without a namespace nobody else does. Returns when none is left."""
    give_up_s = time.monotonic() + GIVE_UP_S
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < give_up_s:
            parents = {pid: parent for pid, parent, _, _ in processes()}
            for pid in parents:
                if _descends(pid, parents):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(CHECK_S)


def _descends(pid: int, parents: Mapping[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == os.getpid():
            return True
    return False


def listen() -> socket.socket:
    """Listen in the current folder: a path from the root might be longer than the 107 bytes of unix(7)."""
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET)
    listener.bind(SOCKET)
    listener.listen(1024)
    return listener


def keep_only(kept: Set[int | None]) -> None:
    """Close whatever dsi itself inherited (somebody may wait for the end of a pipe), and hand these to no child."""
    for fd in [int(entry) for entry in os.listdir("/proc/self/fd")]:
        if fd in kept:
            os.set_inheritable(fd, False)
        elif fd > 2:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(fd)


def say_ready() -> None:
    """Tell dsi, which reads our stdout up to here; it has no reader later."""
    os.write(1, b"ready\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.close(null)


def main(folder: str, *, namespace: bool, claim: int, owner: int | None) -> None:
    """Be the first process of the host in this folder.

    `namespace`: we are PID 1 of one. `claim`: a file descriptor to hold as long as the host lives. `owner`: see `Init`.
    """
    keep_only({claim, owner} - {None})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(folder)
    init = Init(listen(), owner, os.open(".", os.O_PATH))
    # PID 1 of a namespace gets from inside it only the signals that it handles: none, then.
    if not namespace:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGTERM, init.stop)
        signal.signal(signal.SIGHUP, init.stop)
    say_ready()
    try:
        init.serve()
    finally:
        if not namespace:
            end_descendants()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
