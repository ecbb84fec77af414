"""A clean restart of a three-node replica set, and its first start, against the same mongods handled by hand."""

import sysconfig
import tempfile
from pathlib import Path

from bench.dsi_run import DsiSocket, Samples, in_turn, run_inside
from bench.replica_set_by_hand import ReplicaSetByHand
from bench.series import Comparison

NODES = 3
BY_HAND = [f"127.77.77.{number + 1}" for number in range(NODES)]
CRASH = "kill -KILL $(cat data/dbs/mongod.lock); while kill -0 $(cat data/dbs/mongod.lock); do sleep 0.01; done 2>&-"


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times each."""
    with tempfile.TemporaryDirectory(prefix="dsi-bench-") as folder:
        (by_hand := Path(folder, "by_hand")).mkdir()
        settings = {"rounds": rounds, "folder": str(by_hand)}
        samples = run_inside(Path(folder), "restart", settings, _stages())
    return [
        Comparison("restart_mongodb, 3-node replica set", "by hand", samples["dsi"], samples["by hand"], goal=1.2),
        Comparison("its first start", "by hand", samples["dsi, first"], samples["by hand, first"], goal=1.2),
    ]


def _stages() -> dict[str, object]:
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
        "mongodb_setup": {"authentication": {"enabled": False}, "mongod_config_file": config, "topology": topology},
    }


async def inside(rounds: int, folder: str) -> Samples:
    """Measure, on the workload client, while both sets are there."""
    mongod = Path(sysconfig.get_path("purelib"), "fiftyone/db/bin/mongod")
    dsi = await DsiSocket.connect()
    floor = ReplicaSetByHand(mongod, Path(folder), BY_HAND)
    await floor.first_start()
    try:
        return await _restarts(rounds, dsi, floor) | await _first_starts(2 * rounds, dsi, floor)
    finally:
        await floor.stop()


async def _restarts(rounds: int, dsi: DsiSocket, floor: ReplicaSetByHand) -> Samples:
    restart = {"restart_mongodb": {"clean_logs": False, "clean_db_dir": False}}
    return await in_turn(rounds, {"dsi": lambda: dsi.ask(restart), "by hand": floor.restart})


async def _first_starts(rounds: int, dsi: DsiSocket, floor: ReplicaSetByHand) -> Samples:
    """From servers that are down, with data that goes: that the data is deleted is part of it on both sides.

    It takes one second or two, by chance: a member that knows of no primary when it begins its initial sync waits for a
    second. So it is measured more often.
    """
    afresh = {"restart_mongodb": {"clean_logs": True, "clean_db_dir": True}}
    samples = await in_turn(
        rounds,
        {"dsi": lambda: dsi.ask(afresh), "by hand": floor.first_start},
        before={"dsi": lambda: dsi.ask({"on_mongod": {"exec": CRASH}, "expect_down": ["rs0"]}), "by hand": floor.crash},
    )
    return {f"{name}, first": times for name, times in samples.items()}
