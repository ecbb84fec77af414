"""Why a node did not start, for people."""

from dsi.errors import ClusterError
from dsi.hosts.base import Host
from dsi.systems.mongodb import log, room
from dsi.systems.mongodb.layout import Layout
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import NotStarted


async def explained(why: NotStarted, plan: NodePlan, host: Host, layout: Layout, *, limit_ms: int) -> ClusterError:
    """Give the error that says why, with who has the port, or with what the server wrote. `limit_ms`: what it had."""
    if why.reason == "taken":
        return await room.port_taken(plan, host, layout)
    command = f"{' '.join(layout.command)} on {host.name}"
    if why.reason == "slow":
        message = f"{command} runs, but took no connection within timeouts.start_ms ({limit_ms})"
    else:
        status = "unknown" if why.exit_status is None else why.exit_status
        message = f"{command} ended with exit status {status} before it took a connection"
    return ClusterError(plan.label, message, await log.tail(host, layout))
