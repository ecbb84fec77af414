"""Which ends of a node's processes are meant."""

from dsi.systems.mongodb.ends import Ends
from dsi.systems.mongodb.process import Process

FIRST, SECOND = Process(11, 1000), Process(12, 2000)


def test_an_announced_end_is_that_of_one_process_alone() -> None:
    ends = Ends()
    ends.expect(FIRST)

    assert ends.is_expected(FIRST)
    assert not ends.is_expected(SECOND)


def test_what_others_ended_was_meant_if_it_was_announced_and_not_taken_back() -> None:
    ends = Ends()
    assert not ends.was_last_expected, "nobody has ended anything"

    ends.expect(FIRST)
    ends.expect(SECOND)
    ends.saw(FIRST)
    assert ends.was_last_expected

    ends.expect_none(but_of={FIRST})
    assert ends.was_last_expected
    ends.saw(SECOND)
    assert not ends.was_last_expected
