import ast
import asyncio
import contextlib
import json
import time
from pathlib import Path

import pytest

from dsi.errors import ReportError
from dsi.timeline import EVENTS, Timeline, events_table, follow, read, read_events, spans

ROOT = Path(__file__).parents[2]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_event_is_a_whole_line_at_once(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "t")
    timeline.add("mark", name="Größe")
    assert [line["event"] for line in lines(tmp_path / "t")] == ["timeline", "mark"]
    timeline.close()


def test_a_span_tells_how_it_ended_and_lets_the_error_through(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "t")
    with pytest.raises(ValueError, match="boom"), timeline.span("step", hook="x") as more:
        more["rows"] = 3
        raise ValueError("boom")
    begin, end = lines(tmp_path / "t")[1:]
    assert (begin["event"], begin["hook"]) == ("step_begin", "x")
    assert (end["event"], end["error"], end["rows"]) == ("step_end", "boom", 3)
    assert isinstance(end["duration_s"], float)
    timeline.close()


async def test_a_span_that_is_called_off_has_not_failed(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "timeline.jsonl")

    async def restart() -> None:
        with timeline.span("restart_mongodb"):
            await asyncio.Event().wait()

    task = asyncio.create_task(restart())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with timeline.span("restart_mongodb"):
        pass
    timeline.close()
    called_off, done = spans(read(tmp_path / "timeline.jsonl"), "restart_mongodb")
    assert (called_off.interrupted, called_off.error) == (True, None)
    assert (done.interrupted, done.error) == (False, None)
    assert done.end is not None
    assert "interrupted" not in done.end.fields


def test_what_happened_before_there_was_a_file_goes_there_first(tmp_path: Path) -> None:
    timeline = Timeline(None)
    timeline.add("early")
    timeline.move_to(tmp_path / "t")
    timeline.add("late")
    assert [line["event"] for line in lines(tmp_path / "t")] == ["timeline", "early", "late"]
    timeline.close()


def test_a_full_disk_breaks_nothing() -> None:
    timeline = Timeline(Path("/dev/full"))
    assert timeline.add("mark")["event"] == "mark"
    timeline.close()


def test_events_of_one_kind_are_read_again_also_after_a_crash_in_the_middle_of_a_line(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "t")
    timeline.add("mark", name='"event": "other"')
    timeline.add("other", n=1)
    timeline.close()
    with (tmp_path / "t").open("a") as file:
        file.write('{"event": "other", "n"')
    assert [event["n"] for event in read_events(tmp_path / "t", "other")] == [1]
    timeline = Timeline(tmp_path / "t")  # another dsi goes on
    timeline.add("other", n=2)
    timeline.close()
    events = list(read(tmp_path / "t"))
    assert [(event.name, event.process) for event in events] == [
        ("timeline", 0),
        ("mark", 0),
        ("other", 0),
        ("timeline", 1),
        ("other", 1),
    ]
    assert events[-1].fields["n"] == 2
    assert events[-1].time_s == pytest.approx(time.time(), abs=3600)


def test_a_span_without_an_end_was_cut_off_and_two_at_once_are_told_apart(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "t")
    with (
        timeline.span("restart", nodes=["a"]),
        timeline.span("restart", nodes=["b"]),
        contextlib.suppress(ValueError),
        timeline.span("restart", nodes=["c"]),
    ):
        raise ValueError("boom")
    timeline.add("restart_begin", nodes=["d"], span=4)
    timeline.close()
    found = [
        (span.begin.fields["nodes"], span.end is None, span.error) for span in spans(read(tmp_path / "t"), "restart")
    ]
    assert found == [(["a"], False, None), (["b"], False, None), (["c"], False, "boom"), (["d"], True, None)]


def test_a_timeline_that_is_being_written_is_followed_line_by_line(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "t")
    with (tmp_path / "t").open("rb") as file, (tmp_path / "t").open("ab", buffering=0) as other:
        following = (event and event.name for event in follow(tmp_path / "t", file))
        assert next(following) == "timeline"
        assert next(following) is None
        timeline.add("one")
        other.write(b'{"time": "2026-01-31T12:00:00.000Z", "monotonic_s": 1.5')
        assert next(following) == "one"
        assert next(following) is None
        other.write(b', "event": "two"}\n')
        assert next(following) == "two"
    timeline.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '{"time": "2026-01-31T12:00:00.000Z", "monotonic_s": 1.5, "event": "timeline", "version": 99}\n',
            "version 99",
        ),
        ('{"time": "2026-01-31T12:00:00.000Z", "monotonic_s": 1.5, "event": "mark"}\n', "no timeline of dsi"),
    ],
)
def test_what_is_no_timeline_of_this_dsi_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(ReportError, match=why):
        list(read(tmp_path / "t"))


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    Timeline(tmp_path / "t").close()
    with (tmp_path / "t").open("ab") as file:
        file.write(b'\xff\xfe\n[]\nnull\n{"event": 3}\n\n{"time": "x", "monotonic_s": 1, "event": "mark"}\n')
    assert [event.name for event in read(tmp_path / "t")] == ["timeline"]


def test_the_page_has_the_table_of_events() -> None:
    assert f"\n\n{events_table()}\n" in (ROOT / "docs" / "timeline.md").read_text()


def test_every_event_that_is_written_is_in_the_table_with_all_its_fields() -> None:
    """What is written by `timeline.add`, `timeline.span`, and what hosts tell about their connections."""
    strange = []
    calls = [call for path in sorted((ROOT / "src").rglob("*.py")) for call in _calls(path)]
    for name, fields, is_span in calls:
        kind = EVENTS.get(name) or EVENTS.get(name.removesuffix("_begin").removesuffix("_end"))
        if (
            kind is None
            or not fields <= {*kind.fields, *(kind.ends_with or ())}
            or is_span != (kind.ends_with is not None)
        ):
            strange.append((name, fields))
    assert not strange
    assert {name for name, _, _ in calls} | {"timeline"} >= set(EVENTS)


def _calls(path: Path) -> list[tuple[str, set[str], bool]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="add" | "span" as how, value=value), args=[ast.Constant(value=str(name))]
            ):
                called_on = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
                is_ours = called_on.lstrip("_") == "timeline"
            case ast.Call(func=ast.Attribute(attr="_tell" as how), args=[ast.Constant(value=str(name))]):
                is_ours = True
            case _:
                continue
        if is_ours:
            found.append((name, {keyword.arg for keyword in node.keywords if keyword.arg}, how == "span"))
    return found
