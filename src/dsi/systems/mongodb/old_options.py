"""Options of old configurations that later servers refuse: left out where that changes nothing, else refused. Pure.

A configuration that ran on an old server is right until it meets a new one. What the new one does anyway can be left
out of its file; what it can't do any more is said before anything is started.

Which server refuses what was tried on 4.4.2, 5.0.4, 6.0.5 and 6.0.27; `tests/integration/test_old_options.py` tries it
again. Sources: https://www.mongodb.com/docs/manual/release-notes/ (compatibility changes of each version), and for 6.1
https://www.mongodb.com/docs/manual/reference/configuration-options/#mongodb-setting-storage.journal.enabled
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dsi.model import Problem
from dsi.systems.mongodb.options import at, leave_out

Version = tuple[int, int]

OLDEST: Version = (4, 2)
"""The oldest server that dsi's driver speaks to: what this one refuses, all refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldOption:
    """An option that servers refuse from a version on.

    `matters`: whether this value, in a configuration that has it, asks for what such a server doesn't do anyway.
    `kept`: the option itself is still there, with fewer values, so that one that doesn't matter stays in the file.
    `why` says what became of it, `instead` what to write where it matters.
    """

    path: str
    since: Version
    matters: Callable[[Any, Mapping[str, Any]], bool]
    kept: bool = False
    why: str
    instead: str = ""


def _never(_value: Any, _config: Mapping[str, Any]) -> bool:
    return False


def _unless(*harmless: Any) -> Callable[[Any, Mapping[str, Any]], bool]:
    return lambda value, _config: value not in harmless


def _in_a_set(value: Any, config: Mapping[str, Any]) -> bool:
    return value is False and at(config, "replication.replSetName") is not None


def _any_is_on(section: Any, _config: Mapping[str, Any]) -> bool:
    return not isinstance(section, Mapping) or any(section.values())


_OLD = (
    OldOption(
        path="storage.engine", since=OLDEST, matters=lambda value, _config: value == "mmapv1", kept=True,
        why="the engine mmapv1 ended with MongoDB 4.0", instead="write wiredTiger",
    ),
    OldOption(path="storage.mmapv1", since=OLDEST, matters=_never, why="it speaks to the engine mmapv1 alone"),
    OldOption(
        path="replication.secondaryIndexPrefetch", since=OLDEST, matters=_never,
        why="it speaks to the engine mmapv1 alone",
    ),
    OldOption(
        path="net.http", since=OLDEST, matters=_any_is_on,
        why="the server's web page ended with MongoDB 3.4", instead="leave it out",
    ),
    OldOption(
        path="storage.indexBuildRetry", since=(4, 4), matters=_unless(True),
        why="the server always finishes index builds that were interrupted", instead="leave it out",
    ),
    OldOption(
        path="setParameter.failIndexKeyTooLong", since=(4, 4), matters=_never,
        why="no index key is too long since MongoDB 4.2",
    ),
    OldOption(
        path="systemLog.timeStampFormat", since=(4, 4), matters=_unless("iso8601-utc", "iso8601-local"), kept=True,
        why="the log has ISO 8601 times alone", instead="write iso8601-local or iso8601-utc",
    ),
    OldOption(
        path="net.serviceExecutor", since=(5, 0), matters=_unless("synchronous"),
        why="the server has one thread per connection, as with synchronous", instead="leave it out",
    ),
    OldOption(
        path="replication.enableMajorityReadConcern", since=(5, 0), matters=_unless(True), kept=True,
        why="read concern majority can't be turned off", instead="leave it out, or use an older server",
    ),
    OldOption(
        path="setParameter.maxTargetSnapshotHistoryWindowInSeconds", since=(5, 0), matters=lambda _value, _config: True,
        why="the server keeps history for a least time, not for a target",
        instead="write minSnapshotHistoryWindowInSeconds",
    ),
    OldOption(
        path="sharding.clusterRole", since=(5, 0), kept=True,
        matters=lambda _value, config: at(config, "replication.replSetName") is None,
        why="shards and config servers are replica sets", instead="leave it out, or make it a replset of one member",
    ),
    # The last version that takes it is one of 6.0: the service behind it ended in August 2023.
    OldOption(
        path="cloud.monitoring.free", since=OLDEST, matters=_never, why="free monitoring is no more",
    ),
    OldOption(
        path="storage.journal.enabled", since=OLDEST, matters=_in_a_set, kept=True,
        why="members of a replica set always have a journal", instead="leave it out",
    ),
    OldOption(
        path="storage.journal.enabled", since=(6, 1), matters=_unless(True),
        why="the server always has a journal", instead="leave it out, or use an older server",
    ),
)  # fmt: skip


def version_of(said: str) -> Version | None:
    """Read what `mongod --version` prints: `db version v6.0.5`; None where it says none."""
    found = re.search(r"version v(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def has_any(config: Mapping[str, Any]) -> bool:
    """Whether it depends on the server's version what of this configuration it takes."""
    return any(True for _ in _found(config))


def for_server(config: Mapping[str, Any], version: Version | None) -> dict[str, Any]:
    """Give the configuration without what this server refuses although it does it anyway; None: the newest."""
    made = copy.deepcopy(dict(config))
    for option, _ in _found(config):
        if _refuses(version, option) and not _matters(option, config):
            leave_out(made, option.path)
    return made


def refused(config: Mapping[str, Any], version: Version | None, *, path: str) -> list[Problem]:
    """Give what this server refuses and can't be left out. `path` is where the configuration stands in the tree."""
    return [
        Problem(
            path=f"{path}.{option.path}", message=f"{_shown(value)} is refused by {_named(version)}: {_remedy(option)}"
        )
        for option, value in _found(config)
        if _refuses(version, option) and _matters(option, config)
    ]


def doubts(config: Mapping[str, Any], *, path: str) -> Iterator[Problem]:
    """Yield what can be said while the server's version isn't known: errors where all refuse it, else warnings."""
    for option, value in _found(config):
        where, shown = f"{path}.{option.path}", _shown(value)
        from_then_on = "every server" if option.since == OLDEST else f"servers from {_dotted(option.since)} on"
        if not _matters(option, config):
            message = f"{shown} is left out for {from_then_on}: {option.why}"
            yield Problem(path=where, message=message, warning=True)
        else:
            message = f"{shown} is refused by {from_then_on}: {_remedy(option)}"
            yield Problem(path=where, message=message, warning=option.since != OLDEST)


def _found(config: Mapping[str, Any]) -> Iterator[tuple[OldOption, Any]]:
    """Yield the options that say something in this configuration."""
    said: set[str] = set()
    for option in _OLD:
        value = at(config, option.path)
        if value is None or option.path in said or (option.kept and not option.matters(value, config)):
            continue
        said.add(option.path)
        yield option, value


def _matters(option: OldOption, config: Mapping[str, Any]) -> bool:
    return option.matters(at(config, option.path), config)


def _refuses(version: Version | None, option: OldOption) -> bool:
    return version is None or version >= option.since


def _remedy(option: OldOption) -> str:
    return f"{option.why}; {option.instead}"


def _shown(value: Any) -> str:
    return (
        "this section" if isinstance(value, Mapping) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _named(version: Version | None) -> str:
    return "this server" if version is None else f"MongoDB {_dotted(version)}"


def _dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
