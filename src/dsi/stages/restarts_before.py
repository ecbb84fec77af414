"""Restarts that a dsi which was killed had begun in the test that is taken over: it alone knew what came of them."""

from collections.abc import Iterator
from pathlib import Path

from dsi.commands import Context
from dsi.config.models import Test
from dsi.errors import NoEffect, raise_together
from dsi.runner import Check
from dsi.timeline import Event, Span, read, spans


def check_of_restarts_before(timeline: Path, taken_over: str) -> Check:
    """Give a check that tells of restarts without a good end. It is made before the test goes on.

    Raises:
        ReportError: the timeline can't be read.
    """
    found = list(_in_vain(timeline, taken_over))

    async def check(_context: Context, test: Test) -> None:
        if test.id == taken_over:
            raise_together(found)

    return check


def _in_vain(timeline: Path, test: str) -> Iterator[NoEffect]:
    for span in spans(_since_its_begin(timeline, test), "restart_mongodb"):
        if span.end is None:
            yield NoEffect(f"{_asked(span)} was under way when dsi was killed: whether it took effect is not known")
        elif span.interrupted:
            yield NoEffect(f"{_asked(span)} was called off, before dsi was killed")
        elif span.error is not None:
            yield NoEffect(f"{_asked(span)} failed, before dsi was killed: {span.error}")


def _since_its_begin(timeline: Path, test: str) -> Iterator[Event]:
    has_begun = False
    for event in read(timeline):
        has_begun = has_begun or (event.name == "test_begin" and event.fields.get("test") == test)
        if has_begun:
            yield event


def _asked(span: Span) -> str:
    nodes = span.begin.fields.get("nodes")
    return f"restart_mongodb of {', '.join(nodes) if nodes else 'all nodes'}"
