"""Why a node did not start, for people."""

from dsi.errors import ClusterError
from dsi.hosts.base import Host
from dsi.systems.mongodb import log
from dsi.systems.mongodb.layout import Layout
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import NotStarted


async def explained(why: NotStarted, plan: NodePlan, host: Host, layout: Layout, *, limit_ms: int) -> ClusterError:
    """Give the error that says why, with who has the port, or with what the server wrote. `limit_ms`: what it had."""
    if why.reason == "taken":
        holder = await host.who_listens(layout.address, plan.port)
        return ClusterError(
            plan.label,
            f"port {plan.port} of {layout.address} on {host.name} is taken by {holder}: end that, or change net.port",
        )
    command = f"{' '.join(layout.command)} on {host.name}"
    if why.reason == "slow":
        message = f"{command} runs, but took no connection within timeouts.start_ms ({limit_ms})"
    else:
        status = "unknown" if why.exit_status is None else why.exit_status
        message = f"{command} ended with exit status {status} before it took a connection"
    return ClusterError(plan.label, message, await log.tail(host, layout))
