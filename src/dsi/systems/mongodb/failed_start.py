"""Why a node did not start, for people."""

from dsi.errors import ClusterError
from dsi.hosts.base import Host
from dsi.model import signal_of
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
        before = "answered" if why.reason == "died" else "took a connection"
        message = f"{command} {how_it_ended(why.exit_status)} before it {before}"
    return ClusterError(plan.label, message, await log.tail(host, layout))


def how_it_ended(exit_status: int | None) -> str:
    """Say how a process ended, by the exit status that a shell gives: 128 + N for signal N; None: not known. Pure."""
    if exit_status is None or exit_status <= 128:
        return f"ended with exit status {'unknown' if exit_status is None else exit_status}"
    return f"was ended by signal {exit_status - 128} ({signal_of(exit_status) or 'unknown'})"
