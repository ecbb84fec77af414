"""When something was meant to happen: restarts and faults that were asked for, and what follows from them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["restart", "crash", "fault", "down", "was_down", "lost", "command", "cmd_end"]
"""`restart`: dsi stopped or started nodes; `crash`: with SIGKILL; `fault`: dsi ran a command that was to take nodes
down; `down`: a node went down as it was told to; `was_down`: from then on; `lost`: one went down that was not meant to;
`command`: dsi ran something on the servers; `cmd_end`: the workload ended, and its clients with it."""

ASKED_FOR: Final[frozenset[Kind]] = frozenset({"restart", "crash", "fault", "down"})

BEFORE_S: Final = 2.0
"""The node watch looks five times a second and is late on a busy machine, and clocks differ by a little."""

SETTLING_S: Final = 15.0
"""A member stands for election when it has seen no primary for 10 s (`electionTimeoutMillis`), and one with a higher
priority takes over about as long after it is back."""

_LATE_S: Final = 2.0
"""Members tell each other where they are with heartbeats, every 2 s (`heartbeatIntervalMillis`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when to when, in seconds since the epoch by dsi's clock, and by what. `nodes`, `hosts`: empty is all.

    `whole`: at its end all members were in their sets again, each with a primary that stays: dsi had waited for that.
    `of_a_stage`: it stands for a stage of the lifecycle, and lasts until the next one, or a test, begins.
    """

    kind: Kind
    start_s: float
    end_s: float
    what: str
    nodes: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    whole: bool = False
    of_a_stage: bool = False

    def concerns(self, node: str | None, host: str | None) -> bool:
        """Tell whether it is about this node, as far as that is known."""
        if node is not None and self.nodes:
            return node in self.nodes
        return not self.hosts or host is None or host in self.hosts


Settling = Callable[[Window], float]
"""For how many seconds after its end a window still counts."""


def as_long_as_it_may_matter(_window: Window) -> float:
    """Give how long something may follow from what a window stands for."""
    return SETTLING_S


def until_it_is_over(window: Window) -> float:
    """Give how long something is to be expected after it."""
    return _LATE_S if window.whole else SETTLING_S


def until_orders_are_over(window: Window) -> float:
    """Give how long an order may still come of it: dsi gives none to a set that is whole, a dying primary does."""
    return 0.0 if window.whole else SETTLING_S


def not_after_its_end(_window: Window) -> float:
    """Count a window for as long as it lasts."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a run. `margin_s` is how far its clocks are to be trusted."""

    all: Sequence[Window] = ()
    margin_s: float = 0.0

    def between(
        self, start_s: float, end_s: float, kinds: Iterable[Kind], settling: Settling, *, more_s: float = 0.0
    ) -> list[Window]:
        """Give those of these kinds that overlap this time, or that it follows closely. `more_s`: how unsure it is."""
        margin_s = self.margin_s + more_s
        return [
            window
            for window in self.all
            if window.kind in kinds
            and window.start_s - BEFORE_S - margin_s <= end_s
            and start_s <= window.end_s + settling(window) + margin_s
        ]

    def is_before(self, time_s: float, begin_s: float, *, more_s: float = 0.0) -> bool:
        """Tell whether a moment surely is before another."""
        return time_s < begin_s - BEFORE_S - self.margin_s - more_s
