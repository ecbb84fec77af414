"""The only user of time. What must be tested without waiting takes a `Clock`; the rest uses `SYSTEM`."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it."""

    def wall_s(self) -> float:
        """Seconds since the epoch; may jump when somebody sets the clock."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from some beginning; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


class SystemClock:
    """This machine's clock."""

    def wall_s(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds from some beginning."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await asyncio.sleep(seconds)


SYSTEM: Clock = SystemClock()


DAY = timedelta(days=1)


def utc(wall_s: float) -> datetime:
    """Give seconds since the epoch as a date and time in UTC, for libraries that want one."""
    return datetime.fromtimestamp(wall_s, UTC)


def isoformat(wall_s: float) -> str:
    """Write seconds since the epoch as ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.123Z`."""
    return utc(wall_s).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wall_s_of(text: str) -> float:
    """Read ISO 8601 back into seconds since the epoch; without a zone it is UTC.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def local_time(wall_s: float) -> str:
    """Write seconds since the epoch as the time of day of this machine's time zone: `12:00:00`."""
    return f"{utc(wall_s).astimezone():%H:%M:%S}"
