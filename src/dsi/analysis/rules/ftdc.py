"""Rules on what servers measured of themselves (FTDC): mostly once a second.

Limits are those of the server itself where it has any; the source stands beside each.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsi.analysis.rules.rule import Episode, FtdcRule, Samples

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_LAG_S: Final = 15
"""The original DSI's. Flow control begins to hold back writes at 10 s (`flowControlTargetLagSeconds`)."""

_MEMBERS: Final = range(50)
"""A replica set has no more."""

_PRIMARY, _SECONDARY = 1, 2
_BAD_STATES: Final = {3: "RECOVERING", 6: "UNKNOWN", 9: "ROLLBACK", 10: "REMOVED"}
"""https://www.mongodb.com/docs/manual/reference/replica-states/"""

_CACHE_OVER: Final = 1.08
"""The original DSI's: an allocator's overhead."""

_CACHE_FULL, _CACHE_DIRTY = 0.95, 0.20
"""WiredTiger's `eviction_trigger` and `eviction_dirty_trigger`: from there on the threads of clients have to evict."""

_PRESSURE_SAMPLES: Final = 10
_CHECKPOINT_MS: Final = 60_000
"""One begins every 60 s (`storage.syncPeriodSecs`): from there on they follow each other without a pause."""

_WINDOW_S: Final = 300
_CONNECTIONS: Final = 0.9
_STALL_MS: Final = 10_000

_CACHE: Final = "serverStatus.wiredTiger.cache."
_USED, _MAX, _DIRTY = (
    f"{_CACHE}{name}"
    for name in ("bytes currently in the cache", "maximum bytes configured", "tracked dirty bytes in the cache")
)
_CHECKPOINT: Final = "serverStatus.wiredTiger.transaction.transaction checkpoint most recent time (msecs)"
_NEWEST, _OLDEST = "serverStatus.oplog.latestOptime.t", "serverStatus.oplog.earliestOptime.t"
_OPLOG, _OPLOG_MAX = "local.oplog.rs.stats.size", "local.oplog.rs.stats.maxSize"
_CURRENT, _AVAILABLE = "serverStatus.connections.current", "serverStatus.connections.available"
_STATE: Final = "replSetGetStatus.myState"
_UPTIME: Final = "serverStatus.uptime"


def _member(number: int, name: str) -> str:
    return f"replSetGetStatus.members.{number}.{name}"


