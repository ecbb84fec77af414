"""What is said of processes that `cmd` has left running."""

from dsi.runner.left_behind import listed


def test_processes_that_are_the_same_are_told_once_with_how_many() -> None:
    assert listed(["sleep 7", "vmstat 1", *["sleep 7"] * 299]) == "sleep 7 (300 times); vmstat 1"


def test_that_a_list_goes_on_is_seen() -> None:
    assert listed(f"sleep {seconds}" for seconds in range(500)).endswith("…")
