"""Rules on lines of server logs.

The ids are the server's, which keeps them from version to version; the words are what the same lines say in logs of
4.2 and before. Sources: `src/mongo/db/repl/` and `src/mongo/transport/` of the server, and logs of real restarts and
crashes.
"""

import re
from typing import Final

from dsi.analysis.rules.rule import LogRule
from dsi.analysis.windows import ASKED_FOR, Kind

_SEVERE = frozenset("EF")
_MAY_FOLLOW_FROM: Final[frozenset[Kind]] = ASKED_FOR | {"lost", "command"}


def _words(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern, re.IGNORECASE)


_OF_A_DISTURBANCE = _words(
    r"Shutdown|NotWritablePrimary|NotPrimary|NotMaster|not master|PrimarySteppedDown|ReplStateChange|InvalidSyncSource"
    r"|stepp?(ed|ing) ?down|HostUnreachable|Socket ?Exception(?!.*already in use)|NetworkTimeout"
    r"|NetworkInterfaceExceededTimeLimit|CallbackCanceled|Connection (closed|refused|reset)|closed by peer|broken pipe"
    r"|connection pool|ReadConcernMajorityNotAvailable"
)
"""What a server complains of when others (or itself) are stopped, killed or cut off."""

_ANY = re.compile("")

DISK_FULL = LogRule(
    looks_for="a server whose disk is full",
    means="the server's disk is full, and what it could not write is lost: free space or give it a larger disk",
    severity="error",
    levels=_SEVERE,
    words=_words(r"No space left on device|ENOSPC|OutOfDiskSpace"),
)

DATA_CORRUPTION = LogRule(
    looks_for="data that can't be read back as they were written: checksums, broken metadata",
    means="what the server read is not what it had written: its data can't be trusted; look at the disk, the "
    "file system and whether two servers share a dbPath",
    severity="error",
    levels=_SEVERE,
    words=_words(
        r"checksum (error|mismatch)|does not match expected checksum|WT_ERROR.*corrupt|(meta)?data ?corruption"
    ),
)

LOG_FATAL = LogRule(
    looks_for="fatal lines (F): failed assertions, signals, what ends a server",
    means="the server ended, or was about to: the line says why, the lines around it have more",
    severity="error",
    levels=frozenset("F"),
    expected_in=frozenset({"down"}),
)

ROLLBACK = LogRule(
    looks_for="a member that rolled back: writes that were acknowledged without a majority are gone",
    means="the member has undone writes that no majority had; those that were acknowledged with w:1 are lost "
    "(they lie in the folder `rollback` of its dbPath)",
    severity="error",
    ids=frozenset({21593}),
    words=_words(r"^transition to ROLLBACK|^rollback - |^Starting rollback"),
    expected_in=ASKED_FOR,
    follows_in=ASKED_FOR | {"lost"},
)

TOO_STALE = LogRule(
    looks_for="a member that fell off the oplog",
    means="the member is so far behind that the oplog no longer reaches back to it: it stays behind until an initial "
    "sync; give it a larger oplog, or the members less to do",
    severity="error",
    ids=frozenset({21115, 21116, 5579708}),
    words=_words(r"too stale to catch up|too stale to sync|too stale to use"),
)

UNCLEAN_SHUTDOWN = LogRule(
    looks_for="a server that had not been stopped in good order",
    means="the server was killed or the machine went down before this start, and nobody had asked for it: the "
    "end of the log before it, a core file or the kernel's log (out of memory) say how",
    severity="error",
    ids=frozenset({22271}),
    words=_words(r"^Detected unclean shutdown"),
    expected_in=frozenset({"crash", "was_down"}),
    follows_in=frozenset({"lost", "restart", "fault"}),
)

STEPDOWN = LogRule(
    looks_for="a primary that stepped down though nothing was asked for",
    means="the primary gave up its role, and writes were refused until there was another: an overloaded host, a "
    "network that was cut, or somebody's replSetStepDown or reconfiguration",
    severity="error",
    ids=frozenset({21402, 21475, 21481, 21579, 21809}),
    words=_words(r"^Stepping down from primary|relinquishing primary|^Attempting to step down in response"),
    expected_in=ASKED_FOR,
    follows_in=_MAY_FOLLOW_FROM,
    orders=_words(r"in response to replSetStepDown"),
)

