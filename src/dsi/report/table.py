"""The short table at the end of a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dsi.clock import local_time, wall_s_of

_STYLES = {"passed": "green", "cancelled": "yellow", "not run": "yellow"}


def print_tests(console: Console, rows: Iterable[tuple[str, str, float, str]]) -> None:
    """Print the tests: id, outcome, duration in seconds, and why it didn't pass."""
    table = Table(title="tests", title_justify="left")
    for heading in ("test", "outcome", "duration", "why"):
        table.add_column(heading, justify="right" if heading == "duration" else "left", overflow="fold")
    for name, status, duration_s, reason in rows:
        table.add_row(
            escape(name), Text(status, style=_STYLES.get(status, "red")), f"{duration_s:.1f} s", escape(reason)
        )
    console.print(table)


def why(reason: str, notes: Sequence[str]) -> str:
    """Say why a test didn't pass, and what else is to be known of it."""
    return "\n".join(part for part in (reason, *(f"also: {note}" if reason else note for note in notes)) if part)


def print_restarts(console: Console, restarts: Sequence[Mapping[str, Any]]) -> None:
    """Print each restart of the cluster (as the timeline has its end): when it began, by this machine's time of day as
    the lines above, how long it took, and writes were refused.
    """
    if not restarts:
        return
    table = Table(title="restarts of the cluster", title_justify="left")
    for heading in ("at", "what", "restart took", "writes refused"):
        table.add_column(heading, justify="right" if "took" in heading or "refused" in heading else "left")
    for event in restarts:
        table.add_row(
            local_time(wall_s_of(event["time"]) - event["duration_s"]),
            _what(event),
            f"{event['duration_s']:.1f} s",
            _seconds(event.get("writes_refused_s")),
        )
    console.print(table)


def _what(event: Mapping[str, Any]) -> str:
    asked, restarted = event.get("nodes"), event.get("restarted") or []
    by_role = restarted and asked and any(":" in name for name in asked)
    what = [*(asked or ["all nodes"]), *([f"({', '.join(restarted)})"] if by_role else [])]
    how = [word for word in (event.get("mode"),) if word not in (None, "clean")]
    cleaned = [word for word in ("clean_db_dir", "clean_logs") if event.get(word)]
    end = ["failed"] if event["error"] else ["interrupted"] if event.get("interrupted") else []
    return ", ".join([" ".join(what), *how, *cleaned, *end])


def _seconds(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in value.items())
    return f"{value:.1f} s" if isinstance(value, int | float) else "not known"
