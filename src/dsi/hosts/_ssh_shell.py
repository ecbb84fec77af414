"""A kept shell: one SSH session with a bash that runs one command after the other.

A session of its own for each command costs a round trip more, sshd's fork, the login shell and its `~/.bashrc`. A kept
shell pays them once. It is a small loop that forks a fresh bash for each command:

- The command text and its environment go over the session's standard input, ended by a NUL, so that no list of
  processes ever shows them. The fresh bash reads them itself, and is the leader of a process group of its own.
- The fresh bash first reports its pid, which is the process group's; at the end the loop writes a mark to both outputs,
  so that we know each to be complete. The marks are random for each command: no output can be taken for one.
- A process that the command left behind may still hold its outputs, and would write into those of the next command. The
  loop looks for such a process, and says so; that shell isn't used again.
"""

import asyncio
import secrets
import shlex
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncssh

from dsi.hosts._output import BLOCK_BYTES, Output
from dsi.hosts._ssh_connection import WINDOW_BYTES

START_S: Final = 30.0
"""How long the user's login shell and its start files may take."""

NO_PROGRAM: Final = 127
"""The exit status of a shell that should run what isn't there."""

DROPPED_BYTES: Final = 1000
"""How much of what is said outside of any command is kept, for an error's message."""

# Every login shell understands this line, also fish and csh. The rest comes over standard input.
_LINE: Final = """exec bash --norc --noprofile -c 'IFS= read -r -d "" REPLY; eval "$REPLY"'"""

# What the fresh bash does: the prologue, which reads the command into REPLY, then the command.
# LC_ALL=C: in other locales an incomplete character swallows the NUL behind it.
_FRESH: Final = r"""LC_ALL=C IFS= read -r -d "" REPLY <&3; eval "$REPLY"; eval "$REPLY" """

# A terminal as it must be for the command's text to come through; `stty sane` sets it right afterwards.
_COOKED = ("PTY_ECHO", "PTY_ICANON", "PTY_ISIG", "PTY_IEXTEN", "PTY_ICRNL", "PTY_IXON")
_RAW: Final = {getattr(asyncssh, mode): 0 for mode in _COOKED}

_LOOP: Final = r"""
unset TMOUT
cd
exec 4>&2 2>/dev/null
_dsi_fresh=@FRESH@
_dsi_held() {  # does a process that is younger than the command hold our outputs?
  local last p f stat
  read -r _ _ _ _ last </proc/loadavg || return 0  # the newest process
  if ((last >= _dsi_pid && last - _dsi_pid < 500)); then
    for ((p = _dsi_pid + 1; p <= last; p++)); do _dsi_holds "$p" && return 0; done
  else
    for p in /proc/[0-9]*; do
      p=${p#/proc/}
      ((p > _dsi_pid || last < _dsi_pid)) && _dsi_holds "$p" && return 0
    done
  fi
  return 1
}
_dsi_holds() {
  [[ -d /proc/$1 ]] || return 1
  if [[ -r /proc/$1/fd ]]; then
    for f in "/proc/$1/fd/"*; do
      [[ $f -ef /dev/fd/1 || $f -ef /dev/fd/4 ]] && return 0
    done
  elif IFS= read -r stat <"/proc/$1/stat"; then  # another user's (sudo): ours, or an orphan?
    set -- ${stat##*) }
    [[ $1 != Z && ( $4 == "$$" || $2 == 1 ) ]] && return 0
  fi
  return 1
}
printf @READY@
printf @READY@ >&4
while LC_ALL=C IFS= read -r -d '' _dsi_head && [[ ${_dsi_head%% *} == @SECRET@ ]]; do
  set -m  # a process group of its own; off again before waiting, so that a stopped command isn't taken for an ended one
  if [[ $_dsi_head == *\ stdin ]]; then
    bash --norc --noprofile -c "$_dsi_fresh" 3<&0 2>&4 4>&- &
  else
    bash --norc --noprofile -c "$_dsi_fresh" 3<&0 </dev/null 2>&4 4>&- &
  fi
  set +m
  _dsi_pid=$!
  wait "$_dsi_pid"
  _dsi_status=$?
  _dsi_head=${_dsi_head#* }
  _dsi_head=${_dsi_head%% *}
  _dsi_again=again
  _dsi_held && _dsi_again=held
  printf '%s%s\n' "$_dsi_head" "$_dsi_status $_dsi_again"
  printf '%s\n' "$_dsi_head" >&4
  [[ $_dsi_again == again ]] || exit
done
"""


class ShellGone(Exception):
    """The session ended before the command did.

    `begun` tells whether the command had begun, `exit_status` how the session ended (None: the connection is dead), and
    `said` what it said last, outside of any command.
    """

    def __init__(self, *, begun: bool, exit_status: int | None, said: str = "") -> None:
        self.begun = begun
        self.exit_status = exit_status
        self.said = said
        super().__init__(self.why())

    def why(self) -> str:
        """Say what happened, for people."""
        if self.exit_status is None:
            return "the SSH connection broke"
        if self.exit_status == NO_PROGRAM and not self.begun:
            return f"there is no bash on its PATH, which dsi needs ({self.said})"
        return f"its shell ended with exit status {self.exit_status} ({self.said or 'and said nothing'})"


