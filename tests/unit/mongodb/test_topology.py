"""A topology, put in order: names, members, ids, and what can't be together."""

from pathlib import Path
from typing import Any

import pytest

from dsi.config.models import MongodbSetup
from dsi.errors import ConfigError
from dsi.stages.load import load
from dsi.stages.validate import check
from dsi.systems.mongodb import Topology


def node(number: int, **fields: Any) -> dict[str, Any]:
    return {"public_ip": f"203.0.113.{number}", "private_ip": f"10.0.0.{number}", **fields}


def topology(*clusters: dict[str, Any], **fields: Any) -> Topology:
    return Topology(MongodbSetup.model_validate({"topology": list(clusters), **fields}))


def replica_set(*nodes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"cluster_type": "replset", "mongod": list(nodes), **fields}


def standalone(number: int, **fields: Any) -> dict[str, Any]:
    return {"cluster_type": "standalone", **node(number, **fields)}


def messages(found: Topology) -> str:
    with pytest.raises(ConfigError) as caught:
        found.insist()
    return str(caught.value)


def test_replica_sets_without_id_are_rs0_rs1_in_order() -> None:
    found = topology(standalone(1), replica_set(node(2)), replica_set(node(3), id="mine"), replica_set(node(4)))
    assert [cluster.name for cluster in found.clusters] == ["standalone.0", "rs0", "mine", "rs1"]
    found.insist()


def test_the_first_member_has_priority_2_unless_it_says_otherwise() -> None:
    found = topology(replica_set(node(1), node(2), node(3, rs_conf_member={"priority": 5, "tags": {"dc": "east"}})))
    assert [plan.member for plan in found.nodes] == [
        {"_id": 0, "host": "10.0.0.1:27017", "priority": 2},
        {"_id": 1, "host": "10.0.0.2:27017"},
        {"_id": 2, "host": "10.0.0.3:27017", "priority": 5, "tags": {"dc": "east"}},
    ]
    own = topology(replica_set(node(1, rs_conf_member={"priority": 0.5})))
    assert own.nodes[0].member == {"_id": 0, "host": "10.0.0.1:27017", "priority": 0.5}


def test_public_ip_stands_for_a_missing_private_ip() -> None:
    found = topology({"cluster_type": "standalone", "public_ip": "203.0.113.1"})
    assert found.nodes[0].label == "standalone.0 (203.0.113.1:27017)"


def test_ids_are_those_of_nodes_and_clusters_and_the_names_of_sets() -> None:
    found = topology(replica_set(node(1, id="a"), node(2)), standalone(3, id="alone"), standalone(4))
    assert {name: [plan.name for plan in plans] for name, plans in found.ids().items()} == {
        "rs0": ["a", "rs0.1"],
        "a": ["a"],
        "alone": ["alone"],
    }


def test_a_node_has_its_own_mongo_dir_and_archive() -> None:
    found = topology(
        replica_set(node(1), node(2, mongo_dir="old", mongodb_binary_archive="old.tgz")),
        mongodb_binary_archive="new.tgz",
    )
    assert [(plan.mongo_dir, plan.archive) for plan in found.nodes] == [("mongodb", "new.tgz"), ("old", "old.tgz")]


def test_two_nodes_of_one_host_share_neither_port_nor_data_folder() -> None:
    text = messages(topology(standalone(1), standalone(1)))
    assert "mongodb_setup.topology.1: shares host 10.0.0.1 and net.port 27017 with mongodb_setup.topology.0" in text
    assert "storage.dbPath data/dbs" in text
    apart = {"net": {"port": 27018}, "storage": {"dbPath": "data/other"}}
    topology(standalone(1), standalone(1, config_file=apart)).insist()


def test_two_nodes_of_one_host_that_share_a_log_are_warned_of() -> None:
    apart = {"net": {"port": 27018}, "storage": {"dbPath": "data/other"}}
    (problem,) = topology(standalone(1), standalone(1, config_file=apart)).problems
    assert problem.warning
    assert "systemLog.path data/logs/mongod.log" in problem.message
    assert (
        topology(standalone(1), standalone(1, config_file={**apart, "systemLog": {"path": "other.log"}})).problems == ()
    )


def test_two_archives_do_not_fit_into_one_folder() -> None:
    apart = {"net": {"port": 27018}, "storage": {"dbPath": "data/other"}}
    assert "mongo_dir mongodb, but not the archive" in messages(
        topology(standalone(1), standalone(1, config_file=apart, mongodb_binary_archive="x.tgz"))
    )


def test_a_data_folder_that_is_the_home_folder_is_refused() -> None:
    assert "clean_db_dir would empty it" in messages(topology(standalone(1, config_file={"storage": {"dbPath": "."}})))


