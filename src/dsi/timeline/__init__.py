"""What happened when: `reports/timeline.jsonl`, its events, writer and reader (docs/timeline.md)."""

from dsi.timeline.events import EVENTS, VERSION, EventKind, events_table
from dsi.timeline.reader import Event, Span, follow, read, read_events, spans
from dsi.timeline.writer import Timeline

__all__ = [
    "EVENTS",
    "VERSION",
    "Event",
    "EventKind",
    "Span",
    "Timeline",
    "events_table",
    "follow",
    "read",
    "read_events",
    "spans",
]
