"""Stage infrastructure_provisioning: hosts, and what is to be done on them once they are up."""

import structlog

from dsi import config
from dsi.errors import Preflight
from dsi.provisioning import PROVISIONERS, out
from dsi.runner import run_hook
from dsi.stages.hooks import hook
from dsi.stages.session import Session

log = structlog.get_logger()

STAGE = "infrastructure_provisioning"


async def provision(session: Session) -> None:
    """Get the hosts, write `infrastructure_provisioning.out.yml`, and run `post_provisioning`.

    Raises:
        DsiError
    """
    tree = session.begin(STAGE)
    settings = config.provisioning(tree)
    provisioner = PROVISIONERS.get(settings.provider)
    if provisioner is None:
        raise Preflight(
            f"infrastructure_provisioning.provider: {settings.provider} is not supported yet; there are: "
            f"{', '.join(PROVISIONERS)}. Hosts that you have brought up yourself can be listed: provider static"
        )
    await session.disconnect()
    with session.timeline.span("provision", provider=settings.provider):
        entries = await provisioner(settings, session.state, session.tied)
        if settings.provider == "local":
            session.state.forget("nodes")  # they have ended with the hosts that they were on
        tree.write_out(STAGE, out(entries))
    await _run_post_provisioning(session, local=settings.provider == "local" and not settings.local_post_provisioning)


async def _run_post_provisioning(session: Session, *, local: bool) -> None:
    tree = session.load()  # now with the hosts
    commands = hook(tree, f"{STAGE}.post_provisioning")
    if commands and local:
        log.warning(
            "post_provisioning is passed over on local hosts, since it tunes whole machines; "
            "infrastructure_provisioning.local_post_provisioning: true runs it all the same"
        )
        return
    if commands:
        context = await session.context(tree)
        await run_hook("post_provisioning", commands, context.into("post_provisioning"), session.progress)
