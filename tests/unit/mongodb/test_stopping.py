"""Stopping a node whose server can't be asked to shut down."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import cast

import pytest

from dsi.config import models
from dsi.errors import HostUnreachable
from dsi.hosts.base import Host
from dsi.model import Result
from dsi.systems.mongodb.access import Access
from dsi.systems.mongodb.layout import Layout
from dsi.systems.mongodb.node import Limits, Node
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import Process


class FakeHost:
    """A host on which the process is gone as soon as the way to its server has failed, as it is told."""

    name = "fake"
    is_local = True

    def __init__(self, failure: Exception) -> None:
        self._failure = failure
        self._failed = asyncio.Event()

    def forward(self, _address: str, _port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        self._failed.set()
        raise self._failure

    async def run(self, command: str) -> Result:
        await self._failed.wait()
        return Result(host=self.name, command=command, exit_status=0, stdout="gone\n", stderr="", duration_s=0)


def running_node(failure: Exception) -> Node:
    plan = NodePlan(
        name="n", id=None, role="mongod", model=models.Node(public_ip="10.0.0.1"), path="", mongo_dir="m", archive=None
    )
    layout = Layout.of(plan, prefix=(), local_address=None, has_key=False)
    limits = Limits(models.SetupTimeouts(), models.ShutdownOptions())
    node = Node(plan, cast("Host", FakeHost(failure)), layout, limits, access=Access())
    node.process = Process(11, 1000)
    return node


async def test_a_bug_in_asking_it_is_raised() -> None:
    node = running_node(ZeroDivisionError("a bug of ours"))

    with pytest.raises(ZeroDivisionError):
        await node.stop()


async def test_that_it_could_not_be_asked_does_not_matter_once_it_is_gone() -> None:
    node = running_node(HostUnreachable("fake", "the connection is lost"))

    await node.stop()

    assert node.process is None
