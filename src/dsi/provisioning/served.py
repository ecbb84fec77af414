"""Which sshd serves dsi on the workload client, kept in `.dsi/`: the next dsi ends it if this one's machine crashes.

Else it would hold the port of the dsisocket for hours, since nobody tells it that its peer is gone.
"""

from collections.abc import Sequence

import structlog

from dsi.errors import StateError
from dsi.model import HostEntry
from dsi.state import State

log = structlog.get_logger()

_STATE = "sshd"


class ServedIn:
    """The `Memory` of one machine in a work directory, for who holds that directory's lock."""

    def __init__(self, state: State, entry: HostEntry) -> None:
        self._state = state
        self._machine = " ".join(str(part) for part in entry.machine)

    def last(self) -> Sequence[str]:
        """Give what served the last dsi.

        Raises:
            StateError
        """
        kept: dict[str, list[str]] = self._state.read(_STATE) or {}
        return kept.get(self._machine, ())

    def keep(self, served_by: Sequence[str]) -> None:
        """Keep what serves this one. That it can't be is no reason to have no connection."""
        try:
            kept = self._state.read(_STATE) or {}
            self._state.write(_STATE, {**kept, self._machine: served_by}, durable=True)
        except StateError as problem:
            log.warning("after a crash of this machine, an sshd may keep the dsisocket's port", reason=str(problem))
