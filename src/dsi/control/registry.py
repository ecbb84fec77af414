"""Which commands have no reply yet, by their ids: that `cancel` finds them."""

from typing import Protocol

from dsi import wire
from dsi.control.inbox import Asked
from dsi.errors import InvalidCommand


class Owner(Protocol):
    """The connection that asked for a command."""

    def cancel(self, asked: Asked) -> None:
        """End a command of this connection that has no reply yet."""
        ...


class Registry:
    """Every command with an id, from its arrival to its reply. An id is its connection's own: several may have it."""

    def __init__(self) -> None:
        self._asked: dict[wire.Id, list[tuple[Owner, Asked]]] = {}

    def add(self, owner: Owner, asked: Asked) -> None:
        """Note a command that has arrived."""
        if asked.id is not None:
            self._asked.setdefault(asked.id, []).append((owner, asked))

    def remove(self, asked: Asked) -> None:
        """Forget a command that has its reply."""
        if asked.id is None or asked.id not in self._asked:
            return
        left = [entry for entry in self._asked[asked.id] if entry[1] is not asked]
        if left:
            self._asked[asked.id] = left
        else:
            del self._asked[asked.id]

    def forget(self, owner: Owner) -> None:
        """Forget a connection that is over, with whatever it had asked for."""
        for id_, entries in list(self._asked.items()):
            if left := [entry for entry in entries if entry[0] is not owner]:
                self._asked[id_] = left
            else:
                del self._asked[id_]

    def cancel(self, id_: wire.Id, by: Owner) -> None:
        """End the command that this connection means by an id: its own first one, else the only one elsewhere.

        Raises:
            InvalidCommand: no command, or several, have it.
        """
        there = self._asked.get(id_, [])
        own = [entry for entry in there if entry[0] is by]
        if not own and len(there) > 1:
            raise InvalidCommand(f"{len(there)} commands of other connections have the id {id_!r}: none was ended")
        if not there:
            raise InvalidCommand(f"no command with the id {id_!r} runs or waits: it has its reply, or never came")
        owner, asked = (own or there)[0]
        owner.cancel(asked)
