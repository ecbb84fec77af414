"""A sharded cluster on local hosts, for tests: real config servers and shards, behind a fake mongos."""

import sys
from pathlib import Path
from typing import Any

from tests.integration.mongodb_bed import CONFIG, Bed

from dsi.config.models import Mapping
from dsi.systems.mongodb import Deployment
from dsi.systems.mongodb.node import Node

FAKE = Path(__file__).with_name("fake_mongos.py")

MONGOS_CONFIG: Mapping = {
    "net": CONFIG["net"],
    "processManagement": {"fork": True},
    "systemLog": {"destination": "file", "path": "data/logs/mongos.log"},
}

WHOLE = {"config": "PRIMARY", "a0": "PRIMARY", "a1": "SECONDARY", "b0": "PRIMARY", "router": "MONGOS"}


PROGRAM = f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n'
"""What stands in for mongos' binary."""


async def bring_mongos(bed: Bed) -> None:
    await bed.hosts[bed.addresses[4]].write_file("mongodb/bin/mongos", PROGRAM.encode(), mode=0o755)


def sharded(bed: Bed, *, also: Mapping | None = None, **fields: Any) -> dict[str, Any]:
    """Give a sharded cluster of five hosts. `also` goes into every node's configuration, `fields` to its mongos."""
    config = {**CONFIG, **(also or {})}
    router = {"config_file": {**MONGOS_CONFIG, **(also or {})}, **fields}

    def mongod(number: int, name: str) -> dict[str, Any]:
        return bed.node(number, id=name, config=config)

    return {
        "id": "mycluster",
        "cluster_type": "sharded_cluster",
        "configsvr": [mongod(0, "config")],
        "shard": [
            {"id": "a", "cluster_type": "replset", "mongod": [mongod(1, "a0"), mongod(2, "a1")]},
            {"id": "b", "cluster_type": "replset", "mongod": [mongod(3, "b0")]},
        ],
        "mongos": [{"public_ip": bed.addresses[4], "id": "router", **router}],
    }


async def started(bed: Bed, *, also: Mapping | None = None, **setup: Any) -> Deployment:
    await bring_mongos(bed)
    deployment = await bed.deployment(sharded(bed, also=also), **setup)
    await deployment.install()
    await deployment.start()
    assert await deployment.status() == WHOLE
    return deployment


def node(deployment: Deployment, name: str) -> Node:
    return next(node for node in deployment.nodes if node.name == name)