class NoSession(Exception):
    """No session could be opened, or no shell in it. `refused`: sshd has no place for one more."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(message)


class _Ended(Exception):
    """The end of a session's output, or of its connection."""


@dataclass
class Command:
    """What a shell is asked to do.

    `stdin` None: the command reads nothing. With `whole_stdin` standard input ends after it, and so does the shell;
    without, the command must read exactly as much as is sent.
    """

    text: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: AsyncIterator[bytes] | None = None
    whole_stdin: bool = True
    pid: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Is set to the process group's id once the command has begun."""


class Shell:
    """One kept shell. `usable` is false once it can't take another command."""

    def __init__(self, process: "asyncssh.SSHClientProcess[bytes]") -> None:
        self._process = process
        self._secret = secrets.token_hex(16)
        self._stdout = _Marked(process.stdout)
        self._stderr = _Marked(process.stderr)
        self.usable = True
        self.held = False

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection) -> "Shell":
        """Open a session, and wait until the loop in it runs.

        Raises:
            NoSession: sshd has no place for one more, there is no bash, the start files take too long, or the
                connection broke.
        """
        shell = cls(await open_process(connection, _LINE))
        try:
            async with asyncio.timeout(START_S):
                await shell._start()
        except TimeoutError:
            shell.close()
            raise NoSession(f"its shell isn't ready after {START_S:g} s: look at its ~/.bashrc") from None
        except ShellGone as gone:
            raise NoSession(gone.why()) from None
        except BaseException:
            shell.close()
            raise
        return shell

    async def _start(self) -> None:
        ready = secrets.token_hex(16)
        loop = _LOOP.replace("@FRESH@", shlex.quote(_FRESH)).replace("@SECRET@", self._secret)
        self._process.stdin.write(loop.replace("@READY@", f"{ready}'\\n'").encode() + b"\0")
        # What the start files print comes before, and is dropped.
        await self._drop_until(ready)

    async def _drop_until(self, mark: str) -> None:
        try:
            for stream in (self._stdout, self._stderr):
                await stream.drop_until(mark)
        except _Ended:
            raise await self._gone(begun=False) from None

    async def run(self, command: Command, output: Output) -> int:
        """Run one command to its end, and give its exit status.

        Raises:
            ShellGone, and what `output` raises. The shell isn't usable any more then.
        """
        try:
            exit_status = await self._run(command, output)
        except BaseException:
            self.usable = False
            raise
        if command.stdin is not None and command.whole_stdin:
            self.usable = False
        return exit_status

    async def _run(self, command: Command, output: Output) -> int:
        begin, end = secrets.token_hex(16), secrets.token_hex(16)
        how = " stdin" if command.stdin else ""
        # The marks are in the same write as the command: one packet, one round trip.
        self._process.stdin.write(
            b"\0".join([f"{self._secret} {end}{how}".encode(), prologue(command.env, begin), encode(command.text), b""])
        )
        try:
            await self._stdout.drop_until(begin)
        except _Ended:
            raise await self._gone(begun=False) from None
        command.pid.set_result(int(self._stdout.line))
        await self._follow(command, output, end)
        exit_status, again = self._stdout.line.split()
        if again != b"again":
            self.usable, self.held = False, True
        return int(exit_status)

    async def _follow(self, command: Command, output: Output, end: str) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                feeding = (
                    tasks.create_task(self._feed(command.stdin, whole=command.whole_stdin)) if command.stdin else None
                )
                on_stderr = tasks.create_task(output.read_from("stderr", self._stderr.until(end)))
                await output.read_from("stdout", self._stdout.until(end))
                await on_stderr
                if feeding is not None and not feeding.done():
                    feeding.cancel()  # what the command didn't read nobody will
                    self.usable = False
        except BaseExceptionGroup as group:
            error = group.exceptions[0]
            if isinstance(error, _Ended):
                raise await self._gone(begun=True) from None
            raise error from None

    async def _feed(self, blocks: AsyncIterator[bytes], *, whole: bool) -> None:
        stdin = self._process.stdin
        async for block in blocks:
            try:
                stdin.write(block)
                await stdin.drain()
            except (OSError, asyncssh.Error):
                return  # the session is ending: who reads from it will say so
        if whole:
            stdin.write_eof()

    async def _gone(self, *, begun: bool) -> ShellGone:
        said = self._stdout.dropped + self._stderr.dropped
        return ShellGone(
            begun=begun, exit_status=await exit_status_of(self._process), said=said.decode(errors="replace").strip()
        )

    def close(self) -> None:
        """End the session. A command in it goes on: end that first."""
        self.usable = False
        self._process.close()


