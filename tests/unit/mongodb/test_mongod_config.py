"""The configuration file that a server gets: the user's own words, and the few changes that dsi makes."""

import json
from collections.abc import Mapping

import pytest

from dsi.systems.mongodb import mongod_config


def whole(config: Mapping[str, object], local_address: str | None = None) -> dict[str, dict[str, object]]:
    return mongod_config.whole(config, replica_set=None, local_address=local_address)


@pytest.mark.parametrize("names", ["0.0.0.0", "::", "localhost", "127.0.0.1", "localhost,127.0.0.1", "127.0.7.2"])
def test_on_a_local_host_a_server_listens_on_the_hosts_own_address_alone(names: str) -> None:
    assert whole({"net": {"bindIp": names}}, "127.0.7.2")["net"]["bindIp"] == "127.0.7.2"


def test_bind_ip_all_becomes_the_local_hosts_own_address() -> None:
    net = whole({"net": {"bindIpAll": True}}, "127.0.7.2")["net"]
    assert net["bindIp"] == "127.0.7.2"
    assert "bindIpAll" not in net


def test_an_address_that_clashes_with_nobody_stays() -> None:
    assert whole({"net": {"bindIp": "10.0.0.9,localhost"}}, "127.0.7.2")["net"]["bindIp"] == "10.0.0.9,127.0.7.2"


def test_on_other_hosts_the_users_addresses_stay() -> None:
    assert whole({"net": {"bindIp": "0.0.0.0", "bindIpAll": True}})["net"] == {
        "bindIp": "0.0.0.0",
        "bindIpAll": True,
        "port": 27017,
    }


def test_the_unix_socket_is_off_on_local_hosts_unless_it_has_a_folder() -> None:
    assert whole({}, "127.0.7.2")["net"]["unixDomainSocket"] == {"enabled": False}
    given = {"net": {"unixDomainSocket": {"pathPrefix": "sockets"}}}
    assert whole(given, "127.0.7.2")["net"]["unixDomainSocket"] == {"pathPrefix": "sockets"}


def test_a_server_never_forks_since_its_exit_status_would_be_lost() -> None:
    assert "processManagement" not in whole({"processManagement": {"fork": True}})
    kept = whole({"processManagement": {"fork": True, "pidFilePath": "mongod.pid"}})
    assert kept["processManagement"] == {"pidFilePath": "mongod.pid"}


def test_what_is_left_out_gets_the_documented_places() -> None:
    made = whole({})
    assert made["storage"] == {"dbPath": "data/dbs"}
    assert made["systemLog"] == {"destination": "file", "path": "data/logs/mongod.log", "logAppend": True}


def test_a_log_that_goes_to_syslog_gets_no_path() -> None:
    assert whole({"systemLog": {"destination": "syslog"}})["systemLog"] == {"destination": "syslog"}


def test_the_replica_sets_name_is_the_clusters_id_whatever_the_file_says() -> None:
    made = mongod_config.whole(
        {"replication": {"replSetName": "other", "oplogSizeMB": 100}}, replica_set="rs0", local_address=None
    )
    assert made["replication"] == {"replSetName": "rs0", "oplogSizeMB": 100}


def test_a_mongos_has_no_data_and_knows_its_config_servers() -> None:
    made = mongod_config.whole(
        {"net": {"port": 27016}, "processManagement": {"fork": True}, "sharding": {"configDB": "old/h:1"}},
        role="mongos",
        replica_set=None,
        sharding={"configDB": "configSvrRS/h:27017"},
        local_address=None,
    )
    assert made == {
        "net": {"port": 27016},
        "sharding": {"configDB": "configSvrRS/h:27017"},
        "systemLog": {"destination": "file", "path": "data/logs/mongos.log", "logAppend": True},
    }


def test_the_users_mapping_is_left_as_it_is() -> None:
    config = {"net": {"bindIp": "0.0.0.0"}, "processManagement": {"fork": True}}
    before = json.dumps(config)
    whole(config, "127.0.7.2")
    assert json.dumps(config) == before


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        ({}, "127.0.0.1"),
        ({"bindIp": "0.0.0.0"}, "127.0.0.1"),
        ({"bindIp": "localhost,10.0.0.1"}, "127.0.0.1"),
        ({"bindIp": "10.0.0.1", "bindIpAll": True}, "127.0.0.1"),
        ({"bindIp": "10.0.0.1"}, "10.0.0.1"),
        ({"bindIp": "127.0.7.2"}, "10.0.0.1"),
    ],
)
def test_a_server_is_asked_where_it_listens(net: dict[str, object], expected: str) -> None:
    assert mongod_config.asked_address({"net": net}, "10.0.0.1") == expected


@pytest.mark.parametrize("path", ["/", ".", "", "~", "..", "../x", "data/..", "/home"])
def test_a_folder_that_holds_more_than_data_is_dangerous(path: str) -> None:
    assert mongod_config.is_dangerous(path)


@pytest.mark.parametrize("path", ["data/dbs", "/media/ephemeral0/data", "db"])
def test_a_folder_of_its_own_is_not_dangerous(path: str) -> None:
    assert not mongod_config.is_dangerous(path)


def test_a_key_file_turns_authorization_on_and_leaves_other_options_of_security() -> None:
    made = mongod_config.whole(
        {"security": {"keyFile": "own", "javascriptEnabled": False}},
        replica_set=None,
        local_address=None,
        key_file="k",
    )
    assert made["security"] == {"keyFile": "k", "authorization": "enabled", "javascriptEnabled": False}


def test_a_mongos_gets_the_key_file_without_authorization_which_it_has_no_option_for() -> None:
    made = mongod_config.whole({}, role="mongos", replica_set=None, local_address=None, key_file="k")
    assert made["security"] == {"keyFile": "k"}
