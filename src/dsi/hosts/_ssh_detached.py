"""Commands that outlive the connection: their output goes to files on the host, and dsi follows those.

On the host there are, for one command (plain bash, nothing is installed):

- the *reaper*, which starts the command in a process group of its own and writes down its exit status;
- the *follower*, which runs in our session: sends the files as they grow, and in the end the exit status behind a mark.
  The one that started the command goes on when its session ends, and watches for dsi's sign of life.

dsi counts what it has got of each stream, and after a cut asks for the rest; the next follower takes the last one's
place.
The start is claimed by creating a file, so asking again starts nothing twice.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from dsi import clock
from dsi.errors import ConnectionLost, HostError, HostUnreachable
from dsi.hosts._output import Output
from dsi.hosts._ssh_delivery import Delivery
from dsi.hosts._ssh_shell import exports
from dsi.hosts.base import Handle, OnOutput
from dsi.model import StreamName

_log = structlog.get_logger(__name__)

FOLDER: Final = ".dsi/run"
"""In the home folder of the host's user; for that user alone."""

BEYOND_ALL_OUTPUT: Final = 1 << 62
"""More bytes than a command ever wrote: who begins there gets none of them."""

ASK_AGAIN: Final = 20
"""How often in a row a follower may end (somebody ended it) without anything new."""

Ask = Callable[[str, OnOutput, Callable[[], None]], Coroutine[Any, Any, None]]
"""Takes a request to a kept shell, with what gets its output, and what is called when there is a shell for it.

Cancelling it sends SIGTERM to what follows there. When what gets its output raises `Held` the shell is let go, and it
returns; the command goes on.
"""

ENDED: Final = 128 + 15
"""The exit status of a command that was ended before it began: that of one that SIGTERM ended."""


