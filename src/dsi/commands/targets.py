"""Where a command runs: the `on_…` keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dsi.commands.context import Context
from dsi.errors import InvalidCommand
from dsi.hosts.base import Host
from dsi.model import ROLES, SERVER_ROLES, Role
from dsi.suggest import did_you_mean

ALIASES: Final[Mapping[str, Role]] = {
    "md": "mongod",
    "ms": "mongos",
    "cs": "configsvr",
    "wc": "workload_client",
}

GROUPS: Final[Mapping[str, Sequence[Role]]] = {
    **{role: (role,) for role in ROLES},
    **{alias: (role,) for alias, role in ALIASES.items()},
    "all_servers": SERVER_ROLES,
    "all_hosts": ROLES,
    "atlas": (),  # accepted, since old files have it; nothing is there to run on
}

LOCALHOST: Final = "localhost"

OLD_SPELLINGS: Final[Mapping[str, str]] = {
    "on_servers": "on_all_servers",
    "on_host": "on_<id> or on_mongod.0",
    "download_files": "retrieve_files under a target",
}
"""What the original documented and never had, and what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What commands may refer to where they stand.

    `replica_sets` are those of the ids that have members with a role. `counts` and `replica_sets` are None where they
    aren't known yet.
    """

    ids: frozenset[str] = frozenset()
    replica_sets: frozenset[str] | None = None
    counts: Mapping[Role, int] | None = None
    has_clusters: bool = True
    has_atlas: bool = False


@dataclass(frozen=True)
class Target:
    """One `on_…` key: a kind of host, one host of a kind, this machine, or what has an id."""

    key: str
    roles: Sequence[Role] = field(default=())
    index: int | None = None
    id: str | None = None

    def hosts(self, context: Context) -> Sequence[Host]:
        """Every listed host that is meant."""
        if self.key == f"on_{LOCALHOST}":
            return (context.inventory.here,)
        if self.id is not None:
            return _once(context.clusters.ids().get(self.id, ()) if context.clusters else ())
        if self.index is not None:
            return (context.inventory.host(f"{self.roles[0]}.{self.index}"),)
        return context.inventory.of_roles(self.roles)


def parse_target(key: str, scope: Scope) -> Target:
    """Read an `on_…` key.

    Raises:
        InvalidCommand: no such target, no such host, no such id.

    """
    name = key.removeprefix("on_")
    if name == LOCALHOST:
        return Target(key)
    if name == "atlas" and scope.has_atlas:
        raise InvalidCommand("on_atlas: mongodb_setup.atlas is not supported", path=key)
    if name in GROUPS:
        return Target(key, GROUPS[name])
    role_name, dot, number = name.partition(".")
    if dot and number.isdecimal() and role_name in (*ROLES, *ALIASES):
        return _one_host(key, ALIASES.get(role_name) or role_name, int(number), scope)  # type: ignore[arg-type]
    if name in scope.ids:
        return Target(key, id=name)
    raise _unknown(key, scope)


def _one_host(key: str, role: Role, index: int, scope: Scope) -> Target:
    if scope.counts is not None and index >= scope.counts.get(role, 0):
        there = [f"on_{role}.{i}" for i in range(scope.counts.get(role, 0))]
        raise InvalidCommand(f"{key}: there is no host {role}.{index}", path=key, allowed=there)
    return Target(key, (role,), index)


def known_targets(scope: Scope) -> list[str]:
    """Every target that could be written here, but for single hosts."""
    names = [*ROLES, "all_servers", "all_hosts", LOCALHOST, *sorted(scope.ids)]
    return [f"on_{name}" for name in names]


def _unknown(key: str, scope: Scope) -> InvalidCommand:
    if key in OLD_SPELLINGS:
        return InvalidCommand(f"{key} does not exist: write {OLD_SPELLINGS[key]}", path=key)
    known = known_targets(scope)
    return InvalidCommand(f'no target "{key}"{did_you_mean(key, known)}', path=key, allowed=known)


def _once(hosts: Sequence[Host]) -> Sequence[Host]:
    return tuple({host.name: host for host in hosts}.values())
