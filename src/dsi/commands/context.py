"""What a command gets to work with. Nobody reaches for globals."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from dsi.clock import SYSTEM, Clock
from dsi.commands.listening import Lease, Listener, Nobody
from dsi.errors import CommandFailed
from dsi.hosts.base import Host
from dsi.inventory import Inventory
from dsi.model import Result, StreamName
from dsi.timeline import Timeline

Output = Callable[[str, StreamName, bytes], Awaitable[None]]
"""Gets what the shell commands write, as it comes: host, stream, block."""


class RestartReport(Protocol):
    """What a restart did."""

    @property
    def restarted(self) -> Sequence[str]:
        """The names of the nodes."""
        ...

    @property
    def writes_refused_s(self) -> Mapping[str, float]:
        """By cluster: for how many seconds writes were refused."""
        ...


class Clusters(Protocol):
    """The clusters of `mongodb_setup.topology`, as far as commands need them."""

    def ids(self) -> Mapping[str, Sequence[Host]]:
        """The hosts behind each id of a node, shard, replica set or cluster."""
        ...

    async def restart(
        self,
        *,
        clean_logs: bool = False,
        clean_db_dir: bool = False,
        nodes: Sequence[str] | None = None,
        mode: Literal["clean", "crash", "rolling"] = "clean",
    ) -> RestartReport:
        """Stop and start what is named (None: everything); returns a report when it is whole again."""
        ...

    async def expect_down(self, names: Sequence[str]) -> None:
        """Note that these nodes are meant to go down."""
        ...

    def url_on(self, host: Host) -> str | None:
        """The connection string of the host's own node; None where it has none."""
        ...


async def _unheard(_host: str, _stream: StreamName, _block: bytes) -> None:
    """Let output pass: the result keeps the end of it."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where commands run: the hosts and clusters there are, and where what they fetch goes.

    `reports` is the folder of the running test or hook; `environment` is given to commands on the workload client;
    `clusters` is None where there is no topology. `changing` is held by whoever changes the clusters as a whole.
    `output` is for all commands of a run, `listener` for who asked for this one.
    `orphan_s` is how long shell commands go on without dsi.
    """

    work_directory: Path
    inventory: Inventory
    clusters: Clusters | None
    timeline: Timeline
    reports: Path
    mongodb_url: str | None = None
    mongo_dir: str = "mongodb"
    output: Output = _unheard
    environment: Mapping[str, str] = field(default_factory=dict)
    orphan_s: float = 600.0
    clock: Clock = SYSTEM
    changing: Lease = field(default_factory=Lease)
    listener: Listener = field(default_factory=Nobody)

    async def shell(self, host: Host, text: str, env: Mapping[str, str] | None = None) -> Result:
        """Run shell text on a host, with the environment that belongs there, its output going to `output`.

        Raises:
            CommandFailed: its exit status is not 0.

        """
        general = self.environment if host.name.startswith("workload_client.") else {}

        async def forward(stream: StreamName, block: bytes) -> None:
            await self.output(host.name, stream, block)
            await self.listener.output(host.name, stream, block)

        self.listener.begun(host.name)
        try:
            result = await host.run(text, env={**general, **(env or {})}, on_output=forward, outlives_s=self.orphan_s)
        except CommandFailed as failure:
            for failed in failure.results:
                self.listener.ended(failed)
            raise
        self.listener.ended(result)
        return result

    def heard_by(self, listener: Listener) -> "Context":
        """Give the same context with somebody who hears of what is run."""
        return replace(self, listener=listener)

    def into(self, folder: str, environment: Mapping[str, str] | None = None) -> "Context":
        """Give the same context with what is fetched going to a folder of `reports`, and more environment."""
        return replace(self.with_environment(environment or {}), reports=self.reports / folder)

    def with_environment(self, environment: Mapping[str, str]) -> "Context":
        """Give the same context with more environment for commands on the workload client."""
        return replace(self, environment={**self.environment, **environment})
