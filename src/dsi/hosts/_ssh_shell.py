"""A kept shell: one SSH session with a bash that runs one command after the other.

A session of its own for each command costs a round trip more, sshd's fork, the login shell and its `~/.bashrc`. A kept
shell pays them once. It is a small loop that forks a fresh bash for each command:

- The command text and its environment go over the session's standard input, ended by a NUL, so that no list of
  processes ever shows them. The fresh bash reads them itself, and is the leader of a process group of its own.
- The fresh bash first reports its pid, which is the process group's; at the end the loop writes a mark to both outputs,
  so that we know each to be complete. The marks are random for each command: no output can be taken for one.
- A process that the command left behind may still hold its outputs, and would write into those of the next command. The
  loop looks for such a process, and then refuses the next command, which goes to another shell.
"""

import asyncio
import secrets
import shlex
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from typing import Final

import asyncssh

from dsi.hosts._output import Output
from dsi.hosts._ssh_follow import FOLLOW
from dsi.hosts._ssh_session import START_BASH, Ended, Marked, NoSession, Process, ShellGone, open_process

START_S: Final = 30.0
"""How long the user's login shell and its start files may take."""

HEAD_BYTES: Final = 128
"""Of a fixed length bash reads it at once, up to a delimiter it reads a pipe byte by byte."""

LEFT: Final = b"left"
"""What stands in place of the pid when the shell refuses a command."""

# What the fresh bash does: the prologue, which reads the command into REPLY, then the command.
# LC_ALL=C: in other locales an incomplete character swallows the NUL behind it.
_FRESH: Final = r"""LC_ALL=C IFS= read -r -d "" REPLY <&3; eval "$REPLY"; eval "$REPLY" """

_LOOP: Final = r"""
unset TMOUT
trap '' USR1  # comes from us, and may come too early
cd
exec 4>&2 2>/dev/null
_dsi_fresh=@FRESH@
_dsi_left= _dsi_next= _dsi_slot=0
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
  [[ -d /proc/$1 && $1 != "$_dsi_next" ]] || return 1
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
_dsi_start() {
  set -m  # a process group of its own; off again before waiting, so that a stopped command isn't taken for an ended one
  if [[ $1 == stdin ]]; then
    bash --norc --noprofile -c "$_dsi_fresh" 3<&0 2>&4 4>&- 7>&- &
  else
    bash --norc --noprofile -c "$_dsi_fresh" 3<&0 </dev/null 2>&4 4>&- 7>&- &
  fi
  set +m
  _dsi_pid=$!
}
@FOLLOW@
echo @READY@$$
echo @READY@ >&4
# A head is SECRET BEGIN END HOW [BYTES] and blanks. Behind it comes what the fresh bash reads, or a request of so many
# bytes.
while IFS= read -r -N @HEAD_BYTES@ _dsi_head && [[ ${_dsi_head%% *} == @SECRET@ ]]; do
  set -f -- $_dsi_head
  set +f
  if [[ $_dsi_left ]]; then
    printf '%sleft\n' "$2"
    exit
  fi
  if [[ $4 == follow ]]; then
    kill -0 "$_dsi_next" || _dsi_prepare
    _dsi_pid=$_dsi_next
    printf '%-128s' "$_dsi_slot $2 $3 $5" >&7
  else
    _dsi_start "$4"
  fi
  wait "$_dsi_pid"
  _dsi_status=$?
  if [[ $4 == follow ]]; then
    _dsi_prepare
    [[ $_dsi_status != "$_dsi_told" ]] || continue
    _dsi_left=1  # it was ended, maybe as it had told half of it
  fi
  printf '%s%d\n' "$3" "$_dsi_status"
  printf '%s\n' "$3" >&4
  if [[ $4 != follow ]]; then
    # The result is on its way: what follows costs the command no time.
    # Twice, since a process that was just forked may not have got to its own outputs yet.
    _dsi_held && sleep 0.03 && _dsi_held && _dsi_left=1
  fi
done
"""


@dataclass
class Command:
    """What a shell is asked to do.

    `stdin` None: the command reads nothing. With `whole_stdin` standard input ends after it, and so does the shell;
    without, the command must read exactly as much as is sent.
    """

    text: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: AsyncGenerator[bytes, None] | None = None
    whole_stdin: bool = True
    is_request: bool = False
    """Whether it is a request to start or follow a command that outlives the connection (`_ssh_detached`)."""
    pid: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Is set to the process group's id once the command has begun."""


