"""Any number of clients doing anything in any order: each line is answered once, in order, and nothing runs twice.

Also if time passes, the test ends while commands run, or dsi dies and another goes on with its journal.
"""

import asyncio
import itertools
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule
from tests.unit.control.memory import AtOnce, Commands, QuickLoop, Wire

from dsi.config.models import Dsisocket
from dsi.control import DsisocketServer, Journal
from dsi.control.gate import MAX_WRONG_TRIES, TOKEN_WITHIN_S
from dsi.timeline import Timeline

TOKEN = "secret"

TIMEOUT_S = 5
"""Of commands that have one. Half of what a client has to show the token."""

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
    may_speak: bool = True
    wrong_tries: int = 0

    def replies(self) -> list[dict[str, Any]]:
        """All but that of a connection that is turned out, which answers no line."""
        return [line for line in self.wire.lines if "event" not in line and "id" in line]


class Conversations(RuleBasedStateMachine):
    clients = Bundle("clients")

    @initialize(target=clients, token=st.sampled_from([None, None, TOKEN]))
    def begin(self, token: str | None) -> MultipleResults[Client]:
        self.loop = QuickLoop()
        self.loop.set_default_executor(AtOnce())
        in_memory = "/dev/shm"
        self.folder = tempfile.TemporaryDirectory(dir=in_memory if Path(in_memory).is_dir() else None)
        self.journals = itertools.count()
        self.token = token
        self.commands = Commands()
        self.ids = itertools.count()
        self.all: list[Client] = []
        self.cancelled: set[int] = set()
        self.refused: set[int] = set()
        self.timed: set[int] = set()
        self.unknown_ids: set[int] = set()
        self.test = self.start(b"")
        return multiple(self.connect(), self.connect(), self.connect())

    def start(self, left: bytes) -> int:
        """Start a dsi with what another has left in the journal; gives the journal's number."""
        number = next(self.journals)
        self.path = Path(self.folder.name) / str(number)
        self.path.write_bytes(left)
        settings = Dsisocket(token=self.token)
        self.unknown: set[str] = set()
        self.server = DsisocketServer(
            self.commands, Timeline(None), settings, journal=Journal(self.path), token=self.token
        )
        return number

    def settle(self) -> None:
        async def idle() -> None:
            for _ in range(IDLE_ROUNDS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())

    def connect(self) -> Client:
        async def serve() -> Client:
            wire = Wire()
            serving = asyncio.create_task(self.server.serve(wire.reader, wire))
            return Client(wire, serving, may_speak=self.token is None)

        client = self.loop.run_until_complete(serve())
        self.all.append(client)
        return client

    @rule(target=clients)
    def one_more_client(self) -> Client:
        return self.connect()

    @rule(
        clients=st.lists(clients, min_size=1, max_size=6),
        retry=st.sampled_from("abc-"),
        stream=st.booleans(),
        timeout=st.booleans(),
    )
    def several_ask(self, clients: list[Client], retry: str, stream: bool, timeout: bool) -> None:
        for client in clients:
            self.ask(client, retry, stream, timeout, together=True)
        self.settle()

    @rule(
        client=clients,
        retry=st.sampled_from("abc-"),
        stream=st.booleans(),
        timeout=st.booleans(),
        together=st.booleans(),
    )
    def ask(self, client: Client, retry: str, stream: bool, timeout: bool, together: bool) -> None:
        id_ = next(self.ids)
        # Whoever uses a retry_id means the same command by it.
        name = f"command {id_}" if retry == "-" else f"retried {retry} of test {self.test}"
        beside = {} if retry == "-" else {"retry_id": retry}
        if timeout:
            beside["timeout"] = f"{TIMEOUT_S}s"
        if timeout or retry != "-":  # a repeat has the timeout of the first
            self.timed.add(id_)
        if name in self.unknown:
            self.unknown_ids.add(id_)
        self._send(client, {"id": id_, "exec": name, "stream": stream, **beside}, together=together)

    @rule(client=clients, is_right=st.booleans(), together=st.booleans())
    def show_a_token(self, client: Client, is_right: bool, together: bool) -> None:
        id_ = next(self.ids)
        before, client.may_speak = client.may_speak, True  # what it is answered is no refusal of the line
        self._send(client, {"id": id_, "auth": TOKEN if is_right else "guessed"}, together=together)
        client.may_speak = before or is_right
        if self.token is not None and not is_right:
            client.wrong_tries += 1
            client.is_open = client.is_open and client.wrong_tries < MAX_WRONG_TRIES

    @rule()
    def time_passes(self) -> None:
        """Long enough for whatever has a limit of its own."""
        self.settle()
        late = {f"command {id_}" for id_ in self.timed} & set(self.commands.running)
        self.loop.run_until_complete(asyncio.sleep(2 * max(TIMEOUT_S, TOKEN_WITHIN_S)))
        assert not late & set(self.commands.running)
        for client in self.all:
            assert client.may_speak or client.wire.is_closed or client.wire.is_cut
            client.is_open = client.is_open and not client.wire.is_closed

    @rule()
    def the_test_ends_and_the_next_one_begins(self) -> None:
        self.settle()
        self.end_the_test()
        self.test = self.start(b"")
        self.connect_again()

    @rule()
    def dsi_dies_and_another_goes_on(self) -> None:
        self.settle()
        left, begun = self.path.read_bytes(), set(self.commands.running)
        for client in self.all:
            client.wire.cut()
        unknown = self.unknown | {name for name in begun if name.startswith("retried")}
        self.end_the_test()
        self.start(left)
        self.unknown = unknown
        self.connect_again()
        self.show_a_token(self.all[0], is_right=True, together=True)
        for name in sorted(unknown):
            self.ask(self.all[0], name.split()[1], stream=False, timeout=False, together=True)
        self.settle()

    def connect_again(self) -> None:
        """Have all clients connect anew, as those do that live on."""
        old, self.all = self.all, []
        for client in old:
            client.__dict__.update(vars(self.connect()))
        self.all = old

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
            (client.at_once if raw.keys() & {"mark", "cancel", "auth"} else client.in_order).add(raw["id"])
            if not client.may_speak:
                self.refused.add(raw["id"])
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
                assert line.get("id") not in answered
                if "event" not in line and "id" in line:
                    answered.add(line["id"])

    @invariant()
    def who_has_not_shown_the_token_is_refused_and_has_nothing_run(self) -> None:
        assert not {f"command {id_}" for id_ in self.refused} & set(self.commands.begun)
        for reply in self._replies():
            assert (reply["status"] == "UNAUTHORIZED") >= (reply["id"] in self.refused)

    @invariant()
    def only_what_has_a_timeout_is_timed_out(self) -> None:
        assert {reply["id"] for reply in self._replies() if reply["status"] == "TIMEOUT"} <= self.timed

    @invariant()
    def unknown_is_what_was_under_way_when_dsi_died_and_nothing_else(self) -> None:
        for reply in self._replies():
            if reply["id"] not in self.cancelled | self.refused:
                assert (reply["status"] == "UNKNOWN") == (reply["id"] in self.unknown_ids)

    def _replies(self) -> Iterable[dict[str, Any]]:
        return (reply for client in self.all for reply in client.replies())

    def end_the_test(self) -> None:
        """At its end each line of a client that can hear has its reply, and nothing is left."""
        self.loop.run_until_complete(self.server.end())
        self.settle()
        self.each_line_is_answered_once_at_most_and_in_order()
        self.no_event_comes_after_its_reply()
        self.only_what_has_a_timeout_is_timed_out()
        self.unknown_is_what_was_under_way_when_dsi_died_and_nothing_else()
        for client in self.all:
            assert client.wire.is_closed
            if not client.wire.is_cut:
                assert {reply["id"] for reply in client.replies()} == client.in_order | client.at_once
        assert not self.commands.running
        assert not asyncio.all_tasks(self.loop)

    def teardown(self) -> None:
        self.settle()
        self.end_the_test()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()


test_conversations = Conversations.TestCase
test_conversations.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
