"""Which hosts play which role, and doing something on several of them at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from dsi.errors import DsiError, Preflight, raise_together
from dsi.hosts.base import Host
from dsi.model import HostEntry, Role
from dsi.provisioning import close_all


class Inventory:
    """The hosts of a run, in the order in which `infrastructure_provisioning.out` lists them.

    `here` is where dsi itself runs (`on_localhost`).
    """

    def __init__(self, hosts: Mapping[HostEntry, Host], here: Host) -> None:
        self._hosts = dict(hosts)
        self.here = here

    @property
    def entries(self) -> tuple[HostEntry, ...]:
        """All listings."""
        return tuple(self._hosts)

    def of_roles(self, roles: Sequence[Role]) -> tuple[Host, ...]:
        """Every listed host of these kinds, kind by kind."""
        return tuple(host for role in roles for entry, host in self._hosts.items() if entry.role == role)

    def host(self, name: str) -> Host:
        """Give the host that is called so (`mongod.0`).

        Raises:
            Preflight: there is none of that name.

        """
        for entry, host in self._hosts.items():
            if entry.name == name:
                return host
        raise Preflight(f"there is no host {name}; there are: {self._names()}")

    def at(self, public_ip: str, private_ip: str | None) -> Host:
        """Give the host with these addresses, a server before a workload client.

        Raises:
            Preflight: provisioning gave none.

        """
        for entry, host in self._hosts.items():
            if entry.public_ip == public_ip and entry.private_ip == (private_ip or public_ip):
                return host
        raise Preflight(
            f"mongodb_setup.topology has a node on {public_ip} (private_ip {private_ip or public_ip}), "
            f"and no host of infrastructure_provisioning.out has these addresses; there are: {self._names()}. "
            "Write ${infrastructure_provisioning.out.mongod.N.public_ip}, and the same of private_ip"
        )

    def local_address(self, host: Host) -> str | None:
        """Give the loopback address of a local host; None for every other."""
        for entry in self._hosts:
            if entry.name == host.name and entry.home is not None:
                return entry.private_ip
        return None

    @property
    def workload_client(self) -> Host:
        """Where `cmd` and the dsisocket are: `workload_client.0`.

        Raises:
            Preflight: there is none.

        """
        clients = self.of_roles(["workload_client"])
        if not clients:
            raise Preflight(
                "there is no workload client: set infrastructure_provisioning.tfvars.workload_instance_count to 1, "
                "or list one under infrastructure_provisioning.hosts.workload_client"
            )
        return clients[0]

    def by_machine(self, hosts: Sequence[Host]) -> list[list[Host]]:
        """Group hosts by machine: listings of one machine share a connection, and run one after another."""
        machine = {host.name: entry.machine for entry, host in self._hosts.items()}
        groups: dict[object, list[Host]] = {}
        for host in hosts:
            groups.setdefault(machine.get(host.name, host.name), []).append(host)
        return list(groups.values())

    async def close(self) -> None:
        """Close every connection."""
        everything = {id(host): host for host in (*self._hosts.values(), self.here)}
        await close_all(everything.values())

    def _names(self) -> str:
        return ", ".join(f"{entry.name} ({entry.public_ip}, {entry.private_ip})" for entry in self._hosts) or "none"


async def on_each(groups: Sequence[Sequence[Host]], action: Callable[[Host], Awaitable[None]]) -> None:
    """Do something on every host: the groups side by side, the hosts of a group one after another.

    Each host is for itself: that one fails stops none of the others.

    Raises:
        DsiError: what failed on the one host that failed; for several, one error that names them all.

    """
    failures: dict[str, DsiError] = {}

    async def one_after_another(group: Sequence[Host]) -> None:
        for host in group:
            try:
                await action(host)
            except DsiError as failure:
                failures[host.name] = failure

    async with asyncio.TaskGroup() as tasks:
        for group in groups:
            tasks.create_task(one_after_another(group))
    raise_together([failures[host.name] for group in groups for host in group if host.name in failures])
