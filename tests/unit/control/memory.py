"""A dsisocket without a network: connections in memory, and commands that end when a test says so."""

import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from dsi.control import Hearing, Run
from dsi.errors import CommandFailed, InvalidCommand
from dsi.model import Result

HOST = "workload_client.0"


class AtOnce(ThreadPoolExecutor):
    """Does in the loop's own thread what a thread would do: then a test knows when nothing more will happen."""

    def submit(self, do: Callable[..., Any], /, *arguments: Any, **more: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(do(*arguments, **more))
        except OSError as problem:
            future.set_exception(problem)
        return future


class QuickLoop(asyncio.SelectorEventLoop):
    """Its time is its own: it passes when nothing else is left to be done, and then at once."""

    def __init__(self) -> None:
        super().__init__(_NeverWaits(self))
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s


class _NeverWaits(selectors.DefaultSelector):
    def __init__(self, loop: QuickLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen any more"
        self._loop.now_s += max(timeout, 0)
        return super().select(0)


class Wire:
    """One connection: what the client has sent is in `reader`, what it was sent in `lines`."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.lines: list[dict[str, Any]] = []
        self.is_cut = False
        self.is_closed = False

    def send(self, raw: Any) -> None:
        self.reader.feed_data(json.dumps(raw).encode() + b"\n")

    def cut(self) -> None:
        self.is_cut = True
        self.reader.set_exception(ConnectionResetError("cut"))

    # what a Writer can do

    def write(self, data: bytes, /) -> None:
        if not self.is_cut:
            self.lines += [json.loads(line) for line in data.splitlines()]

    async def drain(self) -> None:
        if self.is_cut:
            raise ConnectionResetError("cut")

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    async def wait_closed(self) -> None:
        pass


class Commands:
    """Fakes: `{"exec": NAME}` runs until `end(NAME)`, which says how it ends."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.running: dict[str, asyncio.Future[int]] = {}

    def __call__(self, raw: Any) -> Run:
        match raw:
            case {"exec": str(name)} if len(raw) == 1:
                return lambda hearing: self._run(name, hearing)
        raise InvalidCommand("Invalid command type", allowed=["exec"])

    def end(self, name: str, exit_status: int) -> None:
        self.running.pop(name).set_result(exit_status)

    def _run(self, name: str, hearing: Hearing) -> Awaitable[None]:
        async def run() -> None:
            self.begun.append(name)
            self.running[name] = asyncio.get_running_loop().create_future()
            hearing.begun(HOST)
            try:
                await hearing.output(HOST, "stdout", b"begun ")
                exit_status = await self.running[name]
            finally:
                self.running.pop(name, None)
            await hearing.output(HOST, "stdout", b"ended")
            result = Result(host=HOST, command=name, exit_status=exit_status)
            hearing.ended(result)
            if exit_status:
                raise CommandFailed([result])

        return run()
