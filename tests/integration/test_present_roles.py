"""What `describe` says of each node."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.mongodb_bed import Bed, bed_of

from dsi.systems.mongodb import present_roles


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with bed_of(tmp_path, 3) as bed:
        yield bed


async def test_each_node_has_its_present_role_and_one_that_does_not_answer_is_down(bed: Bed) -> None:
    deployment = await bed.deployment(bed.replica_set())
    await deployment.install()
    await deployment.start()
    askers = [present_roles(deployment.nodes) for _ in range(50)]  # at once, none connected yet
    for roles in await asyncio.gather(*askers):
        assert sorted(roles.values()) == ["PRIMARY", "SECONDARY", "SECONDARY"]
    secondary = next(node for node in deployment.nodes if roles[node.name] == "SECONDARY")
    await secondary.host.run("pkill -STOP -x mongod")
    assert (await present_roles(deployment.nodes))[secondary.name] == "down"
    await secondary.host.run("pkill -CONT -x mongod")
    while (await present_roles(deployment.nodes))[secondary.name] != "SECONDARY":
        pass
    await deployment.stop()
