import asyncio

from dsi.commands import Lease, Nobody

LIMIT_S = 60
"""Of a test that would hang otherwise."""


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


async def test_the_third_is_told_of_the_first_and_then_of_the_second() -> None:
    lease, order = Lease(), list[str]()
    heard = {"second": Heard(), "third": Heard()}
    go_on = asyncio.Event()

    async def wait(name: str) -> None:
        async with lease.held(name, heard[name]):
            order.append(name)
            await go_on.wait()

    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        async with lease.held("first", Nobody()):
            for name in heard:
                tasks.create_task(wait(name))
                while not heard[name].waited_for:
                    await asyncio.sleep(0)
        while len(heard["third"].waited_for) < 2:
            await asyncio.sleep(0)
        assert order == ["second"]
        go_on.set()
    assert order == ["second", "third"]
    assert heard["second"].waited_for == ["first"]
    assert heard["third"].waited_for == ["first", "second"]


class Slow(Nobody):
    """Takes no event for as long as it is asked."""

    def __init__(self) -> None:
        self.is_told = asyncio.Event()

    async def waiting(self, _for_what: str) -> None:
        self.is_told.set()
        await asyncio.Event().wait()


async def test_a_client_that_reads_slowly_keeps_its_place_and_holds_nobody_up() -> None:
    lease, slow, order = Lease(), Slow(), list[str]()

    async def wait(name: str, listener: Nobody) -> None:
        async with lease.held(name, listener):
            order.append(name)

    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks, lease.held("first", Nobody()):
        tasks.create_task(wait("slow", slow))
        await slow.is_told.wait()
        quick = Heard()
        tasks.create_task(wait("quick", quick))
        while not quick.waited_for:
            await asyncio.sleep(0)
    assert order == ["slow", "quick"]


async def test_one_who_is_called_off_in_the_middle_of_the_queue_is_passed_over() -> None:
    lease, order = Lease(), list[str]()
    heard = {"second": Heard(), "third": Heard()}

    async def wait(name: str) -> None:
        async with lease.held(name, heard[name]):
            order.append(name)

    async with asyncio.timeout(LIMIT_S), lease.held("first", Nobody()):
        waiting = {name: asyncio.create_task(wait(name)) for name in heard}
        while not all(each.waited_for for each in heard.values()):
            await asyncio.sleep(0)
        waiting["second"].cancel()
        await asyncio.wait({waiting["second"]})
        assert not order
    await waiting["third"]
    assert (order, heard["third"].waited_for) == (["third"], ["first"])