class Shell:
    """One kept shell."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._secret = secrets.token_hex(16)
        self._stdout = Marked(process.stdout)
        self._stderr = Marked(process.stderr)
        self.pid = 0
        self.usable = False
        """Whether it can take another command."""
        self.held = False
        """Whether a process that was left behind holds its outputs."""
        self.given_up = False
        """Whether nobody will get it any more."""

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection) -> "Shell":
        """Open a session, and wait until the loop in it runs.

        Raises:
            NoSession: sshd has no place for one more, there is no bash, the start files take too long, or the
                connection broke.
        """
        shell = cls(await open_process(connection, START_BASH))
        try:
            async with asyncio.timeout(START_S):
                await shell._start()
        except TimeoutError:
            raise NoSession(f"its shell isn't ready after {START_S:g} s: look at its ~/.bashrc") from None
        except ShellGone as gone:
            raise NoSession(gone.why()) from None
        finally:
            if not shell.usable:
                shell._process.close()
        return shell

    async def _start(self) -> None:
        ready = secrets.token_hex(16)
        loop = (
            _LOOP.replace("@FOLLOW@", FOLLOW)
            .replace("@FRESH@", shlex.quote(_FRESH))
            .replace("@SECRET@", self._secret)
            .replace("@HEAD_BYTES@", str(HEAD_BYTES))
            .replace("@SLOTS@", secrets.token_hex(8))
        )
        self._process.stdin.write(loop.replace("@READY@", ready).encode() + b"\0")
        # What the start files print comes before, and is dropped.
        await self._drop_until(ready)
        self.pid = int(self._stdout.line)
        self.usable = True

    async def _drop_until(self, mark: str) -> None:
        try:
            for stream in (self._stdout, self._stderr):
                await stream.drop_until(mark)
        except Ended:
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
        try:
            # In one write: one packet, one round trip.
            self._process.stdin.write(_asked(command, f"{self._secret} {begin} {end}"))
            await self._stdout.drop_until(begin)
        except (Ended, OSError):
            raise await self._gone(begun=False) from None
        if self._stdout.line == LEFT:
            self.held = True
            raise ShellGone(begun=False, exit_status=0, said="a process that was left behind holds its output")
        command.pid.set_result(int(self._stdout.line))
        # Closed here and not by who feeds, which may be called off in the middle of that.
        async with aclosing(command.stdin) if command.stdin else nullcontext():
            await self._follow(command, output, end)
        return int(self._stdout.line)

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
            if isinstance(error, Ended):
                raise await self._gone(begun=True) from None
            raise error from None

    async def _feed(self, blocks: AsyncGenerator[bytes, None], *, whole: bool) -> None:
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
            begun=begun,
            exit_status=await self._process.exit_status_in_bash(),
            said=said.decode(errors="replace").strip(),
        )

    async def has_ended_within(self, limit_s: float) -> bool:
        """Wait for its process on the host to end, for so long at most; give whether it has."""
        return await self._process.has_ended_within(limit_s)

    async def close(self) -> None:
        """End the session, and wait until it has. A command in it goes on: end that first."""
        self.usable = False
        self._process.close()
        await self._process.wait_closed()


def _asked(command: Command, marks: str) -> bytes:
    """Give a head, and what belongs to it."""
    text = encode(command.text)
    if command.is_request:
        return f"{marks} follow {len(text)}".ljust(HEAD_BYTES).encode() + text
    how = "stdin" if command.stdin else "alone"
    head = f"{marks} {how}".ljust(HEAD_BYTES).encode()
    return head + b"\0".join([prologue(command.env, begin=marks.split()[1]), text, b""])


def prologue(env: Mapping[str, str], begin: str, *, source: int = 3, first: str = ":") -> bytes:
    """Bash that reads what comes up to the next NUL into REPLY, tells its pid behind `begin`, sets the environment."""
    read = f"LC_ALL=C IFS= read -r -d '' REPLY <&{source}\n"
    close = "exec 3<&-\n" if source == 3 else ""
    return encode(f"{read}{close}{first}\nprintf '%s%s\\n' {begin} $BASHPID\n{exports(env)}")


def exports(env: Mapping[str, str]) -> str:
    """Give what sets these variables of the environment."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())


def encode(text: str) -> bytes:
    """Give the bytes of a text; bytes that were no UTF-8 when it was read come out as they were."""
    return text.encode(errors="surrogateescape")
