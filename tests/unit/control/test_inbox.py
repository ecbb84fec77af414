import asyncio

from dsi.control.inbox import MAX_BYTES, MAX_LINES, Asked, Inbox


async def put_all(inbox: Inbox, *texts: str) -> int:
    """Put as many as go in; give how many did."""
    taken = 0

    async def put() -> None:
        nonlocal taken
        for text in texts:
            await inbox.put(Asked(text=text))
            taken += 1

    task = asyncio.create_task(put())
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return taken


async def test_lines_and_bytes_that_wait_are_bounded() -> None:
    assert await put_all(Inbox(), *["x"] * 1000) == MAX_LINES
    assert await put_all(Inbox(), *["x" * 1000] * 1000) == MAX_BYTES // 1000


async def test_one_line_always_has_a_place_however_long() -> None:
    inbox = Inbox()
    assert await put_all(inbox, "x" * 10 * MAX_BYTES, "y") == 1
    assert (asked := await inbox.get()) is not None
    assert len(asked.text) == 10 * MAX_BYTES
    assert await put_all(inbox, "y", "x" * 10 * MAX_BYTES) == 1


async def test_who_waits_for_room_goes_on_when_a_line_is_taken_out_or_removed() -> None:
    inbox = Inbox()
    first, second, third = (Asked(text="x" * MAX_BYTES) for _ in range(3))
    await inbox.put(first)
    putting = asyncio.create_task(inbox.put(second))
    await asyncio.sleep(0)
    assert inbox.remove(first)
    assert not inbox.remove(first)
    await putting
    putting = asyncio.create_task(inbox.put(third))
    assert await inbox.get() is second
    await putting
    inbox.close()
    assert [await inbox.get(), await inbox.get()] == [third, None]