def _episodes(times_ms: Ints, bad: Bools, how: Callable[[Any], str], *, at_least: int) -> Iterator[Episode]:
    """Give where at least so many samples one after another are bad. `how` is told which (a slice)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bad, [False])).astype(np.int8)))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if end - begin >= at_least:
            yield Episode(
                start_s=int(times_ms[begin]) / 1000, end_s=int(times_ms[end - 1]) / 1000, how=how(slice(begin, end))
            )


def _together(samples: Samples, *names: str) -> tuple[Ints, list[Ints]] | None:
    """Give the values of metrics at the times when there are all of them; None where one is never there."""
    found = [samples[name] for name in names if name in samples]
    if len(found) < len(names):
        return None
    times = found[0].times_ms
    for one in found[1:]:
        times = np.intersect1d(times, one.times_ms)
    return times, [one.values[np.searchsorted(one.times_ms, times)] for one in found]


# --- replication --------------------------------------------------------------------------------------------------


def _replica_lag(samples: Samples) -> Iterator[Episode]:
    """By what the primary knows, whom members report to at once: others hear of it with heartbeats, every 2 s."""
    for me in _MEMBERS:
        if _member(me, "self") in samples:
            for other in _MEMBERS:
                if other != me:
                    yield from _lag_behind(samples, me, other)


def _lag_behind(samples: Samples, me: int, other: int) -> Iterator[Episode]:
    names = [_member(me, "self"), _member(me, "state"), _member(other, "state")]
    found = _together(samples, *names, _member(me, "optimeDate"), _member(other, "optimeDate"))
    if found is None:
        return
    times, (self_, state, other_state, optime, other_optime) = found
    lag_s = (optime - other_optime) / 1000
    bad = (self_ == 1) & (state == _PRIMARY) & (other_state == _SECONDARY) & (lag_s > _LAG_S)
    # A primary that had nothing to write for a while is ahead by all of that for a moment.
    yield from _episodes(times, bad, lambda at: f"member {other} was up to {max(lag_s[at]):.0f} s behind", at_least=3)


def _member_state(samples: Samples) -> Iterator[Episode]:
    if (found := samples.get(_STATE)) is not None:
        states = found.values
        bad = np.isin(states, list(_BAD_STATES))
        yield from _episodes(found.times_ms, bad, lambda at: f"it was {_BAD_STATES[int(states[at][0])]}", at_least=1)


def _oplog_window(samples: Samples) -> Iterator[Episode]:
    found = _together(samples, _NEWEST, _OLDEST, _OPLOG, _OPLOG_MAX)
    if found is not None:
        times, (newest, oldest, size, limit) = found
        window_s = newest - oldest
        full = size >= 0.9 * limit  # before, it is short since there is nothing older
        how = "the oplog reached back {:,} s"
        yield from _episodes(times, full & (window_s < _WINDOW_S), lambda at: how.format(min(window_s[at])), at_least=3)


# --- storage ------------------------------------------------------------------------------------------------------


def _cache_over_limit(samples: Samples) -> Iterator[Episode]:
    found = _together(samples, _USED, _MAX)
    if found is not None:
        times, (used, limit) = found
        share = used / np.maximum(limit, 1)
        yield from _episodes(
            times, share > _CACHE_OVER, lambda at: f"up to {max(share[at]):.0%} of its limit", at_least=3
        )


def _cache_pressure(samples: Samples) -> Iterator[Episode]:
    found = _together(samples, _USED, _DIRTY, _MAX)
    if found is not None:
        times, (used, dirty, limit) = found
        full, unwritten = used / np.maximum(limit, 1), dirty / np.maximum(limit, 1)
        bad = (full >= _CACHE_FULL) | (unwritten >= _CACHE_DIRTY)
        how = "up to {:.0%} full, {:.0%} of it not written yet"
        yield from _episodes(
            times, bad, lambda at: how.format(max(full[at]), max(unwritten[at])), at_least=_PRESSURE_SAMPLES
        )


def _slow_checkpoint(samples: Samples) -> Iterator[Episode]:
    if (found := samples.get(_CHECKPOINT)) is not None:
        took_ms = found.values
        how = "the slowest took {:.0f} s"
        bad = took_ms > _CHECKPOINT_MS
        yield from _episodes(found.times_ms, bad, lambda at: how.format(max(took_ms[at]) / 1000), at_least=1)


# --- the server itself --------------------------------------------------------------------------------------------


def _connections(samples: Samples) -> Iterator[Episode]:
    found = _together(samples, _CURRENT, _AVAILABLE)
    if found is not None:
        times, (current, available) = found
        share = current / np.maximum(current + available, 1)
        how = "up to {:,} connections, {:.0%} of what it takes"
        bad = share > _CONNECTIONS
        yield from _episodes(times, bad, lambda at: how.format(max(current[at]), max(share[at])), at_least=1)


def _server_stall(samples: Samples) -> Iterator[Episode]:
    found = samples.get(_UPTIME)
    if found is None or len(found.times_ms) < 2:
        return
    times = found.times_ms
    gaps = np.diff(times)
    for index in np.flatnonzero(gaps > max(_STALL_MS, 10 * float(np.median(gaps)))):
        start_s, end_s = int(times[index]) / 1000, int(times[index + 1]) / 1000
        yield Episode(start_s=start_s, end_s=end_s, how=f"nothing was measured for {end_s - start_s:.0f} s")


REPLICA_LAG = FtdcRule(
    looks_for=f"secondaries more than {_LAG_S} s behind their primary",
    means="a secondary did not keep up: reads there are old, w:majority waits, and flow control slows writes; give it "
    "the same machine as the primary, or write less",
    severity="warning",
    metrics=[_member(number, name) for number in _MEMBERS for name in ("self", "state", "optimeDate")],
    check=_replica_lag,
)
MEMBER_STATE = FtdcRule(
    looks_for="members that are recovering, rolling back, removed or unknown while a test runs",
    means="the member served no reads and, if it is needed for one, no majority: its log says why",
    severity="error",
    metrics=[_STATE],
    check=_member_state,
)
OPLOG_WINDOW = FtdcRule(
    looks_for=f"a full oplog that reaches back less than {_WINDOW_S} s",
    means="a member that is down or slow for longer than that needs an initial sync: set a larger "
    "replication.oplogSizeMB",
    severity="warning",
    metrics=[_NEWEST, _OLDEST, _OPLOG, _OPLOG_MAX],
    check=_oplog_window,
)
CACHE_OVER_LIMIT = FtdcRule(
    looks_for=f"a WiredTiger cache that is larger than {_CACHE_OVER - 1:.0%} above its limit",
    means="WiredTiger can't evict what it holds (long transactions, pinned history): memory runs out next",
    severity="error",
    metrics=[_USED, _MAX],
    check=_cache_over_limit,
)
CACHE_PRESSURE = FtdcRule(
    looks_for=f"a WiredTiger cache {_CACHE_FULL:.0%} full, or {_CACHE_DIRTY:.0%} dirty, for {_PRESSURE_SAMPLES} "
    "samples",
    means="the threads of clients had to evict pages themselves, which adds to their latency: the disk is too slow, or "
    "the cache too small, for this load",
    severity="warning",
    metrics=[_USED, _DIRTY, _MAX],
    check=_cache_pressure,
)
SLOW_CHECKPOINT = FtdcRule(
    looks_for=f"checkpoints that take more than {_CHECKPOINT_MS // 1000} s",
    means="checkpoints follow each other without a pause: the disk can't keep up with what is written",
    severity="warning",
    metrics=[_CHECKPOINT],
    check=_slow_checkpoint,
)
CONNECTIONS = FtdcRule(
    looks_for=f"more than {_CONNECTIONS:.0%} of the connections that a server takes",
    means="clients will be refused: raise net.maxIncomingConnections and its `ulimit -n`, or use fewer clients",
    severity="warning",
    metrics=[_CURRENT, _AVAILABLE],
    check=_connections,
)
SERVER_STALL = FtdcRule(
    looks_for=f"a server that measured nothing for more than {_STALL_MS // 1000} s",
    means="the server was down, stopped, or so short of processor, memory or disk that it could not measure itself",
    severity="warning",
    metrics=[_UPTIME],
    check=_server_stall,
    settles=False,
)
