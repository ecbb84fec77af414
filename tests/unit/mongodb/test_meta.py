"""What clients need to know, worked out from the topology."""

from pymongo.uri_parser import parse_uri

from dsi.config.models import MongodbSetup
from dsi.systems.mongodb import User, meta

NODES = [{"public_ip": f"203.0.113.{number}", "private_ip": f"10.0.0.{number}"} for number in (1, 2, 3)]


def test_a_replica_set_is_reached_by_all_its_private_addresses() -> None:
    setup = MongodbSetup.model_validate({"topology": [{"cluster_type": "replset", "mongod": NODES}]})
    assert meta(setup) == {
        "mongodb_url": "mongodb://10.0.0.1:27017,10.0.0.2:27017,10.0.0.3:27017/?replicaSet=rs0",
        "mongodb_url_base": "mongodb://10.0.0.1:27017,10.0.0.2:27017,10.0.0.3:27017/admin",
        "hosts": "10.0.0.1:27017,10.0.0.2:27017,10.0.0.3:27017",
        "hostname": "10.0.0.1",
        "port": 27017,
        "is_sharded": False,
        "is_replset": True,
        "primaries": ["10.0.0.1:27017"],
        "secondaries": ["10.0.0.2:27017", "10.0.0.3:27017"],
        "shell_ssl_options": "",
        "storageEngine": "wiredTiger",
        "net": {},
    }


def test_a_standalone_is_reached_by_its_one_address() -> None:
    config = {"net": {"port": 27018, "bindIp": "0.0.0.0"}, "storage": {"engine": "inMemory"}}
    found = meta(
        MongodbSetup.model_validate({"topology": [{"cluster_type": "standalone", **NODES[0], "config_file": config}]})
    )
    assert found["mongodb_url"] == "mongodb://10.0.0.1:27018/"
    assert (found["hostname"], found["port"], found["is_replset"]) == ("10.0.0.1", 27018, False)
    assert found["net"] == {"port": 27018, "bindIp": "0.0.0.0"}
    assert found["storageEngine"] == "inMemory"
    assert (found["primaries"], found["secondaries"]) == (["10.0.0.1:27018"], [])


def test_the_primary_is_the_member_with_the_highest_priority() -> None:
    nodes = [NODES[0], {**NODES[1], "rs_conf_member": {"priority": 7}}, NODES[2]]
    found = meta(MongodbSetup.model_validate({"topology": [{"cluster_type": "replset", "mongod": nodes}]}))
    assert found["primaries"] == ["10.0.0.2:27017"]
    assert found["secondaries"] == ["10.0.0.1:27017", "10.0.0.3:27017"]


def test_without_a_topology_there_is_nothing_to_know() -> None:
    assert meta(MongodbSetup()) == {}


def test_connection_strings_have_the_user_percent_encoded() -> None:
    setup = MongodbSetup.model_validate({"topology": [{"cluster_type": "replset", "mongod": NODES[:1]}]})
    found = meta(setup, User("a@b", "p:/?#[]@$%${x}"))
    login = "a%40b:p%3A%2F%3F%23%5B%5D%40%24%25%24%7Bx%7D@"
    assert found["mongodb_url"] == f"mongodb://{login}10.0.0.1:27017/?replicaSet=rs0&authSource=admin"
    assert found["mongodb_url_base"] == f"mongodb://{login}10.0.0.1:27017/admin"
    assert found["hosts"] == "10.0.0.1:27017"
    # As the original's files write it.
    for url in (found["mongodb_url"], f"{found['mongodb_url_base']}?replicaSet=rs0"):
        known = parse_uri(url)
        assert (known["username"], known["password"]) == ("a@b", "p:/?#[]@$%${x}")
        assert known["options"]["replicaSet"] == "rs0"
        assert "admin" in (known["options"].get("authSource"), known["database"])


def test_a_sharded_cluster_is_reached_by_its_mongos_and_its_shards_have_the_primaries() -> None:
    cluster = {
        "cluster_type": "sharded_cluster",
        "configsvr": [NODES[0]],
        "mongos": [{**NODES[0], "config_file": {"net": {"port": 27016}}}, {**NODES[1], "config_file": {}}],
        "shard": [{"mongod": NODES[1:]}, {"mongod": [NODES[0]]}],
    }
    found = meta(MongodbSetup.model_validate({"topology": [cluster]}))
    assert found["mongodb_url"] == "mongodb://10.0.0.1:27016,10.0.0.2:27017/"
    assert (found["hosts"], found["hostname"], found["port"]) == ("10.0.0.1:27016,10.0.0.2:27017", "10.0.0.1", 27016)
    assert (found["is_sharded"], found["is_replset"]) == (True, False)
    assert found["primaries"] == ["10.0.0.2:27017", "10.0.0.1:27017"]
    assert found["secondaries"] == ["10.0.0.3:27017"]
    assert found["net"] == {"port": 27016}


def test_a_sharded_cluster_without_nodes_has_nothing_to_know_and_is_no_crash() -> None:
    assert meta(MongodbSetup.model_validate({"topology": [{"cluster_type": "sharded_cluster"}]})) == {}
