"""Clean restarts of a three-node replica set, and its first start, against the same mongods handled by hand.

Each with its data kept and deleted, without authentication and with it.
"""

import secrets
import sysconfig
import tempfile
from pathlib import Path

from bench.dsi_run import DsiSocket, Samples, in_turn, run_inside
from bench.replica_set_by_hand import ReplicaSetByHand
from bench.series import Comparison

NODES = 3
BY_HAND = [f"127.77.77.{number + 1}" for number in range(NODES)]
CRASH = "kill -KILL $(cat data/dbs/mongod.lock); while kill -0 $(cat data/dbs/mongod.lock); do sleep 0.01; done 2>&-"
KEPT = {"restart_mongodb": {"clean_logs": False, "clean_db_dir": False}}
AFRESH = {"restart_mongodb": {"clean_logs": True, "clean_db_dir": True}}
ROWS = {"kept": "restart, data kept", "afresh": "restart, clean_db_dir", "first": "first start"}
GOAL = 1.2
"""The ratio of the medians."""


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times each."""
    return [*_compare(rounds, authentication=False), *_compare(rounds, authentication=True)]


def _compare(rounds: int, *, authentication: bool) -> list[Comparison]:
    with tempfile.TemporaryDirectory(prefix="dsi-bench-") as folder:
        (by_hand := Path(folder, "by_hand")).mkdir()
        settings = {"rounds": rounds, "folder": str(by_hand), "authentication": authentication}
        samples = run_inside(Path(folder), "restart", settings, _stages(authentication=authentication))
    suffix = ", authentication" if authentication else ""
    return [
        Comparison(
            f"3-node replica set: {what}{suffix}", "by hand", samples[f"dsi, {row}"], samples[f"by hand, {row}"], GOAL
        )
        for row, what in ROWS.items()
    ]


def _stages(*, authentication: bool) -> dict[str, object]:
    address = "${infrastructure_provisioning.out.mongod.%d.%s_ip}"
    nodes = [{f"{kind}_ip": address % (number, kind) for kind in ("public", "private")} for number in range(NODES)]
    config = {
        "storage": {"dbPath": "data/dbs", "wiredTiger": {"engineConfig": {"cacheSizeGB": 0.25}}},
        "systemLog": {"destination": "file", "path": "data/logs/mongod.log"},
        "processManagement": {"fork": True},
    }
    topology = [{"id": "rs0", "cluster_type": "replset", "mongod": nodes}]
    counts = {"mongod_instance_count": NODES, "workload_instance_count": 1}
    return {
        "infrastructure_provisioning": {"provider": "local", "tfvars": counts},
        "mongodb_setup": {
            "authentication": {"enabled": authentication},
            "mongod_config_file": config,
            "topology": topology,
        },
    }


async def inside(rounds: int, folder: str, *, authentication: bool) -> Samples:
    """Measure, on the workload client, while both sets are there."""
    mongod = Path(sysconfig.get_path("purelib"), "fiftyone/db/bin/mongod")
    dsi = await DsiSocket.connect()
    floor = ReplicaSetByHand(mongod, Path(folder), BY_HAND, key=secrets.token_hex(64) if authentication else None)
    await floor.first_start()
    try:
        kept = await in_turn(rounds, {"dsi": lambda: dsi.ask(KEPT), "by hand": floor.restart})
        afresh = await in_turn(rounds, {"dsi": lambda: dsi.ask(AFRESH), "by hand": floor.restart_afresh})
        first = await _first_starts(rounds, dsi, floor)
        if authentication:
            await floor.insist_on_user()
    finally:
        await floor.stop()
    by_row = {"kept": kept, "afresh": afresh, "first": first}
    return {f"{name}, {row}": times for row, samples in by_row.items() for name, times in samples.items()}


async def _first_starts(rounds: int, dsi: DsiSocket, floor: ReplicaSetByHand) -> Samples:
    """From servers that are down, with data that goes: that the data is deleted is part of it on both sides."""
    return await in_turn(
        rounds,
        {"dsi": lambda: dsi.ask(AFRESH), "by hand": floor.first_start},
        before={"dsi": lambda: dsi.ask({"on_mongod": {"exec": CRASH}, "expect_down": ["rs0"]}), "by hand": floor.crash},
    )
