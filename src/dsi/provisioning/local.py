"""Provider `local`: as many local hosts as the counts say, on this machine."""

import asyncio
import dataclasses
import shutil

from dsi.config.models import InfrastructureProvisioning
from dsi.errors import Preflight, StateError
from dsi.hosts import LocalHostRecord, end_local_hosts, end_local_hosts_in, is_alive, start_local_hosts
from dsi.model import ROLES, HostEntry
from dsi.provisioning.entries import counts
from dsi.state import State

_STATE = "local_hosts"


async def provision(settings: InfrastructureProvisioning, state: State, tied: bool) -> list[HostEntry]:
    """Start the hosts; those of an earlier run are ended first.

    Raises:
        Preflight: the configuration asks for no hosts at all, or a host can't be started.
    """
    wanted = counts(settings.model_copy(update={"out": None}))
    roles_and_indices = [(role, index) for role in ROLES for index in range(wanted[role])]
    if not roles_and_indices:
        raise Preflight(
            "infrastructure_provisioning asks for no host at all: set tfvars.mongod_instance_count "
            "(and workload_instance_count) to how many you want"
        )
    await teardown(state)
    names = [f"{role}.{index}" for role, index in roles_and_indices]
    records = await start_local_hosts(names, state.make_folder() / "hosts", tied=tied)
    state.write(_STATE, [dataclasses.asdict(record) for record in records])
    return [
        HostEntry(role=role, index=index, public_ip=record.address, private_ip=record.address, home=str(record.home))
        for (role, index), record in zip(roles_and_indices, records, strict=True)
    ]


def records(state: State) -> dict[str, LocalHostRecord]:
    """Give the local hosts that this work directory has, by name, alive or not."""
    return {record["name"]: LocalHostRecord(**record) for record in state.read(_STATE) or ()}


def alive(state: State, name: str) -> LocalHostRecord:
    """Give a local host that is up.

    Raises:
        StateError: there is none of that name, or it has gone.
    """
    record = records(state).get(name)
    if record is None or not is_alive(record):
        raise StateError(
            f"{name} is a local host, and it is not up any more (a reboot, or the run that made it has ended): "
            "`dsi provision` brings the hosts up again"
        )
    return record


async def teardown(state: State) -> bool:
    """End the local hosts and remove their folders; tell whether there were any.

    Raises:
        HostError: one belongs to another user.
    """
    known = records(state)
    folder = state.folder / "hosts"
    await end_local_hosts(list(known.values()))
    await end_local_hosts_in(folder)  # a run that was killed before it could write the state
    state.forget(_STATE)
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return bool(known)