class Detached:
    """One command that outlives the connection. `ask` runs our scripts, `reach` waits for the connection.

    More than `limit_bytes` of its output may not lie on the host; `free` gives back the disk space of what is here.
    `skip_bytes`: another dsi has begun it, and has got so much of its stdout (None: it is to be begun).
    """

    def __init__(
        self,
        host: str,
        command: str,
        env: Mapping[str, str],
        *,
        ask: Ask,
        reach: Callable[[], Awaitable[object]],
        output: Output,
        handle: Handle,
        orphan_s: float,
        joined: bool,
        limit_bytes: int,
        free: Callable[[StreamName, int], None],
        skip_bytes: int | None = None,
    ) -> None:
        self.id = handle.id
        self.was_long = False
        """Whether it had not ended when it was first looked at."""
        self._host = host
        self._ask = ask
        self._reach = reach
        self._output = output
        self._taken: dict[StreamName, int] = {"stdout": skip_bytes or 0, "stderr": 0}
        self._limit_bytes = limit_bytes
        self._free = free
        self._freed: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        self._joined = joined
        self._met = self._may_have_begun = skip_bytes is not None
        self._ending = False
        self._asking: asyncio.Task[str] | None = None
        self._over = asyncio.Event()
        self._token = handle.token
        self._orphan_s = max(int(orphan_s), 1)
        self._text = ("exec 2>&1; " if joined else "") + exports(env) + command

    async def status(self) -> int:
        """Start it, follow it over as many connections as it takes, and give its exit status.

        Raises:
            HostUnreachable: the connection was given up, and it has certainly not begun.
            ConnectionLost: it may have: then the connection was given up, the host rebooted, the supervisor ended.
        """
        try:
            return await self._status()
        except HostUnreachable as given_up:
            if not self._may_have_begun:
                raise
            raise ConnectionLost(
                self._host, f"what ran there may have taken effect or not: {given_up.message}"
            ) from given_up

    async def _status(self) -> int:
        try:
            return await self._exit_status()
        finally:
            self._over.set()

    async def _exit_status(self) -> int:
        idle = 0
        while idle < ASK_AGAIN:
            before = dict(self._taken)
            said = await self._ask_once()
            if self._ending and not self._may_have_begun:
                return ENDED
            match said.split():
                case [exit_status, "all"]:
                    return int(exit_status)
                case [exit_status, "all", "full"]:
                    await self._say_that_it_was_too_much()
                    return int(exit_status) or ENDED
                case [_, "more", *_]:
                    self.was_long = True
                case ["refused"]:
                    raise HostError(self._host, f"can't write in {FOLDER} of the home folder: is the disk full?")
                case ["gone"]:
                    raise ConnectionLost(
                        self._host,
                        "what ran there is gone, and how it ended nobody knows: the host was rebooted, or ended it "
                        "after test_control.orphan_timeout without dsi, or its supervisor (or "
                        f"{FOLDER}) was removed. It may have taken effect or not",
                    )
            idle = 0 if said or before != self._taken else idle + 1
            if idle:
                await clock.SYSTEM.sleep(0.05)
        raise ConnectionLost(self._host, "what follows the command on the host ends at once, again and again")

    async def _ask_once(self) -> str:
        """Follow it over one connection; give what the follower said at its end (nothing, if it was cut off)."""
        self._asking = asyncio.create_task(self._follow())
        try:
            return await self._asking
        except ConnectionLost:
            with self._output.unheard():
                await self._reach()
            return ""
        except asyncio.CancelledError:
            if not self._ending or _is_cancelled():
                raise
            self.was_long = True
            return ""
        finally:
            if not self._asking.done():
                self._asking.cancel()
                await asyncio.wait({self._asking})

    async def _follow(self) -> str:
        said = _Said(mark := secrets.token_hex(16))
        delivery = Delivery(self._output)

        async def take(stream: StreamName, block: bytes) -> None:
            self._met = True
            rest = said.take(block) if stream == "stdout" else block
            self._taken[stream] += len(rest)
            self._free_what_was_taken(stream)
            if rest:
                await delivery.take(stream, rest)

        try:
            try:
                await self._ask(self._request(mark), take, self._note_begin)
            except ConnectionLost:
                await delivery.finish()
                raise
            if self._ending and delivery.was_held:
                self._taken = {"stdout": BEYOND_ALL_OUTPUT, "stderr": BEYOND_ALL_OUTPUT}
            else:
                await delivery.finish()
        finally:
            await delivery.stop()
        return "" if delivery.was_held else said.line()

    def _free_what_was_taken(self, stream: StreamName) -> None:
        """Have it take no disk there any more, but for the end: of that a crash of dsi's machine may lose some here."""
        kept_bytes = self._limit_bytes // 8
        if self._taken[stream] - self._freed[stream] >= 2 * kept_bytes:
            self._freed[stream] = self._taken[stream] - kept_bytes
            self._free(stream, self._freed[stream])

    async def _say_that_it_was_too_much(self) -> None:
        what = (
            f"ended by dsi: more than {self._limit_bytes} bytes of its output lay on {self._host} "
            "(infrastructure_provisioning.tfvars.ssh_max_output_bytes)"
        )
        _log.warning(what)
        await self._output.take("stdout" if self._joined else "stderr", f"\n[{what}]\n".encode())

    def _note_begin(self) -> None:
        self._may_have_begun = True

    def _request(self, mark: str) -> str:
        arguments = [
            self.id,
            self._token,
            mark,
            "0" if self._met else "1",
            "1" if self._ending else "0",
            str(self._orphan_s),
            str(self._taken["stdout"]),
            str(self._taken["stderr"]),
            str(self._limit_bytes),
        ]
        return f"{' '.join(arguments)}\n{'' if self._met else self._text}"

    async def end(self) -> None:
        """End it with its process group: SIGTERM, later SIGKILL. Returns when it has ended, or nobody can know."""
        if not self._ending:
            self._ending = True
            if self._asking is not None:
                self._asking.cancel()
        await self._over.wait()

    async def end_what_was_left(self) -> None:
        """End what another dsi has begun, if it still runs; nobody wants its output.

        Raises:
            HostUnreachable, HostError
        """
        self._ending = True
        with suppress(ConnectionLost):  # it is gone
            await self._status()


