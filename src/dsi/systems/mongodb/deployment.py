"""All clusters of a topology on their hosts: installed, started, restarted, stopped, and found again by a later dsi."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import structlog

from dsi.clock import SYSTEM
from dsi.config import models
from dsi.errors import DsiError, InvalidCommand, raise_together
from dsi.hosts.base import Host
from dsi.state import State
from dsi.systems.mongodb import preflight, selection, validation
from dsi.systems.mongodb.assembly import Assembly, HostOf
from dsi.systems.mongodb.beginning import Beginning
from dsi.systems.mongodb.cluster import Cluster
from dsi.systems.mongodb.ends import Announced
from dsi.systems.mongodb.install import Destination, Installer, embedded_mongod
from dsi.systems.mongodb.members import MemberState
from dsi.systems.mongodb.meta import node_url
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.process import Process
from dsi.systems.mongodb.records import Records
from dsi.systems.mongodb.roles import states
from dsi.systems.mongodb.rolling import roll
from dsi.systems.mongodb.topology import Topology
from dsi.systems.mongodb.users import make_user
from dsi.systems.mongodb.waiting import failures, side_by_side

log = structlog.get_logger()

RestartMode = Literal["clean", "crash", "rolling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartReport:
    """What a restart did.

    `restarted`: names of nodes. `writes_refused_s`: per cluster that was touched, from asking the first node to shut
    down until the cluster took writes again with its restarted nodes in their places; 0 where the primary went on. In a
    rolling restart: from asking for an election until its winner took writes, all elections together.
    """

    restarted: tuple[str, ...]
    duration_s: float
    writes_refused_s: Mapping[str, float]


class Deployment:
    """The clusters of `mongodb_setup.topology`.

    `host_of` gives a node's host, and raises Preflight where there is none. `workload_clients` get the archive too.
    `state` remembers the nodes that were started; `prefix` is put before mongod and mongos (numactl);
    `embedded` gives the mongod that is used where there is no other.
    Used as `async with`, or `close()` at the end: connections are closed then, the nodes go on.

    Raises:
        ConfigError: nodes that can't be together, or what this version doesn't bring up.
        Preflight: hosts on this machine would share a data folder, say.
    """

    def __init__(
        self,
        setup: models.MongodbSetup,
        host_of: HostOf,
        *,
        workload_clients: Sequence[Host] = (),
        state: State,
        prefix: Sequence[str] = (),
        embedded: Callable[[], Path | None] = embedded_mongod,
    ) -> None:
        self.topology = Topology(setup)
        self.topology.insist()
        self._setup = setup
        self._workload_clients = tuple(workload_clients)
        self._installer = Installer(state, embedded)
        assembly = Assembly(setup, host_of, state, prefix)
        self._user = assembly.user
        self._work_directory = state.work_directory
        self.nodes = tuple(assembly.node(plan) for plan in self.topology.nodes)
        self.clusters = tuple(assembly.clusters(self.topology.clusters, self.nodes))
        self._records = Records(state, assembly, self.nodes)
        self.announced: list[Announced] = []
        """What `expect_down` was told; whoever looks at it clears it."""
        preflight.refuse_shared_paths(self.nodes)

    async def __aenter__(self) -> Self:
        """Begin; nothing is opened before it is needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections. The nodes go on."""
        await side_by_side(node.close() for node in self._records.nodes)

    # --- what there is --------------------------------------------------------------------------------------

    def ids(self) -> dict[str, list[Host]]:
        """Give the hosts behind each id of a node, replica set or cluster, each host once."""
        by_name = {node.name: node.host for node in self.nodes}
        return {
            name: list({id(host): host for host in (by_name[plan.name] for plan in plans)}.values())
            for name, plans in self.topology.ids().items()
        }

    def url_on(self, host: Host) -> str | None:
        """Give the connection string of the host's own node, its first where it has several; None where it has none."""
        return next(
            (
                node_url(node.plan, self._user, self._setup.client_tls)
                for node in self.nodes
                if node.host.name == host.name
            ),
            None,
        )

    async def status(self) -> dict[str, MemberState]:
        """Ask every node what it is; by its name."""
        await side_by_side(node.look() for node in self.nodes)
        return dict(zip((node.name for node in self.nodes), await states(self.nodes), strict=True))

    async def expect_down(self, names: Sequence[str]) -> None:
        """Note that these nodes (as the `nodes` of `restart`) are meant to go down: it is no loss then.

        Raises:
            InvalidCommand, ClusterError: as `restart`.
        """
        chosen = await selection.choose(names, self.topology, self.clusters)
        meant: set[tuple[str, Process]] = set()
        for node in self.nodes:
            if node.name in chosen and node.process is not None:
                node.expect_end()
                meant.add((node.name, node.process))
        if meant:
            self.announced.append(Announced(tuple(names), frozenset(meant)))

    async def validate(self, wanted: models.Validated | None = None) -> None:
        """See whether the data of these nodes (none given: of all clusters) are whole.

        Raises:
            ClusterError, SeveralFailed: what is damaged or differs, with the names of the collections.
        """
        names = validation.validated_nodes(wanted or models.Validated(), self.topology.nodes)
        await side_by_side(validation.check(cluster, names) for cluster in self.clusters)

    # --- its life -------------------------------------------------------------------------------------------

    async def install(self) -> None:
        """Put the binaries into `mongo_dir/bin` of every host of the topology, and see that they run.

        Raises:
            ConfigError: a server's version refuses what its configuration says; all such options at once.
            Preflight: there is no mongod for a host, or it doesn't run there; the archive can't be had or is none;
                a local host can't have an absolute folder; `prefix` doesn't run on a host.
            HostError, CommandFailed: a host has no room, say.
        """
        await preflight.insist_on_folders(self.nodes, self._work_directory)
        await preflight.insist_on_prefix(self.nodes)
        nodes = [
            Destination(node.host, node.plan.mongo_dir, node.plan.archive, (node.plan.program,)) for node in self.nodes
        ]
        archive = self._setup.mongodb_binary_archive or None
        clients = [Destination(host, self._setup.mongo_dir, archive) for host in self._workload_clients]
        await self._installer.install([*nodes, *clients])
        await preflight.insist_on_options(self.nodes)

    async def start(self) -> None:
        """Start all clusters, and return when they are whole. What an earlier dsi has started is stopped first.

        `clean_logs` and `clean_db_dir` of `mongodb_setup` say what is deleted before.

        Raises:
            ClusterError, CommandFailed, HostError: the nodes that did start go on, and are remembered. Where a server
                that isn't dsi's has a node's port or data, nothing was started, and nothing deleted.
        """
        await self.stop()
        await side_by_side(node.insist_on_room() for node in self.nodes)
        await side_by_side(
            self._start(cluster, cluster.nodes, Beginning.first(self._setup)) for cluster in self.clusters
        )

    async def restart(
        self,
        *,
        clean_logs: bool = False,
        clean_db_dir: bool = False,
        nodes: Sequence[str] | None = None,
        mode: RestartMode = "clean",
    ) -> RestartReport:
        """Stop and start all clusters, or the nodes that are named, and return when they are whole again.

        Other nodes keep their process. Nothing is deleted that isn't asked for; with `clean_db_dir` replica sets and
        users are made anew. `nodes` are ids, or present roles (`rs0:primary`, `rs0:secondaries`). `mode`: `clean`;
        `crash`: with SIGKILL; `rolling`: one node after another, so that a replica set takes writes all the time.

        Raises:
            InvalidCommand: an id that nothing has; `nodes`, or another mode than `clean`, with `clean_db_dir`.
            ClusterError, CommandFailed, HostError: the other clusters were restarted nevertheless; of this one, all
                nodes that could be stopped are down if one couldn't be, and all others run if one doesn't start. None
                was stopped where a set would have no primary, since nodes that aren't among these are down.
        """
        if clean_db_dir and (nodes is not None or mode != "clean"):
            raise InvalidCommand(
                "clean_db_dir: true is refused with nodes, and with mode crash or rolling: other nodes keep their data"
            )
        began_s = SYSTEM.monotonic_s()
        chosen = await selection.choose(nodes, self.topology, self.clusters)
        touched = [cluster for cluster in self.clusters if any(node.name in chosen for node in cluster.nodes)]
        beginning = Beginning.again(clean_logs=clean_logs, clean_db_dir=clean_db_dir)
        refused = await side_by_side(
            self._restart(cluster, [node for node in cluster.nodes if node.name in chosen], beginning, mode)
            for cluster in touched
        )
        return RestartReport(
            restarted=tuple(node.name for node in self.nodes if node.name in chosen),
            duration_s=SYSTEM.monotonic_s() - began_s,
            writes_refused_s={cluster.plan.name: s for cluster, s in zip(touched, refused, strict=True)},
        )

    async def stop(self) -> None:
        """Stop every node that runs, cleanly; also those of an earlier dsi that the topology no longer has.

        Raises:
            ClusterError, HostError: the others were stopped nevertheless.
        """
        reached: list[Node] = []

        async def look(node: Node) -> None:
            await node.look()
            reached.append(node)

        try:
            failed = await failures(look(node) for node in self._records.nodes)
            failed += await failures(cluster.before_stop(reached) for cluster in self.clusters)
            failed += await _stop(reached)
        finally:
            self._records.write()
        raise_together(failed)
        await self._records.dismiss_strays()

    async def remove_own_files(self) -> None:
        """Remove configuration and key files from hosts that dsi didn't make. The nodes must not run.

        Raises:
            HostError, CommandFailed: a host refused it.
        """
        await self._records.remove_own_files()

    async def attach(self) -> list[str]:
        """Find the nodes that an earlier dsi has started; give the names of those that no longer run (logged too).

        Raises:
            HostError: a host can't be reached.
        """
        lost = await self._records.find()
        for name in lost:
            log.warning("a node that was started earlier does not run any more", node=name)
        return lost

    # --- one cluster of it ----------------------------------------------------------------------------------

    async def _restart(self, cluster: Cluster, nodes: Sequence[Node], beginning: Beginning, mode: RestartMode) -> float:
        """Restart some nodes of one cluster; give for how long it refused writes."""
        await side_by_side(node.look() for node in cluster.nodes)
        if mode == "rolling":
            return await roll(cluster, nodes, lambda some: self._restart_together(cluster, some, beginning, "clean"))
        await cluster.insist_on_a_primary_after(nodes)
        before = await cluster.term()
        asked_s = SYSTEM.monotonic_s()
        await self._restart_together(cluster, nodes, beginning, mode)
        whole_s = SYSTEM.monotonic_s()
        # A set that is made anew begins with the same term again.
        went_on = not beginning.forms and before is not None and before == await cluster.term()
        return 0.0 if went_on else whole_s - asked_s

    async def _restart_together(
        self, cluster: Cluster, nodes: Sequence[Node], beginning: Beginning, mode: RestartMode
    ) -> float:
        if mode == "crash":
            await side_by_side(node.crash() for node in nodes)
        else:
            await cluster.before_stop(nodes)
            raise_together(await _stop(nodes))
        await side_by_side(node.insist_on_room() for node in nodes)
        return await self._start(cluster, nodes, beginning)

    async def _start(self, cluster: Cluster, nodes: Sequence[Node], beginning: Beginning) -> float:
        """Start some nodes; give for how long the elections that this took have refused writes, in seconds."""
        elected_s = 0.0
        for parts in cluster.start_order:
            theirs = [(part, [node for node in nodes if node in part.nodes]) for part in parts]
            in_parts = await side_by_side(self._start(part, some, beginning) for part, some in theirs if some)
            elected_s += max(in_parts, default=0.0)
        if not cluster.start_order:
            await self._start_nodes(nodes, beginning)
        within_s = self._setup.timeouts.start_ms / 1000
        if beginning.forms:
            await self._form(cluster, emptied=beginning.empties(nodes), within_s=within_s)
        return elected_s + await cluster.become_whole(nodes, within_s=within_s)

    async def _form(self, cluster: Cluster, *, emptied: bool, within_s: float) -> None:
        """Make a cluster, and its user before the last nodes join: they copy it, instead of having it sent to them."""
        await cluster.form(emptied=emptied, within_s=within_s)
        if self._user and cluster.keeps_users:
            await make_user(cluster.nodes, self._user)
        await cluster.complete()

    async def _start_nodes(self, nodes: Sequence[Node], beginning: Beginning) -> None:
        for node in nodes:
            node.starting = True
        self._records.write()
        try:
            await side_by_side(self._start_node(node, beginning) for node in nodes)
        finally:
            self._records.write()

    async def _start_node(self, node: Node, beginning: Beginning) -> None:
        await beginning.prepare(node)
        await node.start()


async def _stop(nodes: Sequence[Node]) -> list[DsiError]:
    """Stop nodes side by side; but mongos before what they route to, and config servers last. Give what failed.

    A shard's primary asks the config servers while it stops, for 15 s where there are none.
    """
    failed: list[DsiError] = []
    for role in ("mongos", "mongod", "configsvr"):
        failed += await failures(node.stop() for node in nodes if node.plan.role == role)
    return failed
