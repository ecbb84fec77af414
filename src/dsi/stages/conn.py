"""`dsi conn`: which host somebody means, and what to do there."""

from collections.abc import Awaitable, Callable, Sequence

from dsi import config, provisioning
from dsi.commands.targets import ALIASES
from dsi.config import Tree
from dsi.errors import Preflight, StateError
from dsi.hosts import Host, this_machine
from dsi.inventory import Inventory, on_each
from dsi.model import HostEntry, StreamName
from dsi.stages.session import Session


def entries_named(tree: Tree, names: Sequence[str]) -> list[HostEntry]:
    """Give the hosts that are meant by `mongod.0`, `md.0`, or `md` (every mongod).

    Raises:
        Preflight: no host is called so.
        StateError: nothing was provisioned yet.
    """
    settings = config.provisioning(tree)
    if settings.out is None:
        raise StateError("there are no hosts yet: run `dsi provision` first")
    entries = provisioning.entries_of(settings.out, settings.tfvars)
    chosen: list[HostEntry] = []
    for name in names:
        role, _, index = name.partition(".")
        full = ALIASES.get(role, role)
        matching = [entry for entry in entries if entry.role == full and index in ("", str(entry.index))]
        if not matching:
            there = ", ".join(entry.name for entry in entries)
            raise Preflight(f"there is no host {name}; there are: {there}")
        chosen += matching
    return chosen


async def run_on(
    session: Session,
    entries: Sequence[HostEntry],
    text: str,
    output: Callable[[str, StreamName, bytes], Awaitable[None]],
) -> int:
    """Run shell text on each of the hosts side by side, and give the worst exit status.

    Raises:
        DsiError: a host can't be reached.
    """
    hosts = await provisioning.connect(entries, session.state)
    inventory = Inventory(hosts, this_machine("localhost", session.work_directory))
    worst = 0

    async def run(host: Host) -> None:
        nonlocal worst

        async def pass_on(stream: StreamName, block: bytes) -> None:
            await output(host.name, stream, block)

        result = await host.run(text, on_output=pass_on, check=False)
        worst = max(worst, result.exit_status)

    try:
        await on_each(inventory.by_machine(list(hosts.values())), run)
    finally:
        await inventory.close()
    return worst
