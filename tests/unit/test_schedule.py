import pytest

from dsi.errors import InvalidCommand
from dsi.schedule import by_time, split_at


@pytest.mark.parametrize(
    ("at", "seconds"),
    [("00:00:10", 10), ("01:02:03", 3723), ("2:05", 125), ("90:00", 5400), (90, 90), ("15", 15), (0, 0)],
)
def test_at_is_read_in_every_specified_form(at: object, seconds: int) -> None:
    assert split_at({"at": at, "on_mongod": "true"}) == (seconds, {"on_mongod": "true"})


@pytest.mark.parametrize("at", ["1:60", "0:60:00", "soon", -1, 1.5, True, None, "1:2:3:4", ""])
def test_what_is_no_time_is_refused(at: object) -> None:
    with pytest.raises(InvalidCommand, match="at"):
        split_at({"at": at, "on_mongod": "true"})


def test_an_entry_without_a_time_is_refused() -> None:
    with pytest.raises(InvalidCommand, match="needs `at`"):
        split_at({"on_mongod": "true"})


def test_two_commands_at_one_time_both_stay_in_the_order_written() -> None:
    assert by_time([(5, "a"), (1, "b"), (5, "c"), (1, "d")]) == [(1, "b"), (1, "d"), (5, "a"), (5, "c")]
