"""The dsisocket of a test: what its clients may run, with what, and what it says of the run."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from dsi.commands import Allowed, Context, Scope, known_words, parse
from dsi.config.models import AUTO_TOKEN, Dsisocket, Test
from dsi.control import PROTOCOL_LEVEL, Journal, Run, client_address, open_dsisocket
from dsi.errors import raise_together
from dsi.masking import hide
from dsi.runner import RunningTest
from dsi.stages.asked_in_vain import AskedInVain
from dsi.state import State
from dsi.systems.mongodb import Deployment, present_roles

TOKEN: Final = "DSI_SOCKET_TOKEN"  # noqa: S105  the name of the variable
"""For `cmd` and the test's background tasks alone: who can read their environment may speak."""

_JOURNAL = "dsisocket.journal"

_TOKEN = "dsisocket_token"  # noqa: S105  the name of a file

_STATE = "dsisocket"
"""Where `dsi send` finds it: `.dsi/dsisocket.json`, which only its owner can read."""


@dataclass(frozen=True, kw_only=True)
class SocketOfATest:
    """Opens the dsisocket as long as `cmd` runs (`companion`), and tells of restarts that failed (`check`).

    What its clients need is known before it is open (`prepare`).

    `taken_over`: the test that a dsi which was killed has begun. Its clients know that one's token, and its retry_ids.
    """

    settings: Dsisocket
    scope: Scope
    state: State
    deployment: Deployment
    taken_over: RunningTest | None = None
    in_vain: AskedInVain = field(default_factory=AskedInVain)

    async def prepare(self, _context: Context, test: Test) -> Mapping[str, str]:
        """Give the environment of its clients, which may begin before it is open: they try again.

        Raises:
            StateError: the token can't be kept.
        """
        token = self._token(again=self._is_taken_over(test))
        self.state.write(_TOKEN, token)
        return self._address() if token is None else {**self._address(), TOKEN: token}

    @asynccontextmanager
    async def companion(self, context: Context, test: Test) -> AsyncIterator[None]:
        """Listen while the block runs.

        Raises:
            PortTaken, HostError
            StateError: the journal of retry_ids can't be written.
        """
        environment = self._address()
        here = context.with_environment(environment)
        allowed = Allowed(self.settings.allow)
        began_s = self._began_s(context, test)

        def execute(raw: Any) -> Run:
            command = parse(raw, self.scope)
            allowed.insist(raw)
            return lambda hearing: command.run(here.heard_by(hearing))

        async def describe() -> Mapping[str, Any]:
            return {
                "protocol": PROTOCOL_LEVEL,
                "test": test.id,
                "age_s": round(context.clock.monotonic_s() - began_s, 3),
                "hosts": [entry.name for entry in context.inventory.entries],
                "topology": await self._topology(),
                "commands": allowed.names(known_words(self.scope)),
            }

        token = self.state.read(_TOKEN)
        async with open_dsisocket(
            context.inventory.workload_client,
            self.settings,
            execute,
            context.timeline,
            journal=self._journal(again=self._is_taken_over(test)),
            describe=describe,
            token=token,
            on_failure=self.in_vain.add,
        ):
            self.state.write(_STATE, {"address": environment["DSI_SOCKET"], "token": token})
            try:
                yield
            finally:
                self.state.forget(_STATE)

    async def check(self, _context: Context, _test: Test) -> None:
        """See whether all restarts and faults that the test's clients asked for took effect.

        Raises:
            NoEffect: one didn't. SeveralFailed: several.
        """
        raise_together(self.in_vain.take())

    def _is_taken_over(self, test: Test) -> bool:
        return self.taken_over is not None and test.id == self.taken_over.test

    def _began_s(self, context: Context, test: Test) -> float:
        """Give when `cmd` began, on the clock that is never set."""
        now_s = context.clock.monotonic_s()
        taken = self.taken_over
        return now_s - (context.clock.wall_s() - taken.cmd_s) if taken and self._is_taken_over(test) else now_s

    def _address(self) -> dict[str, str]:
        return {"DSI_SOCKET": client_address(self.settings.bind_addr, self.settings.port)}

    def _token(self, *, again: bool) -> str | None:
        token = self.settings.token
        if again:
            token = self.state.read(_TOKEN)
        elif token == AUTO_TOKEN:
            token = secrets.token_urlsafe(32)
        if token is not None:
            hide(token)
        return token

    def _journal(self, *, again: bool) -> Journal:
        """Begin the test's journal: a retry_id is a client's own within one test. Or go on with it."""
        path = self.state.make_folder() / _JOURNAL
        if not again:
            path.unlink(missing_ok=True)
        return Journal(path)

    async def _topology(self) -> list[Mapping[str, str]]:
        nodes = self.deployment.nodes
        roles = await present_roles(nodes)
        return [{"node": node.name, "host": node.host.name, "role": roles[node.name]} for node in nodes]


def forget_opened(state: State) -> None:
    """Forget what a dsi that was killed has left: whoever holds the work directory has not opened one yet."""
    state.forget(_STATE)


def opened_in(state: State) -> tuple[str, str | None] | None:
    """Give address and token of the dsisocket that is open; None: none is."""
    kept = state.read(_STATE)
    return (kept["address"], kept["token"]) if kept else None
