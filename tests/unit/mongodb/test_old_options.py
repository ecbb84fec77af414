"""Options of old configurations: left out, refused, or left alone, by the server's version."""

from pathlib import Path
from typing import Any

import pytest

from dsi.stages.load import load
from dsi.stages.validate import check
from dsi.systems.mongodb import old_options


def test_the_version_is_what_the_binary_says() -> None:
    assert old_options.version_of("db version v6.0.5\nBuild Info: {}") == (6, 0)
    assert old_options.version_of("mongos version v4.4.29") == (4, 4)
    assert old_options.version_of("nonsense") is None


@pytest.mark.parametrize(("version", "kept"), [((4, 4), True), ((5, 0), False), ((8, 0), False), (None, False)])
def test_an_option_is_left_out_for_servers_that_refuse_it_alone(version: Any, kept: bool) -> None:
    config = {"net": {"port": 27017, "serviceExecutor": "synchronous"}}
    expected = config if kept else {"net": {"port": 27017}}
    assert old_options.for_server(config, version) == expected
    assert config["net"]["serviceExecutor"] == "synchronous"


def test_a_section_that_is_empty_without_the_option_goes_too() -> None:
    config = {"cloud": {"monitoring": {"free": {"state": "off"}}}}
    assert old_options.for_server(config, (4, 4)) == {}


def test_what_cannot_be_left_out_is_refused_by_the_version_that_refuses_it() -> None:
    config = {"replication": {"enableMajorityReadConcern": False}}
    assert old_options.refused(config, (4, 4), path="p") == []
    (problem,) = old_options.refused(config, (6, 0), path="p")
    assert problem.path == "p.replication.enableMajorityReadConcern"
    assert problem.message.startswith("false is refused by MongoDB 6.0: ")


@pytest.mark.parametrize(
    ("config", "warns", "refuses"),
    [
        ({"storage": {"journal": {"enabled": True}}}, True, False),
        ({"storage": {"journal": {"enabled": False}}}, True, False),
        ({"storage": {"journal": {"enabled": False}}, "replication": {"replSetName": "rs0"}}, False, True),
        ({"storage": {"journal": {"commitIntervalMs": 50}}}, False, False),
        ({"storage": {"engine": "wiredTiger"}}, False, False),
        ({"storage": {"engine": "mmapv1"}}, False, True),
        ({"sharding": {"clusterRole": "shardsvr"}}, True, False),
        ({"sharding": {"clusterRole": "shardsvr"}, "replication": {"replSetName": "rs0"}}, False, False),
        ({"net": {"http": {"enabled": True}}}, False, True),
        ({"net": {"http": {"enabled": False, "JSONPEnabled": False}}}, True, False),
    ],
)
def test_without_a_version_only_what_every_server_refuses_is_an_error(config: Any, warns: bool, refuses: bool) -> None:
    found = list(old_options.doubts(config, path="p"))
    assert [problem.warning for problem in found] == [True] * warns + [False] * refuses


def test_validate_says_it_once_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "mongodb_setup.yml").write_text(
        "mongod_config_file:\n  storage: {engine: mmapv1}\n  net:\n    serviceExecutor: adaptive\n"
        "topology:\n  - {cluster_type: replset, mongod: [{public_ip: a}, {public_ip: b}]}\n"
    )
    error, warning = check(load(tmp_path))
    assert str(error).startswith("mongodb_setup.yml:2:21: ")
    assert "mmapv1 is refused by every server: the engine mmapv1 ended with MongoDB 4.0; write wiredTiger" in str(error)
    assert str(warning).startswith("mongodb_setup.yml:4:22: ")
    assert "adaptive is refused by servers from 5.0 on" in str(warning)
    assert (error.warning, warning.warning) == (False, True)