@pytest.mark.parametrize(
    ("journal_dir", "data"), [("data/dbs/journal", None), ("/disk/db/", "/disk/db"), ("a/./b/c", "a/b/")]
)
def test_a_journal_dir_among_the_data_is_refused_where_it_stands_and_says_what_to_write(
    journal_dir: str, data: str | None
) -> None:
    config = {"config_file": {"storage": {"dbPath": data}}} if data else {}
    text = messages(topology(standalone(1, **config), journal_dir=journal_dir))
    assert f"mongodb_setup.journal_dir: {journal_dir} lies in storage.dbPath" in text
    assert f"write {(data or 'data/dbs').rstrip('/')}-journal, say" in text
    text = messages(topology(standalone(1, journal_dir=journal_dir, **config)))
    assert f"mongodb_setup.topology.0.journal_dir: {journal_dir} lies in" in text


def test_a_journal_dir_beside_the_data_or_that_the_node_does_not_use_is_none_among_them() -> None:
    topology(standalone(1), journal_dir="data/dbs-journal").insist()
    topology(standalone(1, use_journal_mnt=False), journal_dir="data/dbs/journal").insist()


def test_more_members_than_mongodb_has_room_for_are_refused() -> None:
    assert "8 of them voting" in messages(topology(replica_set(*(node(number) for number in range(8)))))
    silent = {"votes": 0, "priority": 0}
    topology(replica_set(*(node(number) for number in range(7)), node(8, rs_conf_member=silent))).insist()


def test_a_set_in_which_nobody_can_be_primary_is_refused() -> None:
    assert "no member can be primary" in messages(topology(replica_set(node(1, rs_conf_member={"priority": 0}))))


def test_two_clusters_of_one_name_are_refused() -> None:
    assert "several clusters are called rs0" in messages(topology(replica_set(node(1)), replica_set(node(2), id="rs0")))


def test_a_lock_to_which_dsi_has_no_key_is_refused_and_says_what_to_write() -> None:
    own = standalone(1, config_file={"security": {"authorization": "enabled"}})
    assert "authentication: {enabled: true}" in messages(topology(own))
    topology(own, authentication={"enabled": True, "username": "u"}).insist()
    assert "needs a username" in messages(topology(own, authentication={"enabled": True}))


def test_an_own_key_file_is_passed_over_with_a_warning() -> None:
    own = standalone(1, config_file={"security": {"keyFile": "key"}})
    found = topology(own, authentication={"enabled": True, "username": "u"})
    assert [problem.warning for problem in found.problems] == [True]


def by_certificate(known_by: str = "x509", **tls: str) -> dict[str, Any]:
    whole = {"mode": "requireTLS", "CAFile": "ca", "certificateKeyFile": "k", **tls}
    return {"security": {"clusterAuthMode": known_by}, "net": {"tls": whole}}


def test_members_may_know_each_other_by_certificates_if_all_of_them_do() -> None:
    enabled = {"enabled": True, "username": "u"}
    known, unknown = node(1, config_file=by_certificate()), node(2, config_file={"net": by_certificate()["net"]})
    topology(replica_set(known), replica_set(unknown), authentication=enabled).insist()
    mixed = topology(replica_set(known, unknown), authentication=enabled)
    assert [problem.path.partition("config_file.")[0] for problem in mixed.problems] == [
        "mongodb_setup.topology.0.mongod.0."
    ]
    assert "topology.0.mongod.1 has no x509" in messages(mixed)
    assert "dsi would not get in" in messages(topology(replica_set(known)))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (by_certificate("sendX509"), "sendX509 is a step between keyFile and x509"),
        (by_certificate(mode="allowTLS"), "mode requireTLS or preferTLS"),
        (by_certificate(CAFile=""), "with a CAFile"),
        ({"security": {"clusterAuthMode": "x509"}}, "x509 needs net.tls"),
    ],
)
def test_members_without_certificates_cannot_know_each_other_by_them(config: dict[str, Any], said: str) -> None:
    assert said in messages(
        topology(standalone(1, config_file=config), authentication={"enabled": True, "username": "u"})
    )


def test_old_spellings_of_tls_are_warnings_that_say_the_new_one() -> None:
    found = topology(standalone(1, config_file={"net": {"ssl": {"mode": "requireSSL", "PEMKeyFile": "k"}}}))
    found.insist()
    assert [(problem.path.partition("config_file.")[2], problem.message) for problem in found.problems] == [
        ("net.ssl.mode", "is an old spelling, read as net.tls.mode: requireTLS"),
        ("net.ssl.PEMKeyFile", "is an old spelling, read as net.tls.certificateKeyFile"),
    ]


def test_a_differing_name_of_the_set_is_a_warning_and_no_obstacle() -> None:
    node = {"public_ip": "h", "config_file": {"replication": {"replSetName": "other"}}}
    setup = MongodbSetup.model_validate({"topology": [{"cluster_type": "replset", "id": "rs0", "mongod": [node]}]})
    topology = Topology(setup)
    assert ['the replica set is called "rs0"' in problem.message for problem in topology.problems] == [True]
    topology.insist()