class _Marked:
    """One output of a shell: bytes, and marks in between, each followed by the rest of a line."""

    def __init__(self, reader: "asyncssh.SSHReader[bytes]") -> None:
        self._reader = reader
        self._ahead = b""
        self.line = b""
        """What stood behind the last mark."""
        self.dropped = b""
        """The last that came outside of any command."""

    def until(self, mark: str) -> "_Section":
        return _Section(self, mark.encode())

    async def drop_until(self, mark: str) -> None:
        section = self.until(mark)
        while block := await section.read():
            self.dropped = (self.dropped + block)[-DROPPED_BYTES:]

    async def more(self) -> bytes:
        """Some bytes. Raises `_Ended` at the end of the session, or when the connection breaks."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        try:
            block = await self._reader.read(BLOCK_BYTES)
        except (OSError, asyncssh.Error) as error:
            raise _Ended from error
        if not block:
            raise _Ended
        return block

    async def finish_line(self, rest: bytes) -> None:
        while b"\n" not in rest:
            rest += await self.more()
        self.line, _, self._ahead = rest.partition(b"\n")


class _Section:
    """What comes before a mark, as a stream that ends there."""

    def __init__(self, source: _Marked, mark: bytes) -> None:
        self._source = source
        self._mark = mark
        self._maybe = b""
        self._ended = False

    async def read(self, n: int = -1, /) -> bytes:
        """Some bytes (never waiting for `n` of them); empty at the mark."""
        while not self._ended:
            block = self._maybe + await self._source.more()
            at = block.find(self._mark)
            if at >= 0:
                self._ended = True
                await self._source.finish_line(block[at + len(self._mark) :])
                return block[:at]
            # Only what may be the mark's beginning is held back: a prompt without a newline comes through at once.
            cut = len(block) - self._prefix_bytes(block)
            self._maybe = block[cut:]
            if cut:
                return block[:cut]
        return b""

    def _prefix_bytes(self, block: bytes) -> int:
        """How many bytes at the end of the block could be the beginning of the mark."""
        longest = min(len(self._mark) - 1, len(block))
        return next((size for size in range(longest, 0, -1) if block.endswith(self._mark[:size])), 0)


def prologue(env: Mapping[str, str], begin: str, *, source: int = 3, first: str = ":") -> bytes:
    """Bash that reads what comes up to the next NUL into REPLY, tells its pid behind `begin`, sets the environment."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    read = f"LC_ALL=C IFS= read -r -d '' REPLY <&{source}\n"
    close = "exec 3<&-\n" if source == 3 else ""
    return encode(f"{read}{close}{first}\nprintf '%s%s\\n' {begin} $$\n{exports}")


def encode(text: str) -> bytes:
    """Give the bytes of a text; bytes that were no UTF-8 when it was read come out as they were."""
    return text.encode(errors="surrogateescape")


async def run_on_terminal(
    connection: asyncssh.SSHClientConnection, command: Command, typed: bytes, output: Output
) -> int:
    """Run a command on a terminal, in a session of its own, and give its exit status. `typed` is what it can read.

    Raises:
        NoSession, ShellGone, and what `output` raises.
    """
    process = await open_process(
        connection, _LINE, request_pty="force", term_type="xterm", term_size=(80, 24), term_modes=_RAW
    )
    try:
        return await _run_on_terminal(process, command, typed, output)
    finally:
        process.close()


async def _run_on_terminal(
    process: "asyncssh.SSHClientProcess[bytes]", command: Command, typed: bytes, output: Output
) -> int:
    begin = secrets.token_hex(16)
    program = prologue(command.env, begin, source=0, first="stty sane") + b'\neval "$REPLY"'
    process.stdin.write(b"\0".join([program, encode(command.text), b""]))
    stdout = _Marked(process.stdout)
    try:
        await stdout.drop_until(begin)
        command.pid.set_result(int(stdout.line))
        process.stdin.write(typed + b"\4")  # Ctrl-D: the end
        await output.read_from("stdout", _Rest(stdout))
    except _Ended:
        said = stdout.dropped.decode(errors="replace")
        raise ShellGone(begun=False, exit_status=await exit_status_of(process), said=said) from None
    exit_status = await exit_status_of(process)
    if exit_status is None:
        raise ShellGone(begun=True, exit_status=None)
    return exit_status


class _Rest:
    """What comes up to the end of the session."""

    def __init__(self, source: _Marked) -> None:
        self._source = source

    async def read(self, n: int = -1, /) -> bytes:
        """Some bytes; empty at the end."""
        try:
            return await self._source.more()
        except _Ended:
            return b""


async def open_process(
    connection: asyncssh.SSHClientConnection, line: str, **options: Any
) -> "asyncssh.SSHClientProcess[bytes]":
    """Open a session for bytes.

    Raises:
        NoSession
    """
    try:
        return await connection.create_process(line, encoding=None, window=WINDOW_BYTES, **options)
    except asyncssh.ChannelOpenError as error:
        raise NoSession(
            f"sshd refused a session ({error.reason}): see MaxSessions in its sshd_config", refused=True
        ) from error
    except (OSError, asyncssh.Error) as error:
        raise NoSession("the SSH connection broke") from error


async def exit_status_of(process: "asyncssh.SSHClientProcess[bytes]") -> int | None:
    """Wait for a session's end; give its exit status (128 + N for signal N), None if the connection died."""
    await process.wait_closed()
    status = process.returncode
    return 128 - status if status is not None and status < 0 else status
