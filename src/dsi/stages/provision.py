"""Stage infrastructure_provisioning: hosts, and what is to be done on them once they are up."""

import hashlib

import structlog

from dsi import config, provisioning
from dsi.config.models import InfrastructureProvisioning
from dsi.model import ROLES
from dsi.provisioning import PROVISIONERS, out
from dsi.runner import run_hook
from dsi.stages.hooks import hook
from dsi.stages.session import Session
from dsi.stages.teardown import end_all

log = structlog.get_logger()

STAGE = "infrastructure_provisioning"
_WRITTEN = "provisioned"
"""Where the state keeps what the `.out.yml` was like when dsi had written it."""


async def provision(session: Session) -> None:
    """Get the hosts, write `infrastructure_provisioning.out.yml`, and run `post_provisioning`.

    A file of that name that somebody else has written serves as it is: its hosts are used, and nothing is provisioned.

    Raises:
        DsiError
    """
    tree = session.begin(STAGE)
    settings = config.provisioning(tree)
    if _is_brought(session, settings):
        log.info(f"{STAGE}.out.yml was not written by dsi: its hosts are used as they are")
        return
    await session.disconnect()
    if settings.provider == "local" or provisioning.local.records(session.state):
        await end_all(session)  # other hosts than before, or the same made anew: what ran there must not be forgotten
    with session.timeline.span("provision", provider=settings.provider):
        entries = await PROVISIONERS[settings.provider](settings, session.state, session.tied)
        tree.write_out(STAGE, out(entries))
        provisioning.remember(session.state, entries)
        session.state.write(_WRITTEN, _digest(session))
    await _run_post_provisioning(session, local=settings.provider == "local" and not settings.local_post_provisioning)


def _is_brought(session: Session, settings: InfrastructureProvisioning) -> bool:
    lists = settings.out
    if lists is None:
        return False
    made_by_dsi = any(host.home for role in ROLES for host in getattr(lists, role))
    return not made_by_dsi and session.state.read(_WRITTEN) != _digest(session)


def _digest(session: Session) -> str:
    return hashlib.sha256((session.work_directory / f"{STAGE}.out.yml").read_bytes()).hexdigest()


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
