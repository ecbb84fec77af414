"""Provider `static`: hosts that are there already. Provisioning checks that one can log in on each."""

from dsi.config.models import InfrastructureProvisioning
from dsi.errors import Preflight
from dsi.model import HostEntry
from dsi.provisioning.connect import close_all, connect
from dsi.provisioning.entries import entries_of
from dsi.state import State


async def provision(settings: InfrastructureProvisioning, state: State, _tied: bool) -> list[HostEntry]:
    """Log in on every host that is listed, and give the listings.

    Raises:
        Preflight: none is listed.
        HostUnreachable: one can't be reached, or lets nobody in; SeveralFailed: several.
    """
    entries = entries_of(settings.hosts, settings.tfvars)
    if not entries:
        raise Preflight(
            "infrastructure_provisioning.provider is static, and infrastructure_provisioning.hosts lists none: write "
            "them there, as `mongod: [{public_ip: …}]`"
        )
    await close_all((await connect(entries, state)).values())
    return entries
