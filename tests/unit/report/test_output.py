import pytest
from structlog.testing import capture_logs

from dsi.clock import SystemClock
from dsi.report.output import OutputLog


class StillClock(SystemClock):
    """Stands at `now_s`."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s


def lines(first: int, count: int) -> bytes:
    return "".join(f"{number}\n" for number in range(first, first + count)).encode()


async def shown(output: OutputLog, block: bytes) -> list[str]:
    with capture_logs() as logs:
        await output.show("mongod.0", "stdout", block)
    return [entry["event"] for entry in logs]


async def test_output_is_logged_line_by_line_with_its_host() -> None:
    assert await shown(OutputLog(StillClock()), b"one\ntwo\xff\n") == ["mongod.0: one", "mongod.0: two\ufffd"]


async def test_of_a_line_without_end_the_beginning_is_shown() -> None:
    assert await shown(OutputLog(StillClock()), b"x" * 65_536) == [f"mongod.0: {'x' * 2000}…"]


async def test_of_a_block_with_thousands_of_lines_the_beginning_is_shown_and_the_rest_counted() -> None:
    got = await shown(OutputLog(StillClock()), lines(0, 2000))
    assert got == [*(f"mongod.0: {number}" for number in range(50)), "mongod.0: … and 1950 more lines"]


@pytest.mark.parametrize("per_block", [40, 50])
async def test_of_a_flood_the_beginning_of_each_second_is_shown_and_every_line_is_counted(per_block: int) -> None:
    clock = StillClock()
    output = OutputLog(clock)
    for _ in range(200 // per_block):
        assert len(await shown(output, lines(0, per_block))) == per_block
    assert await shown(output, lines(7, 3)) == ["mongod.0: … and 3 more lines"]
    clock.now_s += 1
    assert await shown(output, lines(7, 1)) == ["mongod.0: 7"]
