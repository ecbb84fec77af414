"""Whether a node's place on its host is free: nobody else has its port, and no server lives in its data folder.

A mongod holds a lock, flock(2), on its mongod.lock for as long as it lives. The lock is on the file itself, so it is
seen from any user, container or host of this machine. That the file is there says nothing: it stays.
"""

from dsi.errors import ClusterError
from dsi.hosts.base import Host
from dsi.systems.mongodb.layout import JOURNAL_OF, Layout
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import script

SEIZE = r"""
# `seize FILE`: take the lock on a mongod.lock for as long as this shell lives; `holder` is who has it, empty: nobody.
seize() {
    local pid= inode status=0
    holder=
    [ -e "$1" ] || return 0
    { exec {seized}<> "$1"; } 2>/dev/null || { holder="who can't be seen, since $1 can't be opened"; return; }
    flock -n "$seized" || status=$?
    case $status in
        0) return;;
        1) ;;
        *) holder="who can't be seen, since flock (package util-linux) failed"; return;;
    esac
    read -r pid < "$1" || :
    inode=$(stat -Lc %i -- "$1")
    holder="a process that is not to be seen from here, pid $pid where it lives"
    if grep -Eq "FLOCK .* $pid [^ ]*:$inode " /proc/locks 2>/dev/null; then
        holder="process $pid ($(cat "/proc/$pid/comm" 2>/dev/null))"
    fi
}
"""
"""Shell text for whoever deletes in a data folder, too."""

_LOOK = r"""
if listens "$1" "$2"; then echo port; exit; fi
holder=
if [ -n "$3" ]; then seize "$3"; fi
[ -z "$holder" ] || { echo "data $holder"; exit; }
if [ -n "$4" ] && ! [ "$4" -ef "$3" ]; then seize "$4"; fi
[ -z "$holder" ] || echo "journal $holder"
"""


async def insist(plan: NodePlan, host: Host, layout: Layout) -> None:
    """See that a node can be started where it is to be. It must not run itself.

    Raises:
        ClusterError: another has its port, its data folder or its journal; it says who, where that can be seen.
    """
    journals = f"{layout.journal}/{JOURNAL_OF}/mongod.lock" if layout.journal else ""
    done = await host.run(script(SEIZE + _LOOK, layout.address, plan.port, layout.files.lock or "", journals))
    what, _, holder = done.stdout.strip().partition(" ")
    if what == "port":
        raise await port_taken(plan, host, layout)
    if what == "data":
        raise ClusterError(
            plan.label,
            f"storage.dbPath {layout.db_path} on {host.name} is in use by {holder}: nothing was deleted or started; "
            "end that server, or name another storage.dbPath",
        )
    if what == "journal":
        raise ClusterError(
            plan.label,
            f"journal_dir: {layout.journal} on {host.name} is the journal of {holder}: nothing was deleted or started; "
            "end that server, or name another journal_dir",
        )


async def port_taken(plan: NodePlan, host: Host, layout: Layout) -> ClusterError:
    """Give the error that says who has a node's port."""
    holder = await host.who_listens(layout.address, plan.port)
    return ClusterError(
        plan.label,
        f"port {plan.port} of {layout.address} on {host.name} is taken by {holder}: end that, or change net.port",
    )
