"""Listings of hosts → hosts that one can work with."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from dsi.errors import DsiError, raise_together
from dsi.hosts import Host, Memory, Note, SshHost, conn_argv, connect_ssh, local_host, this_machine, unheard
from dsi.model import HostEntry
from dsi.provisioning import local
from dsi.provisioning.served import ServedIn
from dsi.state import State

log = structlog.get_logger()

_THIS_MACHINE = ("localhost", "127.0.0.1")
_KNOWN_HOSTS = "known_hosts"


async def connect(
    entries: Sequence[HostEntry], state: State, note: Note = unheard, *, after_a_crash: bool = False
) -> dict[HostEntry, Host]:
    """Connect to every listed host, the machines side by side; listings of one machine share a connection.

    `note` gets what happens to the connections later: event and fields, as `Timeline.add` does. `after_a_crash`: an
    sshd that still serves an earlier dsi on the workload client is ended; for who holds the work directory's lock.

    Raises:
        HostUnreachable: one can't be reached, or lets nobody in; SeveralFailed: several. Nothing stays open then.
        StateError: a local host isn't up any more.
    """
    hosts, failures = await connect_to_those_there(entries, state, note, after_a_crash=after_a_crash)
    if failures:
        await close_all(hosts.values())
        raise_together(failures)
    return hosts


async def connect_to_those_there(
    entries: Sequence[HostEntry], state: State, note: Note = unheard, *, after_a_crash: bool = False
) -> tuple[dict[HostEntry, Host], list[DsiError]]:
    """Connect to the hosts that can be reached, and give what kept us from the others.

    Raises:
        StateError: a local host isn't up any more.
    """
    here = {entry: _here(entry, state) for entry in entries if not _by_ssh(entry)}
    machines = {entry.machine: entry for entry in reversed(entries) if _by_ssh(entry)}
    clients = {entry.machine for entry in entries if entry.role == "workload_client" and after_a_crash}
    connected: dict[object, SshHost] = {}
    failures: list[DsiError] = []

    async def log_in(entry: HostEntry) -> None:
        try:
            memory = ServedIn(state, entry) if entry.machine in clients else None
            connected[entry.machine] = await _log_in(entry, state, note, memory)
        except DsiError as failure:
            failures.append(failure)

    try:
        async with asyncio.TaskGroup() as tasks:
            for entry in machines.values():
                tasks.create_task(log_in(entry))
    except BaseException:  # called off: what is open already must not stay so
        await close_all(connected.values())
        raise
    remote = {entry: _named(connected[entry.machine], entry.name) for entry in entries if entry.machine in connected}
    return {entry: host for entry in entries if (host := here.get(entry) or remote.get(entry))}, failures


def _named(host: SshHost, name: str) -> SshHost:
    return host if host.name == name else host.named(name)


async def _log_in(entry: HostEntry, state: State, note: Note, memory: Memory | None) -> SshHost:
    return await connect_ssh(
        entry.name,
        entry.public_ip,
        port=entry.ssh_port,
        user=entry.ssh_user,
        key_file=entry.ssh_key_file,
        known_hosts=state.make_folder() / _KNOWN_HOSTS,
        keepalive_s=entry.ssh_keepalive_s,
        reconnect_s=entry.ssh_reconnect_s,
        max_output_bytes=entry.ssh_max_output_bytes,
        note=note,
        memory=memory,
    )


def _by_ssh(entry: HostEntry) -> bool:
    return entry.home is None and (entry.public_ip not in _THIS_MACHINE or entry.ssh_port is not None)


def _here(entry: HostEntry, state: State) -> Host:
    if entry.home is not None:
        return local_host(local.alive(state, entry.name))
    return this_machine(entry.name, Path.home())


async def close_all(hosts: Iterable[Host]) -> None:
    """Close the connections to hosts, each though another's closing goes wrong, which is logged."""
    ended = await asyncio.gather(*(host.close() for host in hosts), return_exceptions=True)
    for problem in ended:
        if isinstance(problem, Exception):
            log.warning("a connection did not close in good order", reason=str(problem))


def shell_argv(entry: HostEntry, state: State) -> list[str]:
    """Give the command line of an interactive shell on a host: ssh with what dsi itself would use, or nsenter.

    Raises:
        StateError: a local host isn't up any more.
    """
    if entry.home is not None:
        return conn_argv(local.alive(state, entry.name))
    if not _by_ssh(entry):
        return ["bash", "-i"]
    options = ["-o", f"UserKnownHostsFile={state.folder / _KNOWN_HOSTS}", "-o", "StrictHostKeyChecking=accept-new"]
    if entry.ssh_key_file:
        options += ["-i", entry.ssh_key_file, "-o", "IdentitiesOnly=yes"]
    if entry.ssh_port:
        options += ["-p", str(entry.ssh_port)]
    if entry.ssh_user:
        options += ["-l", entry.ssh_user]
    return ["ssh", *options, entry.public_ip]
