import io
import time
from typing import Any

import pytest
from rich.console import Console

from dsi.clock import local_time, wall_s_of
from dsi.report.table import print_restarts, why


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "all nodes"),
        ({"mode": "clean", "clean_logs": True}, "all nodes, clean_logs"),
        ({"mode": "rolling"}, "all nodes, rolling"),
        ({"nodes": ["a", "b"], "restarted": ["a", "b"], "mode": "crash"}, "a b, crash"),
        ({"nodes": ["rs0:primary"], "restarted": ["first"]}, "rs0:primary (first)"),
        ({"nodes": ["rs0:primary"], "interrupted": True}, "rs0:primary, interrupted"),
        ({"mode": "crash", "error": "first does not start"}, "all nodes, crash, failed"),
    ],
)
def test_a_restart_is_shown_with_what_was_restarted_and_how(fields: dict[str, Any], shown: str) -> None:
    text = io.StringIO()
    event = {"time": "2026-01-31T12:00:00Z", "duration_s": 1.0, "error": None, **fields}
    print_restarts(Console(file=text, width=120), [event])
    assert f" {shown} " in text.getvalue()


def test_a_restart_is_shown_at_the_local_time_of_its_begin_as_log_lines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        text = io.StringIO()
        event = {"time": "2026-01-31T12:00:00.500Z", "duration_s": 1.5, "error": None}
        print_restarts(Console(file=text, width=120), [event])
        assert local_time(wall_s_of("2026-01-31T12:00:00Z")) == "17:30:00"
        assert " 17:29:59 " in text.getvalue()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_notes_stand_below_the_reason_or_alone() -> None:
    assert why("it failed", ["a", "b"]) == "it failed\nalso: a\nalso: b"
    assert why("", ["a", "b"]) == "a\nb"
