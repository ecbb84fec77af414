"""Progress on a terminal: at the foot of the screen which stage, which test, how long, and the last lines of output."""

from collections import deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from dsi import clock

LINES = 5
"""How many of the last lines of output are shown."""


class LiveProgress:
    """A display that is drawn anew four times a second; log lines scroll by above it."""

    def __init__(self, console: Console, time: clock.Clock = clock.SYSTEM) -> None:
        self._clock = time
        self._begun_s = time.monotonic_s()
        self._stage = self._step = self._test = ""
        self._test_begun_s = self._begun_s
        self._lines: deque[str] = deque(maxlen=LINES)
        self._partial = ""
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def stage(self, name: str) -> None:
        """Show a new stage."""
        self._stage, self._step, self._test = name, "", ""
        self._lines.clear()

    def step(self, text: str) -> None:
        """Show what takes a while."""
        self._step = text

    def test(self, test_id: str, number: int, total: int) -> None:
        """Show a new test."""
        self._test = f"test {test_id} ({number} of {total})"
        self._test_begun_s = self._clock.monotonic_s()
        self._lines.clear()

    def output(self, block: bytes) -> None:
        """Show the last lines of what the test has written."""
        *whole, self._partial = (self._partial + block.decode(errors="replace")).split("\n")
        self._partial = self._partial[-1000:]
        self._lines.extend(whole[-LINES:])

    def close(self) -> None:
        """Take the display away."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        now_s = self._clock.monotonic_s()
        parts = [self._stage, self._step]
        if self._test:
            parts.insert(1, f"{self._test}, {_clock_time(now_s - self._test_begun_s)}")
        head = " · ".join(part for part in parts if part)
        self._spinner.update(
            text=Text(f"{_clock_time(now_s - self._begun_s)}  {head}", no_wrap=True, overflow="ellipsis")
        )
        tail = [Text(f"   │ {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines]
        return Group(self._spinner, *tail)


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
