"""When something was meant to happen: restarts and faults that were asked for, and what follows from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["restart", "crash", "down", "was_down", "lost", "command", "cmd_end"]
"""`restart`: dsi stopped or started nodes; `crash`: with SIGKILL; `down`: a node went down as it was told to;
`was_down`: from then on; `lost`: one went down that was not meant to; `command`: dsi ran something on the servers;
`cmd_end`: the workload ended, and its clients with it."""

ASKED_FOR: Final[frozenset[Kind]] = frozenset({"restart", "crash", "down"})

BEFORE_S: Final = 2.0
"""The node watch looks five times a second and is late on a busy machine, and clocks differ by a little."""

SETTLING_S: Final = 15.0
"""A member stands for election when it has seen no primary for 10 s (`electionTimeoutMillis`), and one with a higher
priority takes over about as long after it is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when to when, in seconds since the epoch by dsi's clock, and by what. `nodes`, `hosts`: empty is all."""

    kind: Kind
    start_s: float
    end_s: float
    what: str
    nodes: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def concerns(self, node: str | None, host: str | None) -> bool:
        """Tell whether it is about this node, as far as that is known."""
        if node is not None and self.nodes:
            return node in self.nodes
        return not self.hosts or host is None or host in self.hosts


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a run. `margin_s` is how far its clocks are to be trusted."""

    all: Sequence[Window] = ()
    margin_s: float = 0.0

    def around(self, time_s: float, kinds: Iterable[Kind], *, more_s: float = 0.0) -> list[Window]:
        """Give those of these kinds that a moment is in, or follows closely. `more_s`: how unsure the moment is."""
        return self.between(time_s, time_s, kinds, more_s=more_s)

    def between(
        self,
        start_s: float,
        end_s: float,
        kinds: Iterable[Kind],
        *,
        more_s: float = 0.0,
        settling_s: float = SETTLING_S,
    ) -> list[Window]:
        """Give those that overlap this time, or that it follows closely (by `settling_s`)."""
        margin_s = self.margin_s + more_s
        return [
            window
            for window in self.all
            if window.kind in kinds
            and window.start_s - BEFORE_S - margin_s <= end_s
            and start_s <= window.end_s + settling_s + margin_s
        ]

    def is_before(self, time_s: float, begin_s: float, *, more_s: float = 0.0) -> bool:
        """Tell whether a moment surely is before another."""
        return time_s < begin_s - BEFORE_S - self.margin_s - more_s
