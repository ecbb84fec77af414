"""Values that are put together for the reader: of nodes and replica sets, and what dsi works out itself."""

from collections.abc import Callable

import pytest

from dsi.config import Tree
from dsi.errors import ConfigError

Load = Callable[..., Tree]

TOPOLOGY = """
    rs_conf: {protocolVersion: 1}
    mongod_config_file: {storage: {engine: inMemory}, net: {port: 27017}}
    topology:
      - id: one
        cluster_type: standalone
        public_ip: a
        config_file: {net: {port: 1}}
      - id: two
        cluster_type: replset
        rs_conf: {settings: {heartbeatTimeoutSecs: 1}}
        mongod:
          - {id: n0, public_ip: b, config_file: {storage: {engine: wiredTiger}}}
          - {id: n1, public_ip: c}
      - cluster_type: sharded_cluster
        configsvr: [{public_ip: d, config_file: {net: {port: 2}}}]
        mongos: [{public_ip: e}]
        shard:
          - id: s0
            cluster_type: replset
            mongod: [{public_ip: f, config_file: {net: {port: 3}}}]
    """


def test_a_nodes_configuration_is_the_general_one_with_its_own_laid_over_it(load: Load) -> None:
    tree = load(mongodb_setup=TOPOLOGY)
    general = tree.get("mongodb_setup.mongod_config_file")
    first = tree.get("mongodb_setup.topology.1.mongod.0.config_file")
    assert first == general | {"storage": {"dbPath": "data/dbs", "engine": "wiredTiger"}}
    assert tree.get("mongodb_setup.topology.1.mongod.1.config_file") == general
    assert tree.get("mongodb_setup.topology.0.config_file.net") == {"port": 1, "bindIp": "0.0.0.0"}
    assert tree.get("mongodb_setup.topology.-1.shard.0.mongod.0.config_file.net.port") == 3
    assert tree.get("mongodb_setup.topology.2.shard.0.mongod.0.config_file.storage.engine") == "inMemory"


def test_each_kind_of_node_has_its_own_general_configuration(load: Load) -> None:
    tree = load(mongodb_setup=TOPOLOGY)
    assert tree.get("mongodb_setup.topology.2.mongos.0.config_file.systemLog.path") == "data/logs/mongos.log"
    assert tree.get("mongodb_setup.topology.2.configsvr.0.config_file.net") == {"port": 2, "bindIp": "0.0.0.0"}
    assert tree.get("mongodb_setup.topology.2.configsvr.0.config_file.storage.engine") == "wiredTiger"


def test_a_replica_sets_configuration_is_the_general_one_with_its_own_laid_over_it(load: Load) -> None:
    tree = load(mongodb_setup=TOPOLOGY)
    settings = {"chainingAllowed": False, "heartbeatTimeoutSecs": 1}
    assert tree.get("mongodb_setup.topology.1.rs_conf") == {"protocolVersion": 1, "settings": settings}
    assert tree.get("mongodb_setup.topology.2.shard.0.rs_conf.settings") == {"chainingAllowed": False}
    assert not tree.has("mongodb_setup.topology.0.rs_conf")


def test_the_whole_topology_has_them_too_also_through_a_reference(load: Load) -> None:
    tree = load(
        mongodb_setup=TOPOLOGY,
        analysis="{all: '${mongodb_setup.topology}', port: '${mongodb_setup.topology.0.config_file.net.port}'}",
    )
    topology = tree.get("mongodb_setup.topology")
    assert topology[1]["mongod"][1]["config_file"]["storage"]["engine"] == "inMemory"
    assert tree.get("analysis.all") == topology
    assert tree.get("analysis.port") == 1


def test_overrides_and_references_reach_into_them(load: Load) -> None:
    tree = load(
        mongodb_setup=TOPOLOGY + "special: {net: {port: 8}, replication: {oplogSizeMB: 5}}\n".rjust(5),
        overrides="""
            mongodb_setup:
              mongod_config_file: {storage: {dbPath: elsewhere}}
              topology:
                - {config_file: {net: {port: 9}}}
                - mongod: [null, {config_file: "${mongodb_setup.special}"}]
            """,
    )
    assert tree.get("mongodb_setup.topology.0.config_file.net.port") == 9
    assert tree.get("mongodb_setup.topology.0.config_file.storage.dbPath") == "elsewhere"
    own = tree.get("mongodb_setup.topology.1.mongod.1.config_file")
    assert own["net"] == {"port": 8, "bindIp": "0.0.0.0"}
    assert own["replication"] == {"oplogSizeMB": 5}
    assert own["storage"]["dbPath"] == "elsewhere"


