"""`expect_down` beside a command: nodes that it is meant to take down, so that this fails no test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dsi.commands.context import Context
from dsi.commands.targets import Scope
from dsi.config import is_unknown
from dsi.errors import InvalidCommand
from dsi.model import Result
from dsi.systems.mongodb import parse_selectors

KEY = "expect_down"


class Runnable(Protocol):
    """The command that it stands beside."""

    async def run(self, context: Context) -> list[Result]:
        """Do it."""
        ...


@dataclass(frozen=True)
class Expecting:
    """A command, and what may go down from its start until the test ends. What did may stay down until it is started.

    `names` are as the `nodes` of restart_mongodb.
    """

    command: Runnable
    names: Sequence[str]

    async def run(self, context: Context) -> list[Result]:
        """Announce it, then run the command."""
        assert context.clusters is not None, "parse() refuses expect_down where there are no clusters"
        await context.clusters.expect_down(self.names)
        return await self.command.run(context)


def split_expected(raw: Any, scope: Scope) -> tuple[Sequence[str] | None, Any]:
    """Part a mapping into its `expect_down` (None: it has none) and the command.

    Raises:
        InvalidCommand: it is no list of what could go down here.
    """
    if not isinstance(raw, Mapping) or KEY not in raw:
        return None, raw
    names = raw[KEY]
    rest = {key: value for key, value in raw.items() if key != KEY}
    if is_unknown(names):
        return [], rest
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidCommand(f"{KEY} is a list of ids of nodes, replica sets or clusters", path=KEY)
    if not scope.has_clusters:
        raise InvalidCommand(f"{KEY} can't stand here: the cluster is started later, by mongodb_setup", path=KEY)
    parse_selectors([name for name in names if not is_unknown(name)], scope.ids, scope.replica_sets, path=KEY)
    return names, rest
