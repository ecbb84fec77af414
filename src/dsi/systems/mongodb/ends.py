"""Which ends of a node's processes are meant: those that a command has announced, and those that dsi brings about."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dsi.systems.mongodb.process import Process


@dataclass(frozen=True, slots=True)
class Announced:
    """That a command is meant to take nodes down: `names` as it was written, and which processes that meant."""

    names: Sequence[str]
    processes: frozenset[tuple[str, Process]]


class Ends:
    """The ends of the processes of one node."""

    def __init__(self) -> None:
        self._expected: set[Process] = set()
        self._last: Process | None = None
        """The process that was last seen to have been ended by others."""

    def expect(self, process: Process) -> None:
        """Note that this process is about to end, and that this is meant."""
        self._expected.add(process)

    def expect_none(self, *, but_of: Collection[Process]) -> None:
        """Take back what was noted, but for these processes."""
        self._expected.intersection_update(but_of)

    def is_expected(self, process: Process) -> bool:
        """Tell whether the end of this process is meant."""
        return process in self._expected

    def saw(self, process: Process) -> None:
        """Note that this process is gone, ended by others."""
        self._last = process

    @property
    def was_last_expected(self) -> bool:
        """Whether what others ended last was meant to end."""
        return self._last is not None and self.is_expected(self._last)
