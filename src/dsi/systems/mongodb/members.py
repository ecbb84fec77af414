"""What the members of a replica set are at one moment, and what follows: is it whole, who should be elected. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MemberState = Literal["PRIMARY", "SECONDARY", "ARBITER", "STANDALONE", "MONGOS", "NOT READY", "down"]
"""What a node says that it is. `NOT READY`: it answers, and is no member of its set (yet)."""

SETTLED: frozenset[MemberState] = frozenset({"PRIMARY", "SECONDARY", "ARBITER"})

_FAVOURITES_ALONE_S = 2.0
"""How long only the favourites are stepped up. A favourite that can't see the others yet can after half a second,
mostly; one that has fallen behind catches up only once another is primary."""

_FAVOURITE_MATTERS_S = 15.0
"""How long a primary that isn't the favourite is not good enough. By then its own takeover has failed too."""


def can_be_primary(member: Mapping[str, Any]) -> bool:
    """Whether a member of a replica set's configuration can be elected."""
    return not member.get("arbiterOnly") and float(member.get("priority", 1)) > 0


def favourites(members: Sequence[Mapping[str, Any]]) -> set[int]:
    """Give the positions of the members with the highest priority: one of them ends up as primary, by itself even."""
    priorities = [float(member.get("priority", 1)) if can_be_primary(member) else 0.0 for member in members]
    return {position for position, priority in enumerate(priorities) if priority == max(priorities) and priority > 0}


def can_elect(members: Sequence[Mapping[str, Any]], *, without: Collection[int]) -> bool:
    """Whether a set of these members can have a primary while those at these positions are down.

    It takes a majority of all votes, arbiters' among them, and one that can be elected.
    """
    left = [member for position, member in enumerate(members) if position not in without]
    return 2 * len(_voting(left)) > len(_voting(members)) and any(can_be_primary(member) for member in left)


def _voting(members: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [member for member in members if member.get("votes", 1)]


@dataclass(frozen=True, slots=True)
class Members:
    """The members' entries in the set's configuration, and beside each what it is. They are known by their position."""

    entries: Sequence[Mapping[str, Any]]
    states: Sequence[MemberState]

    def those(self, state: MemberState) -> set[int]:
        """Give the members that are this."""
        return {position for position, its_state in enumerate(self.states) if its_state == state}

    def favourites(self) -> set[int]:
        """Give the members with the highest priority of those that answer."""
        absent = {"priority": 0}
        return favourites(
            [absent if state == "down" else entry for entry, state in zip(self.entries, self.states, strict=True)]
        )

    def is_whole(self, waited_for: Collection[int], waited_s: float) -> bool:
        """Tell whether there is a primary that stays, and each of these members has taken its place.

        A primary stays if no member that answers has a higher priority. `waited_s`: how long one was waited for.
        """
        settled = all(self.states[position] in SETTLED for position in waited_for)
        primaries = self.those("PRIMARY")
        stays = primaries & self.favourites() or waited_s > _FAVOURITE_MATTERS_S
        return bool(settled and primaries and stays)

    def candidates(self, waited_s: float) -> list[int]:
        """Give the members to step up, the best first; none where a favourite is primary."""
        wanted, primaries = self.favourites(), self.those("PRIMARY")
        if not primaries and waited_s > _FAVOURITES_ALONE_S:
            wanted = {position for position, entry in enumerate(self.entries) if can_be_primary(entry)}
        elif wanted & primaries:
            return []
        return sorted(wanted & self.those("SECONDARY"))

    def successors(self) -> list[int]:
        """Give the members that could take over from the primary, the likeliest to stay first."""
        able = [position for position in sorted(self.those("SECONDARY")) if can_be_primary(self.entries[position])]
        return sorted(able, key=lambda position: -float(self.entries[position].get("priority", 1)))
