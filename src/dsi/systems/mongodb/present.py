"""What a server does at this moment, and what it wrote last: for who wants to know why a test hangs."""

from bson import json_util
from pymongo.errors import PyMongoError

from dsi.errors import ClusterError
from dsi.systems.mongodb import folders
from dsi.systems.mongodb.client import said
from dsi.systems.mongodb.node import Node

_OPERATIONS = 10_000
"""In one answer; a server with more of them is told of in part. The answer has 16 MB at most, too."""


async def current_operations(node: Node) -> str:
    """Give the operations of a server that aren't idle, as `$currentOp` has them: one JSON object a line.

    Raises:
        ClusterError: it does not answer, or refuses to.
    """
    try:
        answer = await node.ask(
            "aggregate", pipeline=[{"$currentOp": {"allUsers": True}}], cursor={"batchSize": _OPERATIONS}
        )
    except PyMongoError as problem:
        raise ClusterError(node.plan.label, f"does not say what it does: {said(problem)}") from problem
    return "".join(json_util.dumps(operation) + "\n" for operation in answer["cursor"]["firstBatch"])


async def last_of_log(node: Node, *, lines: int) -> str:
    """Give the last lines of a server's log, as it wrote them; 64 KiB at most.

    Raises:
        HostError: the host can't be reached.
    """
    return "".join(f"{line}\n" for line in await folders.tail(node.host, node.layout.log_path, lines=lines))