ELECTION = LogRule(
    looks_for="elections though nothing was asked for",
    means="a member stood for election in mid-run: it had not seen a primary, or was told to; what was measured "
    "around it has a gap. Look for an overloaded host, a long stall (FTDC), or a network that was cut",
    severity="error",
    ids=frozenset({4615652, 4615660, 4615661, 4615662, 21450}),
    words=_words(r"^Starting an election|^election succeeded, assuming primary"),
    expected_in=ASKED_FOR,
    follows_in=_MAY_FOLLOW_FROM,
    orders=_words(r"due to step ?up request"),
)

MEMBER_UNREACHABLE = LogRule(
    looks_for="members that others could not reach though nothing was asked for",
    means="a member did not answer heartbeats: it was down, stalled, or cut off",
    severity="error",
    ids=frozenset({21216}),
    words=_words(r"is now in state DOWN|is now in state RS_DOWN"),
    expected_in=ASKED_FOR,
    follows_in=_MAY_FOLLOW_FROM,
)

RECONFIG = LogRule(
    looks_for="reconfigurations of a replica set that dsi did not make",
    means="somebody, or the workload, gave the set another configuration in mid-run: members may have come and gone, "
    "and another may be primary",
    severity="warning",
    ids=frozenset({21352}),
    words=_words(r"^replSetReconfig admin command received"),
    expected_in=ASKED_FOR,
    follows_in=_MAY_FOLLOW_FROM,
    orders=_ANY,
)

MEMBER_REMOVED = LogRule(
    looks_for="members that were taken out of their set",
    means="the member is no longer in its set's configuration: it has none of what was written since, and counts for "
    "no majority; see who sent replSetReconfig, or whether its host name still leads to it",
    severity="error",
    ids=frozenset({21394}),
    words=_words(r"^This node is not a member of the config"),
    expected_in=ASKED_FOR,
    follows_in=_MAY_FOLLOW_FROM,
    orders=_ANY,
)

CONNECTION_RESET = LogRule(
    looks_for="connections that broke while a reply was sent or a request was read",
    means="a client or another server was gone in the middle of a request: it timed out, was killed, or the "
    "network cut",
    severity="warning",
    ids=frozenset({22988, 22989}),
    words=_words(r"^Error sending response to client|^Error receiving request from client"),
    expected_in=ASKED_FOR | {"cmd_end"},
    follows_in=_MAY_FOLLOW_FROM,
    noticed_late=True,  # a driver's `hello` is answered after 10 s, also where nobody listens any more
)

TOO_MANY_CONNECTIONS = LogRule(
    looks_for="connections that were refused since there were too many",
    means="the server refused clients: raise net.maxIncomingConnections and its `ulimit -n`, or use fewer clients",
    severity="error",
    ids=frozenset({22942}),
    words=_words(r"connection refused because too many open connections|there are too many open connections"),
)

FLOW_CONTROL = LogRule(
    looks_for="flow control that holds back writes since members don't keep up",
    means="flow control held back writes and the majority commit point did not move: a secondary is stuck or "
    "far behind",
    severity="warning",
    ids=frozenset({22225}),
    words=_words(r"^Flow control is engaged and the sustainer point is not moving"),
    expected_in=ASKED_FOR,
)

LOG_ERROR = LogRule(
    looks_for="lines of severity E",
    means="the server reports an error; see the line",
    severity="error",
    levels=frozenset("E"),
    expected_in=ASKED_FOR,
    expected_words=_OF_A_DISTURBANCE,
    follows_in=_MAY_FOLLOW_FROM,
)

HEALTHY = _words(
    # A `shutdown` command's own connection is closed, which is its only reply (6.0.5, with each clean restart).
    "CloseConnectionForShutdownCommand"
    # What the original DSI passed over: a TTL monitor that a step-down interrupts, reads at a timestamp that has gone.
    "|TTL query execution for index|older than oldest timestamp|less than the oldest timestamp"
)
"""What lines of severity E have that a healthy server writes."""

NEEDLES = (
    b"lection",
    b"tepping down",
    b"step down in response",
    b"relinquishing primary",
    b"ollback",
    b"ROLLBACK",
    b"state DOWN",
    b"RS_DOWN",
    b"replSetReconfig admin",
    b"not a member of the config",
    b"too stale to",
    b"nclean shutdown",
    b"too many open connections",
    b"sending response to client",
    b"receiving request from client",
    b"sustainer point",
)
"""Of old logs, whose lines have no ids, those are looked at that have one of these: each of the words above has one."""
