import json
from pathlib import Path

import pytest

from dsi.timeline import Timeline, read_events


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
