"""Stage infrastructure_teardown: nothing of dsi is left running."""

import structlog

from dsi import provisioning
from dsi.config.models import MongodbSetup
from dsi.errors import DsiError, raise_together
from dsi.hosts import this_machine
from dsi.inventory import Inventory
from dsi.stages.mongodb_setup import forget_setup
from dsi.stages.running_test import end_left
from dsi.stages.session import Session
from dsi.systems import mongodb

log = structlog.get_logger()


async def teardown(session: Session) -> None:
    """End what dsi started. Hosts that dsi made go with all that is on them; on others nodes end, and their secrets go.

    It works also after a crash, and with files that are no longer right: what runs is known from the state alone.

    Raises:
        DsiError: a node couldn't be ended; everything else has been.
    """
    session.timeline.add("stage", stage="infrastructure_teardown")
    made_hosts = any(entry.home is not None for entry in provisioning.remembered(session.state))
    await end_all(session)
    if made_hosts:
        (session.work_directory / "infrastructure_provisioning.out.yml").unlink(missing_ok=True)
    provisioning.forget(session.state)
    forget_setup(session.state)


async def end_all(session: Session) -> None:
    """End the `cmd` that a dsi which was killed has left, the nodes that dsi has started, and the local hosts.

    Raises:
        DsiError: a node or `cmd` couldn't be ended; everything else has been.
    """
    await session.disconnect()
    failures: list[DsiError] = []
    for ending in (end_left(session.state), _stop_nodes(session)):
        try:
            await ending
        except DsiError as failure:
            failures.append(failure)
    await provisioning.local.teardown(session.state)
    raise_together(failures)
    mongodb.forget_nodes(session.state)  # what is left of them was on hosts that are gone


async def _stop_nodes(session: Session) -> None:
    """Stop the nodes on hosts that dsi didn't make, and remove their secrets there; on others they end with their host.

    Raises:
        DsiError: a node couldn't be ended, or its host can't be reached; it is still remembered then.
    """
    entries = [entry for entry in provisioning.remembered(session.state) if entry.home is None]
    if not entries or not mongodb.anything_left(session.state):
        return
    hosts, failures = await provisioning.connect_to_those_there(entries, session.state)
    out_of_reach = {entry.public_ip for entry in entries} - {entry.public_ip for entry in hosts}
    left = mongodb.nodes_at(session.state, out_of_reach)
    inventory = Inventory(hosts, this_machine("localhost", session.work_directory))
    try:
        async with mongodb.Deployment(
            MongodbSetup(), lambda node: inventory.at(node.public_ip, node.private_ip), state=session.state
        ) as deployment:
            await deployment.attach()
            await deployment.stop()
            await deployment.remove_own_files()
    finally:
        await inventory.close()
    if left:
        mongodb.keep_nodes(session.state, left)
        log.error("these nodes could not be ended; `dsi teardown` tries again", nodes=", ".join(left))
    if mongodb.anything_left(session.state):
        raise_together(failures)
