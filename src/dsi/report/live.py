"""Progress on a terminal: at the foot of the screen which stage, which test, how long, and the last lines of output."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from dsi import clock
from dsi.report.plain import PlainProgress
from dsi.report.run_view import RunView


class LiveProgress:
    """A display that is drawn anew four times a second; log lines and what `above` tells scroll by above it."""

    def __init__(self, console: Console, time: clock.Clock = clock.SYSTEM, *, above: PlainProgress) -> None:
        self._clock = time
        self._view = RunView(time.monotonic_s())
        self._above = above
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def event(self, line: Mapping[str, Any]) -> None:
        """Show what has changed, and tell of it above."""
        self._view.event(line)
        if line["event"] != "stage":  # that is all that the display's first words say
            self._above.event(line)

    def step(self, text: str) -> None:
        """Show what takes a while."""
        self._view.step = text

    def output(self, block: bytes) -> None:
        """Show the last lines of what the test has written."""
        self._view.output(block)

    def close(self) -> None:
        """Take the display away."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        now_s = self._clock.monotonic_s()
        view = self._view
        test = f"{view.test}, {_clock_time(now_s - view.test_begun_s)}" if view.test else ""
        first = f"{_clock_time(now_s - view.begun_s)}  {_joined(view.stage, test, view.step)}"
        second = _joined(view.hosts_up, *self._counts())
        return Group(
            Text.assemble(self._spinner.render(now_s), " ", first, no_wrap=True, overflow="ellipsis"),  # type: ignore[arg-type]
            *([_line(f"  {second}")] if second else []),
            *(_line(f"   │ {_printable(line)}", style="dim") for line in view.lines),
        )

    def _counts(self) -> Iterator[str]:
        if self._view.socket_commands:
            yield f"dsisocket: {self._view.socket_commands} commands"
        if self._view.nodes_down:
            yield f"down: {', '.join(self._view.nodes_down)}"


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _printable(line: str) -> str:
    """Leave out what would move the cursor: colours, carriage returns, bells."""
    return "".join(char if char.isprintable() else " " for char in line.expandtabs(4))


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
