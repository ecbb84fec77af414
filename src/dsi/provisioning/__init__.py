"""Where hosts come from. A new kind is a file here and a line in `PROVISIONERS`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from dsi.config.models import InfrastructureProvisioning
from dsi.model import HostEntry
from dsi.provisioning import local, static
from dsi.provisioning.connect import close_all, connect, connect_to_those_there, shell_argv
from dsi.provisioning.entries import counts, entries_of, forget, remember, remembered
from dsi.state import State

Provisioner = Callable[[InfrastructureProvisioning, State, bool], Awaitable[list[HostEntry]]]
"""Gets hosts: settings, state, and whether they are to die with this process; gives the listings."""

PROVISIONERS: Final[Mapping[str, Provisioner]] = {"local": local.provision, "static": static.provision}


def out(entries: list[HostEntry]) -> dict[str, list[dict[str, Any]]]:
    """Give what goes into `infrastructure_provisioning.out.yml`: hosts by role, with what is needed to reach them."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        fields = ("public_ip", "private_ip", "ssh_user", "ssh_port", "ssh_key_file", "home")
        values = {field: getattr(entry, field) for field in fields}
        lists.setdefault(entry.role, []).append({key: value for key, value in values.items() if value is not None})
    return lists


__all__ = [
    "PROVISIONERS",
    "Provisioner",
    "close_all",
    "connect",
    "connect_to_those_there",
    "counts",
    "entries_of",
    "forget",
    "local",
    "out",
    "remember",
    "remembered",
    "shell_argv",
    "static",
]
