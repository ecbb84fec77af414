"""What a server wrote to its log, for people."""

import json
from collections.abc import Sequence
from typing import Any

from dsi.hosts.base import Host
from dsi.systems.mongodb import folders
from dsi.systems.mongodb.layout import Layout

_SEARCHED_LINES = 200
"""How far back errors are looked for: a server that gives up writes some sixty lines about how it ends."""

_SHOWN_LINES = 10
_BAD = {"E", "F"}
_START = "SERVER RESTARTED"


async def tail(host: Host, layout: Layout) -> list[str]:
    """Give the lines that tell most of a server's log, and of what it said before it had one; ten at most.

    Raises:
        HostError: the host can't be reached.
    """
    files = layout.files
    said = await folders.tail(host, files.out, lines=_SEARCHED_LINES)
    logged = await folders.tail(host, layout.log_path, lines=_SEARCHED_LINES, written_since=files.pid)
    return telling(logged, said)


def telling(logged: Sequence[str], said: Sequence[str] = ()) -> list[str]:
    """Choose what tells most: the last lines since the last start, and errors before them; ten at most, readable. Pure.

    `said` is what the server wrote to its standard output, before it had a log or because it could not log. What is in
    plain words there is an error, too.
    """
    begun = max((number for number, line in enumerate(logged) if _START in line), default=0)
    entries = [(line, _entry(line)) for line in (*said, *logged[begun:])]
    plain = {number for number, (line, entry) in enumerate(entries[: len(said)]) if entry is None and line.strip()}
    bad = [number for number, (_, entry) in enumerate(entries) if number in plain or (entry and entry["s"] in _BAD)]
    last = range(max(len(entries) - _SHOWN_LINES + len(bad[-_SHOWN_LINES:]), 0), len(entries))
    chosen = sorted({*bad[-_SHOWN_LINES:], *last})
    return [_readable(*entries[number]) for number in chosen]


def _entry(line: str) -> dict[str, Any] | None:
    """Read a line of the log; None for one that isn't JSON of the server's form."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"t", "s", "c", "msg"} <= entry.keys() else None


def _readable(line: str, entry: dict[str, Any] | None) -> str:
    """Write an entry as `TIME SEVERITY COMPONENT: MESSAGE ATTRIBUTES`; what is none stays as it is."""
    if entry is None:
        return line
    attributes = f" {json.dumps(entry['attr'])}" if entry.get("attr") else ""
    return f"{entry['t'].get('$date')} {entry['s']} {entry['c']}: {entry['msg']}{attributes}"