def sharded(**fields: Any) -> dict[str, Any]:
    parts = {
        "configsvr": [node(1)],
        "mongos": [node(2, id="router")],
        "shard": [replica_set(node(3, id="a0"), id="a"), replica_set(node(4))],
    }
    return {"cluster_type": "sharded_cluster", "id": "mine", **parts, **fields}


def test_a_sharded_cluster_has_ids_of_itself_its_shards_and_its_nodes() -> None:
    found = topology(sharded(), replica_set(node(5)))
    assert {name: [plan.name for plan in plans] for name, plans in found.ids().items()} == {
        "mine": ["mine.configsvr.0", "a0", "rs0.0", "router"],
        "a": ["a0"],
        "rs0": ["rs0.0"],
        "a0": ["a0"],
        "router": ["router"],
        "rs1": ["rs1.0"],
    }
    found.insist()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("value", ["enabled", "disabled"])
def test_an_option_that_only_a_mongod_has_is_refused_of_a_mongos(enabled: bool, value: str) -> None:
    own = node(2, config_file={"security": {"authorization": value}})
    found = topology(sharded(mongos=[own]), authentication={"enabled": enabled, "username": "u"})
    assert [problem.path for problem in found.problems] == [
        "mongodb_setup.topology.0.mongos.0.config_file.security.authorization"
    ]
    assert "a mongos has no such option" in messages(found)


@pytest.mark.parametrize("other", [{}, {"tls": {"mode": "disabled"}}, {"ssl": {"mode": "allowSSL"}}])
def test_nodes_that_could_not_connect_to_another_for_want_of_tls_are_refused(other: dict[str, Any]) -> None:
    strict, lax = ({"net": {"ssl": {"mode": "requireSSL"}}}, {"net": other})
    found = topology(sharded(configsvr=[node(1, config_file=strict)], mongos=[node(2, config_file=lax)]))
    wrong = [problem.path for problem in found.problems if not problem.warning]
    places = ("shard.0.mongod.0", "shard.1.mongod.0", "mongos.0")
    assert wrong == [f"mongodb_setup.topology.0.{place}.config_file.net.tls.mode" for place in places]
    assert "can't connect to mongodb_setup.topology.0.configsvr.0, which has requireTLS" in messages(found)


def test_nodes_of_several_clusters_and_those_that_prefer_tls_need_not_agree() -> None:
    strict, lax = ({"net": {"tls": {"mode": mode}}} for mode in ("requireTLS", "preferTLS"))
    topology(replica_set(node(1, config_file=strict), node(2, config_file=lax)), replica_set(node(3))).insist()


def test_each_node_of_a_sharded_cluster_is_told_what_it_is() -> None:
    found = topology(sharded(), rs_conf={"settings": {"chainingAllowed": False}})
    assert [(plan.role, dict(plan.sharding), plan.replica_set) for plan in found.nodes] == [
        ("configsvr", {"clusterRole": "configsvr"}, "configSvrRS"),
        ("mongod", {"clusterRole": "shardsvr"}, "a"),
        ("mongod", {"clusterRole": "shardsvr"}, "rs0"),
        ("mongos", {"configDB": "configSvrRS/10.0.0.1:27017"}, None),
    ]
    config_set = found.clusters[0].config_set
    assert config_set is not None
    assert config_set.rs_conf == {"settings": {"chainingAllowed": False}, "configsvr": True}


def test_the_general_journal_dir_and_mongo_dir_go_to_the_nodes_they_are_for() -> None:
    found = topology(sharded(configsvr=[node(1, journal_dir="own")]), journal_dir="all", mongo_dir="binaries")
    assert [plan.journal_dir for plan in found.nodes] == ["own", "all", "all", None]
    assert {plan.mongo_dir for plan in found.nodes} == {"binaries"}


@pytest.mark.parametrize("part", ["configsvr", "mongos", "shard"])
def test_a_sharded_cluster_without_one_of_its_parts_is_refused(part: str) -> None:
    assert f"topology.0: a sharded cluster needs at least one {part}" in messages(topology(sharded(**{part: []})))


def test_a_mongos_shares_a_host_with_a_mongod_but_not_its_port() -> None:
    other_port = {"net": {"port": 27016}}
    topology(sharded(mongos=[node(1, config_file=other_port)])).insist()
    assert "net.port 27017" in messages(topology(sharded(mongos=[node(1)])))


def test_two_shards_of_one_name_are_refused() -> None:
    assert "several clusters are called a" in messages(topology(sharded(), replica_set(node(5), id="a")))


def test_validate_says_once_at_which_line_a_journal_dir_lies_among_the_data(tmp_path: Path) -> None:
    (tmp_path / "mongodb_setup.yml").write_text(
        "journal_dir: data/dbs/journal\n"
        "topology:\n  - {cluster_type: replset, mongod: [{public_ip: a}, {public_ip: b}]}\n"
    )
    (problem,) = check(load(tmp_path))
    assert str(problem).startswith(
        "mongodb_setup.yml:1:14: journal_dir: data/dbs/journal lies in storage.dbPath data/dbs"
    )
    assert not problem.warning
