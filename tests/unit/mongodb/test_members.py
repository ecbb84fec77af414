"""What a replica set's members are, and what follows: no server is needed to say it."""

import pytest

from dsi.systems.mongodb.members import Members, MemberState, can_elect

PREFERRED: list[dict[str, object]] = [{"priority": 2}, {}, {}]
SOON_S, LATER_S, LATE_S = 0.1, 3.0, 16.0


def members(*states: MemberState, entries: list[dict[str, object]] = PREFERRED) -> Members:
    return Members(entries, states)


def test_the_favourites_are_those_of_highest_priority_that_answer() -> None:
    assert members("SECONDARY", "SECONDARY", "SECONDARY").favourites() == {0}
    assert members("down", "SECONDARY", "SECONDARY").favourites() == {1, 2}
    assert members("SECONDARY", "down", entries=[{"arbiterOnly": True}, {}]).favourites() == set()


def test_a_set_is_whole_once_a_favourite_is_primary_and_all_who_are_waited_for_are_in_it() -> None:
    assert members("PRIMARY", "SECONDARY", "ARBITER").is_whole([0, 1, 2], SOON_S)
    assert not members("PRIMARY", "NOT READY", "SECONDARY").is_whole([1], SOON_S)
    assert members("PRIMARY", "NOT READY", "SECONDARY").is_whole([2], SOON_S)
    assert not members("SECONDARY", "SECONDARY", "SECONDARY").is_whole([0], LATE_S)


def test_another_primary_than_the_favourite_is_good_enough_where_the_favourite_is_down_or_much_time_has_passed() -> (
    None
):
    assert not members("SECONDARY", "PRIMARY", "SECONDARY").is_whole([0], SOON_S)
    assert members("down", "PRIMARY", "SECONDARY").is_whole([1], SOON_S)
    assert members("SECONDARY", "PRIMARY", "SECONDARY").is_whole([0], LATE_S)


@pytest.mark.parametrize(
    ("states", "waited_s", "candidates"),
    [
        (("SECONDARY", "SECONDARY", "SECONDARY"), SOON_S, [0]),
        (("SECONDARY", "SECONDARY", "SECONDARY"), LATER_S, [0, 1, 2]),
        (("NOT READY", "SECONDARY", "SECONDARY"), SOON_S, []),
        (("NOT READY", "SECONDARY", "SECONDARY"), LATER_S, [1, 2]),
        (("SECONDARY", "PRIMARY", "SECONDARY"), LATER_S, [0]),
        (("PRIMARY", "SECONDARY", "SECONDARY"), LATER_S, []),
    ],
)
def test_the_favourite_is_stepped_up_and_others_only_after_a_while_without_a_primary(
    states: tuple[MemberState, ...], waited_s: float, candidates: list[int]
) -> None:
    assert members(*states).candidates(waited_s) == candidates


def test_a_primary_hands_over_to_a_secondary_that_can_be_primary_the_highest_priority_first() -> None:
    entries: list[dict[str, object]] = [{}, {}, {"priority": 5}, {"priority": 0}, {"priority": 9}]
    found = members("PRIMARY", "SECONDARY", "SECONDARY", "SECONDARY", "down", entries=entries)

    assert found.successors() == [2, 1]


@pytest.mark.parametrize(
    ("entries", "down", "can"),
    [
        ([{}, {}, {}], [1], True),
        ([{}, {}, {}], [1, 2], False),
        ([{}, {}], [1], False),
        ([{}], [], True),
        ([{}, {}, {"arbiterOnly": True}], [1], True),
        ([{}, {"priority": 0}, {"arbiterOnly": True}], [0], False),
        ([{}, {"votes": 0, "priority": 0}, {"votes": 0, "priority": 0}], [1, 2], True),
        ([{}, {}, {"votes": 0, "priority": 0}], [1], False),
    ],
)
def test_a_primary_needs_a_majority_of_the_votes_and_one_that_can_be_elected(
    entries: list[dict[str, object]], down: list[int], can: bool
) -> None:
    assert can_elect(entries, without=down) is can
