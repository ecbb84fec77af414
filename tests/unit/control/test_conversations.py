"""Any number of clients doing anything in any order: each line is answered once, in order, and nothing runs twice."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule
from tests.unit.control.memory import AtOnce, Commands, Wire

from dsi.config.models import Dsisocket
from dsi.control import DsisocketServer, Journal
from dsi.timeline import Timeline

IDLE_ROUNDS = 60
"""More turns of the loop than any line needs until nothing is left to be done for it."""


@dataclass
class Client:
    wire: Wire
    serving: "asyncio.Task[None]"
    in_order: set[int] = field(default_factory=set)
    """Ids of the lines that are answered in order."""
    at_once: set[int] = field(default_factory=set)
    """Ids of the lines that are answered at any time."""
    is_open: bool = True

    def replies(self) -> list[dict[str, Any]]:
        return [line for line in self.wire.lines if "event" not in line]


class Conversations(RuleBasedStateMachine):
    clients = Bundle("clients")

    @initialize(target=clients)
    def begin(self) -> MultipleResults[Client]:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(AtOnce())
        self.commands = Commands()
        self.journal = Journal()
        self.server = DsisocketServer(self.commands, Timeline(None), Dsisocket(), journal=self.journal)
        self.ids = itertools.count()
        self.all: list[Client] = []
        self.cancelled: set[int] = set()
        return multiple(self.connect(), self.connect(), self.connect())

    def settle(self) -> None:
        async def idle() -> None:
            for _ in range(IDLE_ROUNDS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())

    def connect(self) -> Client:
        async def serve() -> Client:
            wire = Wire()
            return Client(wire, asyncio.create_task(self.server.serve(wire.reader, wire)))

        client = self.loop.run_until_complete(serve())
        self.all.append(client)
        return client

    @rule(target=clients)
    def one_more_client(self) -> Client:
        return self.connect()

    @rule(clients=st.lists(clients, min_size=1, max_size=6), retry=st.sampled_from("abc-"), stream=st.booleans())
    def several_ask(self, clients: list[Client], retry: str, stream: bool) -> None:
        for client in clients:
            self.ask(client, retry, stream, together=True)
        self.settle()

    @rule(client=clients, retry=st.sampled_from("abc-"), stream=st.booleans(), together=st.booleans())
    def ask(self, client: Client, retry: str, stream: bool, together: bool) -> None:
        id_ = next(self.ids)
        # Whoever uses a retry_id means the same command by it.
        name = f"command {id_}" if retry == "-" else f"retried {retry}"
        beside = {} if retry == "-" else {"retry_id": retry}
        self._send(client, {"id": id_, "exec": name, "stream": stream, **beside}, together=together)

    @rule(client=clients, together=st.booleans())
    def ask_for_what_there_is_not(self, client: Client, together: bool) -> None:
        id_ = next(self.ids)
        self._send(client, {"id": id_, "exce": "x"}, together=together)

    @rule(client=clients, together=st.booleans())
    def mark(self, client: Client, together: bool) -> None:
        id_ = next(self.ids)
        self._send(client, {"id": id_, "mark": "x"}, together=together)

    @rule(client=clients, back=st.integers(0, 5))
    def cancel(self, client: Client, back: int) -> None:
        id_ = next(self.ids)
        self._send(client, {"id": id_, "cancel": max(id_ - 1 - back, 0)})
        self.cancelled.add(id_ - 1 - back)

    @rule(which=st.integers(0, 3), exit_status=st.sampled_from([0, 1]))
    def end_a_command(self, which: int, exit_status: int) -> None:
        if running := sorted(self.commands.running):
            self.commands.end(running[which % len(running)], exit_status)
        self.settle()

    @rule(client=clients)
    def cut(self, client: Client) -> None:
        if client.is_open:
            client.is_open = False
            client.wire.cut()
        self.settle()

    @rule(client=clients)
    def say_no_more(self, client: Client) -> None:
        """Closes the sending side alone: every reply still comes."""
        if client.is_open:
            client.is_open = False
            client.wire.reader.feed_eof()
        self.settle()

    def _send(self, client: Client, raw: Any, *, together: bool = False) -> None:
        if client.is_open:
            client.wire.send(raw)
            (client.at_once if raw.keys() & {"mark", "cancel"} else client.in_order).add(raw["id"])
        if not together:
            self.settle()

    @invariant()
    def nothing_with_a_retry_id_has_begun_twice(self) -> None:
        begun = [name for name in self.commands.begun if name.startswith("retried")]
        assert len(begun) == len(set(begun))

    @invariant()
    def each_line_is_answered_once_at_most_and_in_order(self) -> None:
        for client in self.all:
            ids = [reply["id"] for reply in client.replies()]
            assert len(ids) == len(set(ids))
            in_order = [id_ for id_ in ids if id_ in client.in_order - self.cancelled]
            assert in_order == sorted(in_order)

    @invariant()
    def no_event_comes_after_its_reply(self) -> None:
        for client in self.all:
            answered: set[int] = set()
            for line in client.wire.lines:
                assert line["id"] not in answered
                if "event" not in line:
                    answered.add(line["id"])

    def teardown(self) -> None:
        """In the end each line of a client that can hear has its reply, and nothing is left."""
        self.settle()
        while self.commands.running:
            self.end_a_command(0, 0)
        for client in self.all:
            if not client.wire.is_cut:
                assert {reply["id"] for reply in client.replies()} == client.in_order | client.at_once
        self.loop.run_until_complete(self.server.end())
        self.settle()
        assert all(client.wire.is_closed for client in self.all)
        assert not asyncio.all_tasks(self.loop)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


test_conversations = Conversations.TestCase
test_conversations.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
