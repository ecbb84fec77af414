"""What of diagnostic data can't be read. It is told to whoever reads, who gets all the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()


@dataclass(frozen=True)
class Damage:
    """A place that can't be read.

    `offset` and `size_bytes` (what is passed over from there on) count what is in the file once it is decompressed.
    """

    file: Path
    offset: int
    size_bytes: int
    reason: str

    def __str__(self) -> str:
        """Give file, place, reason, and how much is lost."""
        lost = f" ({self.size_bytes:,} bytes are passed over)" if self.size_bytes else ""
        return f"{self.file}: at byte {self.offset:,}: {self.reason}{lost}"


Damaged = Callable[[Damage], None]
"""Who is told of damage, as it is met."""


def warn(damage: Damage) -> None:
    """Say it in the log."""
    log.warning(
        "diagnostic data is damaged",
        file=str(damage.file),
        offset=damage.offset,
        size_bytes=damage.size_bytes,
        reason=damage.reason,
    )


class Unreadable(Exception):
    """A document that isn't what it should be. It becomes a `Damage`, and never leaves this package."""
