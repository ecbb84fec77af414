from dsi.control import Hearing
from dsi.control.hearing import MAX_RESULTS_BYTES
from dsi.hosts.base import KEEP_BYTES
from dsi.model import Result


async def test_of_each_output_the_end_is_kept_and_marked() -> None:
    hearing = Hearing()
    hearing.begun("a")
    for _ in range(5):
        await hearing.output("a", "stdout", b"x" * KEEP_BYTES)
    await hearing.output("a", "stdout", b"the end")
    hearing.ended(Result(host="a", command="", exit_status=0))
    (entry,) = hearing.results()
    assert (len(entry["stdout"]), entry["stdout"][-7:], entry["stderr"], entry["cut"]) == (
        KEEP_BYTES,
        "the end",
        "",
        True,
    )


async def test_a_reply_is_bounded_whatever_the_number_of_hosts() -> None:
    hearing = Hearing()
    for number in range(100):
        hearing.begun(str(number))
        await hearing.output(str(number), "stdout", b"x" * 2 * KEEP_BYTES)
        await hearing.output(str(number), "stderr", b"x" * 2 * KEEP_BYTES)
    size = sum(len(entry["stdout"]) + len(entry["stderr"]) for entry in hearing.results())
    assert MAX_RESULTS_BYTES * 0.9 < size <= MAX_RESULTS_BYTES


async def test_a_cut_leaves_no_half_character() -> None:
    hearing = Hearing()
    hearing.begun("a")
    await hearing.output("a", "stdout", "€".encode() * KEEP_BYTES)
    assert set(hearing.results()[0]["stdout"]) == {"€"}


async def test_several_verbs_of_one_host_are_one_entry_with_the_last_exit_status() -> None:
    hearing = Hearing()
    for exit_status, block in ((0, b"one "), (3, b"two")):
        hearing.begun("a")
        await hearing.output("a", "stdout", block)
        assert hearing.results()[0]["exit_code"] is None
        hearing.ended(Result(host="a", command="", exit_status=exit_status))
    (entry,) = hearing.results()
    assert (entry["exit_code"], entry["stdout"]) == (3, "one two")
