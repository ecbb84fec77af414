"""Lists of hosts as configured → listings with names."""

import dataclasses
from collections.abc import Iterable

from dsi.config.models import HostLists, InfrastructureProvisioning, TfVars
from dsi.model import ROLES, HostEntry, Role
from dsi.state import State

_STATE = "hosts"


def entries_of(lists: HostLists, tfvars: TfVars) -> list[HostEntry]:
    """Give every listed host in order; user and key come from `tfvars` where a listing has none of its own."""
    return [
        HostEntry(
            role=role,
            index=index,
            public_ip=host.public_ip,
            private_ip=host.private_ip or host.public_ip,
            ssh_user=host.ssh_user or tfvars.ssh_user or None,
            ssh_port=host.ssh_port,
            ssh_key_file=host.ssh_key_file or tfvars.ssh_key_file or None,
            ssh_keepalive_s=tfvars.ssh_keepalive_seconds,
            ssh_reconnect_s=tfvars.ssh_reconnect_seconds,
            ssh_max_output_bytes=tfvars.ssh_max_output_bytes,
            home=host.home,
        )
        for role in ROLES
        for index, host in enumerate(getattr(lists, role))
    ]


def remember(state: State, entries: Iterable[HostEntry]) -> None:
    """Keep how the hosts are reached, for a teardown that can't read the configuration any more."""
    state.write(_STATE, [dataclasses.asdict(entry) for entry in entries])


def remembered(state: State) -> list[HostEntry]:
    """Give the hosts that dsi was last working with."""
    return [HostEntry(**entry) for entry in state.read(_STATE) or ()]


def forget(state: State) -> None:
    """Forget them: nothing runs there any more."""
    state.forget(_STATE)


def counts(settings: InfrastructureProvisioning) -> dict[Role, int]:
    """Give how many hosts of each kind there are, or will be."""
    if settings.out is not None:
        return {role: len(getattr(settings.out, role)) for role in ROLES}
    if settings.provider == "static":
        return {role: len(getattr(settings.hosts, role)) for role in ROLES}
    tfvars = settings.tfvars
    return {
        "mongod": tfvars.mongod_count,
        "mongos": tfvars.mongos_instance_count,
        "configsvr": tfvars.configsvr_instance_count,
        "workload_client": tfvars.workload_instance_count,
    }
