"""The dsisocket of a test: what its clients may run, with what, and what it says of the run."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from dsi.commands import Allowed, Context, Scope, known_words, parse
from dsi.config.models import AUTO_TOKEN, Dsisocket, Test
from dsi.control import PROTOCOL_LEVEL, Journal, Run, client_address, open_dsisocket
from dsi.masking import hide
from dsi.state import State
from dsi.systems.mongodb import Deployment, present_roles

TOKEN: Final = "DSI_SOCKET_TOKEN"  # noqa: S105  the name of the variable
"""For `cmd` and the test's background tasks alone: who can read their environment may speak."""

_JOURNAL = "dsisocket.journal"

_STATE = "dsisocket"
"""Where `dsi send` finds it: `.dsi/dsisocket.json`, which only its owner can read."""


@dataclass(frozen=True, kw_only=True)
class SocketOfATest:
    """Opens the dsisocket as long as `cmd` runs (`companion`)."""

    settings: Dsisocket
    scope: Scope
    state: State
    deployment: Deployment

    @asynccontextmanager
    async def companion(self, context: Context, test: Test) -> AsyncIterator[Mapping[str, str]]:
        """Listen while the block runs; gives the environment of its clients.

        Raises:
            PortTaken, HostError
            StateError: the journal of retry_ids can't be written.
        """
        environment = {"DSI_SOCKET": client_address(self.settings.bind_addr, self.settings.port)}
        here = context.with_environment(environment)
        allowed = Allowed(self.settings.allow)
        began_s = context.clock.monotonic_s()

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

        token = self._token()
        async with open_dsisocket(
            context.inventory.workload_client,
            self.settings,
            execute,
            context.timeline,
            journal=self._fresh_journal(),
            describe=describe,
            token=token,
        ):
            self.state.write(_STATE, {"address": environment["DSI_SOCKET"], "token": token})
            try:
                yield environment if token is None else {**environment, TOKEN: token}
            finally:
                self.state.forget(_STATE)

    def _token(self) -> str | None:
        token = secrets.token_urlsafe(32) if self.settings.token == AUTO_TOKEN else self.settings.token
        if token is not None:
            hide(token)
        return token

    def _fresh_journal(self) -> Journal:
        """Begin the test's journal: a retry_id is a client's own within one test."""
        path = self.state.make_folder() / _JOURNAL
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
