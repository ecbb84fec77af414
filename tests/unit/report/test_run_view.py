"""What is told and shown of a run."""

from typing import Any

import pytest

from dsi.report.event_line import event_line
from dsi.report.run_view import RunView
from dsi.timeline import EVENTS
from dsi.timeline.events import names_of

VALUES: dict[str, Any] = {
    "nodes": ["rs0:primary"],
    "hosts": ["mongod.0", "mongod.1"],
    "late_s": 0.25,
    "after_s": 1.5,
    "duration_s": 2.5,
    "error": None,
    "expected": False,
}


def line(event: str, **fields: Any) -> dict[str, Any]:
    kind = EVENTS.get(event) or EVENTS[event.removesuffix("_begin").removesuffix("_end")]
    names = [*kind.fields, *(kind.ends_with or ()), "duration_s", "error"]
    values = {name: VALUES.get(name, name) for name in names}
    return {"time": "2026-01-31T12:00:00.000Z", "monotonic_s": 5.0, "event": event, **values, **fields}


@pytest.mark.parametrize("event", [name for event in EVENTS for name in names_of(event)])
def test_every_event_can_be_told_and_shown(event: str) -> None:
    view = RunView(0.0)
    text = event_line(line(event))
    view.event(line(event))
    assert text is None or "\n" not in text


def test_a_restart_is_told_with_how_long_it_took() -> None:
    assert event_line(line("restart_mongodb_begin", mode="crash")) == "restart_mongodb rs0:primary (crash) begins"
    done = line("restart_mongodb_end", nodes=None, mode="clean")
    assert event_line(done) == "restart_mongodb all nodes done after 2.5 s"
    failed = line("restart_mongodb_end", mode="clean", error="no primary")
    assert event_line(failed) == "restart_mongodb rs0:primary failed: no primary after 2.5 s"


def test_a_host_whose_connection_broke_is_not_up_until_it_is_back() -> None:
    view = RunView(0.0)
    assert view.hosts_up == ""
    view.event(line("hosts"))
    assert view.hosts_up == "2 of 2 hosts up"
    view.event(line("connection_lost", host="mongod.1"))
    assert view.hosts_up == "1 of 2 hosts up (not mongod.1)"
    view.event(line("connection_regained", host="mongod.1"))
    assert view.hosts_up == "2 of 2 hosts up"


def test_a_new_test_begins_with_nothing_of_the_last_one() -> None:
    view = RunView(0.0)
    view.event(line("test_begin", test="one", number=1, total=2))
    view.event(line("node_down"))
    view.event(line("dsisocket_command_begin"))
    view.output(b"some\nout")
    assert (view.test, view.nodes_down, view.socket_commands) == ("test one (1 of 2)", ["node"], 1)
    assert view.lines == ["some", "out"]
    view.event(line("test_end"))
    view.event(line("test_begin", test="two", number=2, total=2))
    assert (view.test, view.nodes_down, view.socket_commands, view.lines) == ("test two (2 of 2)", [], 0, [])


def test_output_without_newlines_takes_no_more_memory_than_a_line() -> None:
    view = RunView(0.0)
    for _ in range(100):
        view.output(b"x" * 65536)
    assert len(view.lines) == 1
    assert len(view.lines[0]) == 1000
