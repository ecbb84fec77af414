"""Stage infrastructure_teardown: nothing of dsi is left running."""

import structlog

from dsi import provisioning
from dsi.stages.load import load
from dsi.stages.session import Session

log = structlog.get_logger()


async def teardown(session: Session) -> None:
    """End what dsi started. Hosts that dsi made go with all that is on them; on others nodes end, nothing is deleted.

    It works also after a crash, and with files that are no longer right: what runs is known from the state alone.

    Raises:
        DsiError: a node couldn't be ended.
    """
    session.progress.stage("infrastructure_teardown")
    local_hosts = bool(provisioning.local.records(session.state))
    try:
        if not local_hosts:
            await _stop_nodes(session)
    finally:
        await session.disconnect()
        await provisioning.local.teardown(session.state)
    if local_hosts:
        session.state.forget("nodes")
        (session.work_directory / "infrastructure_provisioning.out.yml").unlink(missing_ok=True)


async def _stop_nodes(session: Session) -> None:
    if session.state.read("nodes"):
        tree = load(session.work_directory)
        deployment = await session.deployment(tree)
        await deployment.stop()
