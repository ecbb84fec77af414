import io
from typing import Any

import pytest
from rich.console import Console

from dsi.report.table import print_restarts


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