def test_nodes_that_come_by_reference_get_theirs_too(load: Load) -> None:
    tree = load(
        bootstrap="{nodes: [{public_ip: a}, {public_ip: b, config_file: {net: {port: 5}}}], kind: replset}",
        mongodb_setup="topology: [{cluster_type: '${bootstrap.kind}', mongod: '${bootstrap.nodes}'}]",
    )
    nodes = tree.get("mongodb_setup.topology")[0]["mongod"]
    assert [node["config_file"]["net"]["port"] for node in nodes] == [27017, 5]
    assert tree.get("mongodb_setup.topology.0.rs_conf") == {"settings": {"chainingAllowed": False}}
    assert "config_file" not in tree.get("bootstrap.nodes.0")


# --- what dsi works out itself -----------------------------------------------------------------


class Computation:
    """Works out `meta` from a topology, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, tree: Tree) -> dict[str, object]:
        self.calls += 1
        host = tree.get("mongodb_setup.topology.0.private_ip")
        port = tree.get("mongodb_setup.topology.0.config_file.net.port")
        return {"hosts": f"{host}:{port}", "net": {"a": 1, "b": 1}, "port": port, "mongodb_url": "x"}


META = """
    topology:
      - cluster_type: standalone
        public_ip: x
        private_ip: ${infrastructure_provisioning.out.mongod.0.private_ip}
        config_file: {net: {port: "${mongodb_setup.meta.port}"}}
    meta: {port: 5, net: {b: 2}, url: "mongodb://${mongodb_setup.meta.hosts}", own: 1}
    """
OUT = "out: {mongod: [{public_ip: 1.1.1.1, private_ip: 10.0.0.1}]}"


@pytest.fixture
def computation() -> Computation:
    return Computation()


def test_what_is_worked_out_lies_under_what_the_files_say_key_by_key(load: Load, computation: Computation) -> None:
    tree = load(mongodb_setup=META, infrastructure_provisioning__out=OUT).with_computed(
        "mongodb_setup.meta", computation
    )
    assert tree.get("mongodb_setup.meta.url") == "mongodb://10.0.0.1:5"
    assert tree.get("mongodb_setup.meta.net") == {"port": 27017, "bindIp": "0.0.0.0", "a": 1, "b": 2}
    assert tree.get("mongodb_setup.meta")["own"] == 1
    assert tree.has("mongodb_setup.meta.hosts")
    assert not tree.has("mongodb_setup.meta.hostss")
    assert computation.calls == 1


def test_it_is_worked_out_only_when_it_is_needed(load: Load, computation: Computation) -> None:
    tree = load(mongodb_setup=META).with_computed("mongodb_setup.meta", computation)
    assert tree.get("mongodb_setup.meta.own") == 1
    assert tree.get("mongodb_setup.meta.port") == 5
    assert computation.calls == 0


def test_what_it_is_worked_out_from_may_refer_to_what_the_files_say_there(load: Load, computation: Computation) -> None:
    tree = load(mongodb_setup=META, infrastructure_provisioning__out=OUT).with_computed(
        "mongodb_setup.meta", computation
    )
    assert tree.get("mongodb_setup.topology.0.config_file.net.port") == 5
    assert tree.get("mongodb_setup.meta.hosts") == "10.0.0.1:5"


def test_it_says_why_when_it_can_not_be_worked_out(load: Load, computation: Computation) -> None:
    tree = load(mongodb_setup=META).with_computed("mongodb_setup.meta", computation)
    with pytest.raises(ConfigError, match="infrastructure_provisioning has no key"):
        tree.get("mongodb_setup.meta.hosts")


def test_a_lenient_reader_sees_it_as_unknown_before_provisioning(load: Load, computation: Computation) -> None:
    tree = load(mongodb_setup=META).with_computed("mongodb_setup.meta", computation)
    reading = tree.reading(lenient=True)
    value = reading.value(("mongodb_setup", "meta", "url"))
    assert reading.problems == []
    assert value == "mongodb://${mongodb_setup.meta.hosts}"
    assert type(value).__name__ == "Unknown"


def test_a_host_that_was_listed_without_a_private_ip_has_its_public_one_as_that(load: Load) -> None:
    hosts = "{mongod: [{public_ip: a}, {public_ip: b, private_ip: c}, {public_ip: d, private_ip: null}]}"
    where = "${infrastructure_provisioning.out.mongod.-1.private_ip}"
    tree = load(**{"infrastructure_provisioning.out": hosts, "mongodb_setup": f"own: {where}\n"})
    found = [tree.get(f"infrastructure_provisioning.out.mongod.{index}.private_ip") for index in range(3)]
    assert found == ["a", "c", "d"]
    assert tree.get("mongodb_setup.own") == "d"
