"""What is remembered between two dsi processes: which nodes were started, so that the later one can find and end them.

It stands in the work directory's `.dsi/nodes.json`; which key files lie on hosts that stay, in `key_files.json`.
"""

from collections.abc import Mapping, Sequence
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
_KEYS = "key_files"


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
        self._write_keys()

    def _write_keys(self) -> None:
        """Keep where a key file lies, or is about to, also once its node is down. Our own hosts go with theirs."""
        known = self._state.read(_KEYS) or []
        keys = [_key_record(node) for node in self._nodes if node.has_key_file and not node.layout.is_in_work_directory]
        new = [key for key in keys if key not in known]
        if new:
            self._state.write(_KEYS, known + new)

    async def remove_keys(self) -> None:
        """Remove the key files from hosts that stay when dsi is done; where a host is gone, that is kept in mind.

        Raises:
            HostError, CommandFailed: a host refused it; it is tried again the next time.
        """
        left = []
        places = []
        for record in self._state.read(_KEYS) or []:
            try:
                host = self._assembly.host_of(
                    models.Node(public_ip=record["public_ip"], private_ip=record["private_ip"])
                )
                places.append((host, record["path"]))
            except Preflight:
                left.append(record)
        await side_by_side(folders.remove_file(host, path) for host, path in places)
        if left:
            self._state.write(_KEYS, left)
        else:
            self._state.forget(_KEYS)

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


def _key_record(node: Node) -> dict[str, Any]:
    return {**node.plan.model.model_dump(include={"public_ip", "private_ip"}), "path": node.layout.key_path}


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
