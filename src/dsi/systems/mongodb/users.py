"""The user that workloads are, made in a cluster."""

from collections.abc import Sequence

from pymongo.errors import OperationFailure, PyMongoError

from dsi.errors import ClusterError
from dsi.systems.mongodb.client import Document, said
from dsi.systems.mongodb.credentials import User
from dsi.systems.mongodb.node import Node

_ROLE_EXISTS = 51002
_USER_EXISTS = 51003
_COPY_LIMIT_MS = 10_000

_ROLE = "dsiTrustedTime"
"""Lets its holder's cluster times pass unchecked. Servers sign the times that clients bring back to them; one that was
restarted takes a second or more to find the keys again, and refuses whoever brings a time until then (KeyNotFound), as
it refuses for ever what was signed before `clean_db_dir`. A running workload would end with that at each restart."""


async def make_user(nodes: Sequence[Node], user: User) -> None:
    """Make the user, with role root, in a cluster that takes writes; one who is in kept data gets this password.

    It returns when every member that clients can see knows the user: the next thing may be a script on a secondary.
    What joins a replica set later gets the users of its set.

    Raises:
        ClusterError: no node takes writes, or the server refuses, with its reason.
    """
    if nodes[0].plan.joins_later:
        return
    for node in nodes:
        hello = await node.hello()
        if hello and hello.get("isWritablePrimary"):
            await _make_user(node, user, _copies(hello))
            return
    raise ClusterError(nodes[0].plan.label, f"user {user.name} can't be made: there is no primary any more")


async def _make_user(primary: Node, user: User, copies: int) -> None:
    fields = {
        "pwd": user.password,
        "roles": [{"role": name, "db": "admin"} for name in ("root", _ROLE)],
        "writeConcern": {"w": copies, "wtimeout": _COPY_LIMIT_MS},
    }
    try:
        await _make_role(primary)
        try:
            await primary.ask("createUser", user.name, **fields)
        except OperationFailure as refusal:
            if refusal.code != _USER_EXISTS:
                raise
            await primary.ask("updateUser", user.name, **fields)
    except PyMongoError as problem:
        raise ClusterError(primary.plan.label, f"user {user.name} can't be made: {said(problem)}") from problem


async def _make_role(primary: Node) -> None:
    privilege = {"resource": {"cluster": True}, "actions": ["advanceClusterTime"]}
    try:
        await primary.ask("createRole", _ROLE, privileges=[privilege], roles=[])
    except OperationFailure as refusal:
        if refusal.code != _ROLE_EXISTS:
            raise


def _copies(hello: Document) -> int:
    """Count the members that have data and are not hidden: a hidden one may be meant to lag behind."""
    return len([*hello.get("hosts", []), *hello.get("passives", [])]) or 1
