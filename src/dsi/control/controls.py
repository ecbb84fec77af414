"""The commands that dsi itself answers, at once: cancel, mark, describe."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from dsi.control.registry import Owner, Registry
from dsi.control.running import outcome_of
from dsi.control.work import NOT_STARTED
from dsi.errors import DsiError
from dsi.timeline import Timeline
from dsi.wire import Code, Envelope, Outcome

Describe = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives what `describe` answers. It waits for no lease, and for no slow node."""


class Controls:
    """Answers them for all connections."""

    def __init__(self, registry: Registry, timeline: Timeline, describe: Describe) -> None:
        self._registry = registry
        self._timeline = timeline
        self._describe = describe

    async def answer(self, envelope: Envelope, by: Owner, *, nothing_new: bool = False) -> Outcome:
        """Do what is asked. `nothing_new`: the test has ended, and nothing is waited for any more."""
        ((key, argument),) = envelope.command.items()
        try:
            match key:
                case "cancel":
                    self._registry.cancel(argument, by)
                case "mark":
                    self._timeline.add("mark", name=argument)
                case "describe" if nothing_new:
                    return NOT_STARTED
                case "describe":
                    return Outcome(code=Code.OK, description=await self._describe())
        except DsiError as problem:
            return outcome_of(problem, key)
        return Outcome(code=Code.OK)
