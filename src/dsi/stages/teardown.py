"""Stage infrastructure_teardown: nothing of dsi is left running."""

from dsi import provisioning
from dsi.config.models import MongodbSetup
from dsi.errors import DsiError
from dsi.hosts import this_machine
from dsi.inventory import Inventory
from dsi.stages.session import Session
from dsi.systems.mongodb import Deployment


async def teardown(session: Session) -> None:
    """End what dsi started. Hosts that dsi made go with all that is on them; on others nodes end, nothing is deleted.

    It works also after a crash, and with files that are no longer right: what runs is known from the state alone.

    Raises:
        DsiError: a node couldn't be ended; everything else has been.
    """
    session.progress.stage("infrastructure_teardown")
    made_hosts = any(entry.home is not None for entry in provisioning.remembered(session.state))
    await end_all(session)
    if made_hosts:
        (session.work_directory / "infrastructure_provisioning.out.yml").unlink(missing_ok=True)
    provisioning.forget(session.state)


async def end_all(session: Session) -> None:
    """End the nodes that dsi has started, and the local hosts.

    Raises:
        DsiError: a node couldn't be ended; everything else has been.
    """
    await session.disconnect()
    problem: DsiError | None = None
    try:
        await _stop_nodes(session)
    except DsiError as failure:
        problem = failure
    await provisioning.local.teardown(session.state)
    if problem is not None:
        raise problem
    session.state.forget("nodes")  # what is left of them was on hosts that are gone


async def _stop_nodes(session: Session) -> None:
    """Stop the nodes on hosts that dsi didn't make: on the others they end with their host."""
    entries = [entry for entry in provisioning.remembered(session.state) if entry.home is None]
    if not entries or not session.state.read("nodes"):
        return
    hosts = await provisioning.connect(entries, session.state)
    inventory = Inventory(hosts, this_machine("localhost", session.work_directory))
    try:
        async with Deployment(
            MongodbSetup(), lambda node: inventory.at(node.public_ip, node.private_ip), state=session.state
        ) as deployment:
            await deployment.attach()
            await deployment.stop()
    finally:
        await inventory.close()
