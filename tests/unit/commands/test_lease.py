import asyncio

from dsi.commands import Lease, Nobody


class Heard(Nobody):
    def __init__(self) -> None:
        self.waited_for: list[str] = []

    async def waiting(self, for_what: str) -> None:
        self.waited_for.append(for_what)


async def test_who_waits_is_told_for_what_and_who_need_not_wait_is_not() -> None:
    lease, first, second = Lease(), Heard(), Heard()
    order: list[str] = []

    async def wait() -> None:
        async with lease.held("restart_mongodb", second):
            order.append("second")

    async with lease.held("network_delays", first):
        waiting = asyncio.create_task(wait())
        while not second.waited_for:
            await asyncio.sleep(0)
        order.append("first")
    await waiting
    assert (order, first.waited_for, second.waited_for) == (["first", "second"], [], ["network_delays"])


async def test_who_is_cancelled_while_waiting_leaves_the_lease_to_others() -> None:
    lease, heard = Lease(), Heard()

    async def wait() -> None:
        async with lease.held("restart_mongodb", heard):
            raise AssertionError

    async with lease.held("restart_mongodb", Nobody()):
        waiting = asyncio.create_task(wait())
        while not heard.waited_for:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    async with lease.held("restart_mongodb", Nobody()):
        pass