def new_handle(token: str) -> Handle:
    """Give a name that no other command has; it begins with the token."""
    return Handle(f"{token}-{secrets.token_hex(4)}", token)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Said:
    """What a stream brings up to a mark, and the line behind that."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._held = b""
        self._after: bytes | None = None

    def take(self, block: bytes) -> bytes:
        """Take a block; give what is certainly not the mark nor behind it."""
        if self._after is not None:
            self._after += block
            return b""
        block = self._held + block
        before, mark, after = block.partition(self._mark)
        if mark:
            self._held, self._after = b"", after
            return before
        keep = next((n for n in range(len(self._mark) - 1, 0, -1) if block.endswith(self._mark[:n])), 0)
        self._held = block[len(block) - keep :]
        return block[: len(block) - keep]

    def line(self) -> str:
        """Give the line behind the mark; empty if it did not come whole."""
        line, newline, _ = (self._after or b"").partition(b"\n")
        return line.decode() if newline else ""


def group_script(name: str) -> str:
    """Give what says a command's process group: its own pid, since it was started in a group of its own."""
    return f"{{ IFS=' ' read -r _ c _ <{FOLDER}/{name}.state && echo \"$c\"; }} 2>/dev/null\nexit 0\n"


def free_script(name: str, stream: StreamName, size_bytes: int) -> str:
    """Give what frees the first bytes of a command's output; where the file system can't, they stay."""
    return "\n".join(
        [
            f"cd {FOLDER} && IFS=' ' read -r slot _ <{name}.state || exit 0",
            f"fallocate --punch-hole --offset 0 --length {size_bytes} $slot.{stream.removeprefix('std')} 2>/dev/null",
            "exit 0\n",
        ]
    )


def beat_script(token: str) -> str:
    """Give what tells the supervisors of this dsi that it lives."""
    return f"IFS=' ' read -r up _ </proc/uptime && echo ${{up/./}} >{FOLDER}/{token}.beat\n"


def removal_script(names: list[str]) -> str:
    """Give what removes all that is left of these commands."""
    return "\n".join(
        [
            f"cd {FOLDER} 2>/dev/null || exit 0",
            "left=()",
            f"for i in {' '.join(names)}; do",
            "  [[ -e $i.state ]] && IFS=' ' read -r slot _ <$i.state && left+=(\"$slot\".*)",
            "  left+=($i.*)",
            "done",
            'rm -f -- "${left[@]}"',
            "exit 0\n",
        ]
    )


def leave_script(token: str) -> str:
    """Give what removes all that is left of this token's commands that have ended, and of the token."""
    return "\n".join(
        [
            f"cd {FOLDER} 2>/dev/null || exit 0",
            f"left=({token}.beat)",
            f"for i in {token}-*.state; do",
            '  { IFS=\' \' read -r slot _ && read -r _; } 2>/dev/null <$i && left+=("${i%state}"* "$slot".*)',
            "done",
            'rm -f -- "${left[@]}"',
            "exit 0\n",
        ]
    )


# What a living supervisor needs stays, however old it is, and what goes by a token that we have taken over.
# Field 20 behind the name is the start time (proc(5)).
_SWEEP: Final = r"""
cd @FOLDER@ 2>/dev/null || exit 0
IFS= read -r now </proc/sys/kernel/random/boot_id
alive=" " old=()
for state in *.state; do
  IFS=' ' read -r slot _ pid start boot <"$state" || continue
  if [[ " @TOKENS@ " == *" ${state%%-*} "* ]] || {
    [[ $boot == "$now" ]] && IFS= read -r line <"/proc/$pid/stat" && set -- ${line##*) } && [[ ${20} == "$start" ]]
  }; then alive+="${state%.*} $slot "; fi
done 2>/dev/null
while IFS= read -r file; do
  file=${file#./}
  [[ $alive == *" ${file%.*} "* ]] || old+=("$file")
done < <(find . -maxdepth 1 -type f -mmin +@MINUTES@)
rm -f -- "${old[@]}"
exit 0
"""


def sweep_script(orphan_s: float, tokens: Iterable[str]) -> str:
    """Give what removes the files of runs that are dead for longer than this, and go by none of these tokens."""
    minutes = str(math.ceil(orphan_s / 60))
    return _SWEEP.replace("@FOLDER@", FOLDER).replace("@MINUTES@", minutes).replace("@TOKENS@", " ".join(tokens))
