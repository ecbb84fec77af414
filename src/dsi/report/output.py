"""What commands write, in the log."""

from typing import Final

import structlog

from dsi.clock import SYSTEM, Clock
from dsi.model import StreamName

log = structlog.get_logger()

_LINES_OF_A_BLOCK: Final = 50
"""How many lines of output that comes at once are shown: nobody reads thousands, and printing them takes time."""

_LINES_OF_A_SECOND: Final = 200
"""The same for output that goes on: printing 50 lines of each block of 64 KiB took three times as long as all else that
is done with the block."""


_CHARS_OF_A_LINE: Final = 2_000
"""How much of a line is shown: what is written without newlines comes in lines of 64 KiB, and would fill a disk."""


class OutputLog:
    """Logs output line by line; of a flood the beginning of each second, and for the rest how many lines there were."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._second = 0
        self._shown = 0

    async def show(self, host: str, _stream: StreamName, block: bytes) -> None:
        """Log a block of output (`Context.output`)."""
        lines = block.decode(errors="replace").splitlines()
        showing = self._take_room(len(lines))
        for line in lines[:showing]:
            log.info(f"{host}: {line if len(line) <= _CHARS_OF_A_LINE else line[:_CHARS_OF_A_LINE] + '…'}")
        if showing < len(lines):
            log.info(f"{host}: … and {len(lines) - showing} more lines")

    def _take_room(self, lines: int) -> int:
        """Give how many of so many lines may be shown now."""
        second = int(self._clock.monotonic_s())
        if second != self._second:
            self._second, self._shown = second, 0
        showing = min(lines, _LINES_OF_A_BLOCK, _LINES_OF_A_SECOND - self._shown)
        self._shown += showing
        return showing
