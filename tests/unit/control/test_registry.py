"""Commands under way, found by their ids."""

import pytest

from dsi import wire
from dsi.control.inbox import Asked
from dsi.control.registry import Registry
from dsi.errors import InvalidCommand


class Connection:
    """A connection that keeps what was cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[Asked] = []

    def cancel(self, asked: Asked) -> None:
        self.cancelled.append(asked)


def test_a_connection_that_is_over_leaves_nothing_to_cancel() -> None:
    registry, here, there = Registry(), Connection(), Connection()
    for owner, id_ in ((here, 1), (there, 1), (here, 2)):
        command = wire.open_envelope({"id": id_, "on_all_hosts": {"exec": "true"}})
        registry.add(owner, Asked(text="", id_=id_, envelope=command))
    registry.forget(here)
    registry.cancel(1, here)
    assert len(there.cancelled) == 1
    with pytest.raises(InvalidCommand, match="no command with the id 2"):
        registry.cancel(2, there)
    assert not here.cancelled
