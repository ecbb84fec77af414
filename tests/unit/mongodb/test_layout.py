"""Where a node lies on its host."""

from typing import Any

from dsi.config import models
from dsi.model import Role
from dsi.systems.mongodb.layout import Layout
from dsi.systems.mongodb.plan import NodePlan


def laid_out(role: Role = "mongod", journal_dir: str | None = None, **config: Any) -> Layout:
    node = models.Node(public_ip="10.0.0.1", config_file={"net": {"port": 27018}, **config})
    plan = NodePlan(
        name="n", id=None, role=role, model=node, path="p", mongo_dir="mongodb", archive=None, journal_dir=journal_dir
    )
    return Layout.of(plan, prefix=["numactl", "-i", "all"], local_address=None, has_key=True)


def test_a_mongod_has_its_traces_beside_its_log_its_lock_in_its_data_and_what_is_secret_in_neither() -> None:
    layout = laid_out(systemLog={"destination": "file", "path": "logs/m.log"}, storage={"dbPath": "d"})

    assert layout.config_path == ".dsi/mongod.27018.conf"
    assert layout.command == ["numactl", "-i", "all", "mongodb/bin/mongod", "--config", ".dsi/mongod.27018.conf"]
    assert layout.files.pid == "logs/mongod.27018.pid"
    assert layout.files.lock == "d/mongod.lock"
    assert layout.config["security"]["keyFile"] == layout.key_path == ".dsi/mongod.27018.key"


def test_the_folders_that_are_made_are_those_that_the_server_does_not_make() -> None:
    layout = laid_out(
        systemLog={"destination": "file", "path": "logs/m.log"},
        storage={"dbPath": "d"},
        processManagement={"pidFilePath": "run/m.pid"},
    )

    assert layout.folders == ["d", "logs", "run"]


def test_a_mongos_has_no_data_and_a_config_server_no_prefix() -> None:
    mongos = laid_out("mongos")

    assert (mongos.db_path, mongos.files.lock, mongos.binary) == (None, None, "mongodb/bin/mongos")
    assert mongos.folders == ["data/logs"]
    assert laid_out("configsvr").prefix == ()


def test_nodes_of_one_host_have_a_journal_each() -> None:
    assert laid_out(journal_dir="/journal/").journal == "/journal/mongod.27018"
    assert laid_out().journal is None
