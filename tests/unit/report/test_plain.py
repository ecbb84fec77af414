"""What is told of events where there is no terminal."""

from collections.abc import Mapping
from typing import Any

from dsi.report.plain import MARKS_OF_A_SECOND, PlainProgress


def mark(name: str, monotonic_s: float) -> Mapping[str, Any]:
    return {"event": "mark", "name": name, "monotonic_s": monotonic_s}


def test_of_thousands_of_marks_the_first_of_each_second_are_told_and_that_there_are_more() -> None:
    told: list[str] = []
    progress = PlainProgress(lambda _line, text: told.append(text))
    for number in range(1_000):
        progress.event(mark(f"{number}", 7 + number / 1_000))
    progress.event(mark("later", 8.5))
    assert told == [
        *(f"mark {number}" for number in range(MARKS_OF_A_SECOND)),
        "the next ones of this second are in the timeline alone",
        "mark later",
    ]


def test_what_is_no_mark_is_always_told() -> None:
    told: list[str] = []
    progress = PlainProgress(lambda _line, text: told.append(text))
    for number in range(20):
        progress.event({"event": "stage", "stage": f"s{number}", "monotonic_s": 7.0})
    assert len(told) == 20
