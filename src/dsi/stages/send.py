"""`dsi send`: from dsi's own machine to the dsisocket of the test that runs in a work directory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dsi import provisioning
from dsi.client import AsyncDsiSocket
from dsi.errors import StateError
from dsi.stages.dsisocket import opened_in
from dsi.state import State

PATIENCE_S = 10.0
"""How long it is tried to get a lost connection back: a person is waiting."""


@asynccontextmanager
async def dsisocket_of(work_directory: Path) -> AsyncIterator[AsyncDsiSocket]:
    """Reach the dsisocket of the running test, through SSH where the workload client is remote.

    The work directory's lock is the running test's own, and stays so; its configuration isn't read.

    Raises:
        StateError: no test runs there, or it has no dsisocket; HostError: its workload client can't be reached.
    """
    state = State(work_directory)
    address, token = _insist_on_a_test(state)
    host, _, port = address.rpartition(":")
    entry = next(entry for entry in provisioning.remembered(state) if entry.role == "workload_client")
    hosts = await provisioning.connect([entry], state)
    try:
        async with (
            hosts[entry].forward(host.strip("[]"), int(port)) as (here, port_here),
            AsyncDsiSocket(f"[{here}]:{port_here}", token=token, patience_s=PATIENCE_S) as dsi,
        ):
            yield dsi
    finally:
        await provisioning.close_all(hosts.values())


def _insist_on_a_test(state: State) -> tuple[str, str | None]:
    if (
        not state.is_locked()
    ):  # and if a dsi that was killed has left its address, another listens there by now, perhaps
        raise StateError(f"no test runs in {state.work_directory}: begin with `dsi run` or `dsi test-control` there")
    opened = opened_in(state)
    if opened is None:
        raise StateError(
            f"dsi is at work in {state.work_directory}, but no dsisocket is open: it is from the start of a test's cmd "
            "to its end, if test_control.yml has `dsisocket: {enabled: true}`"
        )
    return opened
