"""What is remembered between two dsi processes: which nodes were started, so that the later one can find and end them.

It stands in the work directory's `.dsi/nodes.json`; which files with secrets lie on hosts that stay, in
`own_files.json`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog

from dsi.config import models
from dsi.errors import Preflight
from dsi.state import State
from dsi.systems.mongodb import folders
from dsi.systems.mongodb.assembly import Assembly
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import Process
from dsi.systems.mongodb.waiting import side_by_side

log = structlog.get_logger()

_NAME = "nodes"
_OWN_FILES = "own_files"


def anything_left(state: State) -> bool:
    """Tell whether nodes, or files of theirs with secrets, may be left on hosts; no host is asked."""
    return bool(state.read(_NAME) or state.read(_OWN_FILES))


def nodes_at(state: State, addresses: Collection[str]) -> dict[str, Any]:
    """Give what is remembered of the nodes on some hosts (by `public_ip`), by their names."""
    records: dict[str, Any] = state.read(_NAME) or {}
    return {name: record for name, record in records.items() if record["plan"]["public_ip"] in addresses}


def keep_nodes(state: State, nodes: Mapping[str, Any]) -> None:
    """Remember just these nodes, of which `nodes_at` told."""
    state.write(_NAME, dict(nodes))


def forget_nodes(state: State) -> None:
    """Forget all nodes: they are gone, or their hosts are."""
    state.forget(_NAME)


class Records:
    """The nodes of a topology, and its strays: those that an earlier dsi has started, and it no longer has."""

    def __init__(self, state: State, assembly: Assembly, nodes: Sequence[Node]) -> None:
        self._state = state
        self._assembly = assembly
        self._nodes = tuple(nodes)
        self._strays: list[Node] = []

    @property
    def nodes(self) -> list[Node]:
        """All of them, the strays last."""
        return [*self._nodes, *self._strays]

    def write(self) -> None:
        """Keep which nodes run, or are about to: whoever comes after us, also after a crash, can find and end them."""
        kept = {node.name: _record(node) for node in self.nodes if node.process is not None or node.starting}
        if kept:
            self._state.write(_NAME, kept)
        else:
            self._state.forget(_NAME)
        self._write_own_files()

    def _write_own_files(self) -> None:
        """Keep where a node's own files lie, or are about to, also once it is down. Our own hosts go with theirs."""
        known = self._state.read(_OWN_FILES) or []
        started = [node for node in self._nodes if node.process is not None or node.starting]
        files = [
            {**node.plan.model.model_dump(include={"public_ip", "private_ip"}), "path": path}
            for node in started
            if not node.layout.is_in_work_directory
            for path in node.own_files
        ]
        new = [file for file in files if file not in known]
        if new:
            self._state.write(_OWN_FILES, known + new)

    async def remove_own_files(self) -> None:
        """Remove the nodes' own files from hosts that stay when dsi is done.

        Where a host isn't there, that is logged and kept in mind.

        Raises:
            HostError, CommandFailed: a host refused it; it is tried again the next time.
        """
        left = []
        places = []
        for record in self._state.read(_OWN_FILES) or []:
            try:
                host = self._assembly.host_of(
                    models.Node(public_ip=record["public_ip"], private_ip=record["private_ip"])
                )
                places.append((host, record["path"]))
            except Preflight:
                left.append(record)
        await side_by_side(folders.remove_file(host, path) for host, path in places)
        if not left:
            self._state.forget(_OWN_FILES)
            return
        self._state.write(_OWN_FILES, left)
        for address in dict.fromkeys(record["public_ip"] for record in left):
            log.error(
                "files with secrets stay on a host that can't be reached, or is no longer one of the hosts: "
                "remove them there, or run `dsi teardown` again when it is",
                host=address,
                files=", ".join(record["path"] for record in left if record["public_ip"] == address),
            )

    async def find(self) -> list[str]:
        """Find the nodes that were written down; give the names of those that no longer run.

        Raises:
            HostError: a host can't be reached.
        """
        records: dict[str, Any] = self._state.read(_NAME) or {}
        found = [(name, record, self._node(name, record)) for name, record in records.items()]
        here = [(name, record, node) for name, record, node in found if node is not None]
        running = await side_by_side(self._attach(node, record) for _, record, node in here)
        lost = [name for name, _, node in found if node is None]
        return lost + [name for (name, _, _), runs in zip(here, running, strict=True) if not runs]

    async def dismiss_strays(self) -> None:
        """Forget those that the topology doesn't have: they were stopped."""
        for stray in self._strays:
            await stray.close()
        self._strays.clear()

    async def _attach(self, node: Node, record: Mapping[str, Any]) -> bool:
        known = Process(**record["process"]) if record["process"] else None
        return await node.attach(known, self._assembly.recorded_access(record))

    def _node(self, name: str, record: Mapping[str, Any]) -> Node | None:
        """Give the node that a record is about; a stray where the topology has none; None where its host is gone."""
        model = models.Node(**record["plan"])
        plan = NodePlan(
            name=name, id=model.id, role=record.get("role", "mongod"), model=model, path="", mongo_dir="", archive=None,
            replica_set=record["replica_set"],
        )  # fmt: skip
        for node in self._nodes:
            if (node.plan.machine, node.plan.port) == (plan.machine, plan.port):
                return node
        try:
            stray = self._assembly.node(plan)
        except Preflight as problem:
            log.warning(
                "the host of a node that was started earlier is no longer there", node=name, reason=str(problem)
            )
            return None
        self._strays.append(stray)
        return stray


def _record(node: Node) -> dict[str, Any]:
    """Give what is kept of a node: all that it takes to find its process, and to ask it."""
    return {
        "plan": node.plan.model.model_dump(include={"id", "public_ip", "private_ip", "config_file"}),
        "role": node.plan.role,
        "host": node.host.name,
        "replica_set": node.plan.replica_set,
        **node.access.record(),
        "process": node.process and {"pid": node.process.pid, "start": node.process.start},
    }
