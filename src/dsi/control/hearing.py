"""What is heard of one command while it runs: what each host did so far, and who gets its output live."""

from collections.abc import Mapping
from typing import Any, Final

from dsi import clock
from dsi.control.stream import Stream
from dsi.hosts.base import KEEP_BYTES
from dsi.model import Result, StreamName

MAX_RESULTS_BYTES: Final = 1 << 20
"""How much output one reply holds at most, all hosts together; each has the same share."""


class Hearing:
    """Listens to one command (see `commands.Listener`)."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self._only_waits = False
        self._hosts: dict[str, _OneHost] = {}

    def stream_to(self, stream: Stream) -> None:
        """Pass on what comes from now on to this client: who asks again has probably lost its first connection."""
        if self.stream is not None:
            self.stream.leave()
        self.stream = stream

    def begun(self, host: str) -> None:
        """Note that a shell command begins on a host."""
        self._hosts.setdefault(host, _OneHost()).begin()

    async def output(self, host: str, stream: StreamName, block: bytes) -> None:
        """Keep the end of what it writes, and pass it on."""
        if (one := self._hosts.get(host)) is not None:
            one.keep(stream, block)
        if self.stream is not None:
            await self.stream.output(host, stream, block)

    def ended(self, result: Result) -> None:
        """Note what came of it."""
        self._hosts.setdefault(result.host, _OneHost()).end(result)

    async def waiting(self, for_what: str) -> None:
        """Pass on that the command waits."""
        self._only_waits = True
        if self.stream is not None:
            await self.stream.waiting(for_what)

    def turn(self) -> None:
        """Note that it waits no longer."""
        self._only_waits = False

    @property
    def never_began(self) -> bool:
        """Whether it has done nothing but wait for another, so that nothing can have come of it."""
        return self._only_waits and not self._hosts

    def results(self) -> list[Mapping[str, Any]]:
        """Give one entry per host: what its shell commands have done until now, one after another."""
        share = min(KEEP_BYTES, MAX_RESULTS_BYTES // (2 * max(len(self._hosts), 1)))
        return [{"host": name, **one.entry(share)} for name, one in self._hosts.items()]


class _OneHost:
    """What the shell commands of one host have done; several verbs are one entry."""

    def __init__(self) -> None:
        self._kept: dict[StreamName, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._cut = False
        self._exit_status: int | None = None
        self._begun_s = clock.SYSTEM.monotonic_s()
        self._duration_s: float | None = None

    def begin(self) -> None:
        self._exit_status = self._duration_s = None

    def keep(self, stream: StreamName, block: bytes) -> None:
        kept = self._kept[stream]
        kept += block
        if len(kept) > 2 * KEEP_BYTES:  # not at each block: the cost is then independent of the blocks' size
            del kept[:-KEEP_BYTES]
            self._cut = True

    def end(self, result: Result) -> None:
        self._exit_status = result.exit_status
        self._duration_s = clock.SYSTEM.monotonic_s() - self._begun_s

    def entry(self, size_bytes: int) -> dict[str, Any]:
        """Give the entry, of each output at most so much, cut at the front. `exit_code` None: it was ended."""
        duration_s = clock.SYSTEM.monotonic_s() - self._begun_s if self._duration_s is None else self._duration_s
        cut = self._cut or any(len(kept) > size_bytes for kept in self._kept.values())
        return {
            "exit_code": self._exit_status,
            "stdout": _end_of(self._kept["stdout"], size_bytes, was_cut=cut),
            "stderr": _end_of(self._kept["stderr"], size_bytes, was_cut=cut),
            "duration_s": round(duration_s, 6),
            **({"cut": True} if cut else {}),
        }


def _end_of(kept: bytearray, size_bytes: int, *, was_cut: bool) -> str:
    """Give the end as text; of a character that a cut has halved, nothing is left."""
    end = bytes(kept[-size_bytes:])
    return (end.lstrip(_INSIDE_A_CHARACTER) if was_cut else end).decode(errors="replace")


_INSIDE_A_CHARACTER: Final = bytes(range(0x80, 0xC0))
"""What UTF-8's second and further bytes look like."""
