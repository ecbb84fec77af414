"""`dsi run` with nodes that go down in the middle of a test, or lose data."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_cli import free_port, send, task
from tests.integration.work_directory import LIMIT_S, REPLICA_SET, STANDALONE, WorkDirectory, hosts, wait_until

from dsi.systems.mongodb import embedded_mongod
from dsi.systems.mongodb.watch import PERIOD_S

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")


def test_a_node_that_dies_fails_the_test_unless_it_was_meant_to_and_so_does_one_that_was_and_does_not(
    tmp_path: Path,
) -> None:
    kill = {"on_secondary1": {"exec": "pkill -9 mongod"}}
    noticed = f'until grep -q "node_down.*$DSI_TEST_ID" {tmp_path}/reports/timeline.jsonl; do sleep 0.02; done'
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(3),
        mongodb_setup=REPLICA_SET,
        test_control=task(
            f"{send(json.dumps(kill))}; {noticed}",
            f"{send(json.dumps({**kill, 'expect_down': ['rs0:secondaries']}))}; {noticed}",
            send(json.dumps({"restart_mongodb": {"nodes": ["rs0:primary"], "mode": "crash"}})),
            send(json.dumps({"on_secondary1": "pkill -9 mongos || true", "expect_down": ["rs0:secondaries"]})),
            more="pre_task:\n  - {on_primary: 'true', expect_down: [secondary2]}\n",
            port=free_port(),
        ),
    )
    result = work.dsi("run", exit_status=1)
    ends = {event["test"]: event for event in work.events("test_end")}
    assert [end["status"] for end in ends.values()] == ["failed (validation)", "passed", "passed", "invalid"]
    assert [end["exit_status"] for end in ends.values()] == [0, 0, 0, 0]
    assert "expect_down: [rs0:secondaries] took none of these nodes down" in ends["test3"]["reason"]
    downs = {event["test"]: event for event in work.events("node_down") if event["test"] != "test2"}
    assert [(down["node"], down["how"], down["expected"]) for down in downs.values()] == [
        ("secondary1", "signal 9 (SIGKILL)", False),
        ("secondary1", "signal 9 (SIGKILL)", True),
    ]
    assert downs["test0"]["log_tail"]
    for place in (result.stderr, work.read("test_control.out.yml")):
        assert "signal 9 (SIGKILL)" in " ".join(place.split())
    assert "rs0:primary (primary), crash" in result.stderr
    assert "analysis: 3 errors, " in result.stderr
    # Without a host: the node that died and the fault that wasn't are found, and nothing of what was asked for.
    found = json.loads(work.dsi("analyze", "--json", exit_status=1).stdout)["findings"]
    errors = [(one["rule"], one["test"], one["node"]) for one in found if one["severity"] == "error"]
    assert errors == [
        ("node_down", "test0", "secondary1"),
        ("test_failed", "test0", None),
        ("test_failed", "test3", None),
    ]
    assert {one["test"] for one in found} == {"test0", "test3"}


WRITE = """python3 - <<'END'
import os, pymongo
things = pymongo.MongoClient(os.environ["MONGODB_URL"]).test.things
things.with_options(write_concern=pymongo.WriteConcern("majority")).insert_one({})
END"""


def test_each_node_of_a_set_that_is_killed_in_mid_test_fails_it_and_is_back_for_the_next(tmp_path: Path) -> None:
    members = ("primary", "secondary1", "secondary2")
    noticed = f'until grep -q "node_down.*$DSI_TEST_ID" {tmp_path}/reports/timeline.jsonl; do sleep 0.02; done'
    kills = {member: send(json.dumps({f"on_{member}": {"exec": "pkill -9 mongod"}})) for member in members}
    run = [
        {"id": f"kills-{member}", "type": "shell", "cmd": "\n".join(["set -e", WRITE, kill, noticed, WRITE])}
        for member, kill in kills.items()
    ]
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(3),
        # Not less than the heartbeats' two seconds, or there are elections though no node was killed.
        mongodb_setup=REPLICA_SET + "rs_conf: {settings: {electionTimeoutMillis: 4000}}\n",
        test_control=json.dumps({"run": run, "dsisocket": {"enabled": True, "port": free_port()}}),
    )
    shown = work.dsi("run", exit_status=1).stderr
    ends = work.events("test_end")
    assert [(end["status"], end["exit_status"]) for end in ends] == [("failed (validation)", 0)] * 3
    downs = work.events("node_down")
    assert [(down["test"], down["node"], down["how"]) for down in downs] == [
        (f"kills-{member}", member, "signal 9 (SIGKILL)") for member in members
    ]
    assert all(0 < len(down["log_tail"]) <= 10 for down in downs)
    killed = [event for event in work.events("dsisocket_command_end") if "pkill" in json.dumps(event["command"])]
    noticed_after_s = [down["monotonic_s"] - kill["monotonic_s"] for kill, down in zip(killed, downs, strict=True)]
    # It is looked several times in a second, on a machine that is busy with other things for a while, too: of three
    # nodes, one at the least is noticed as soon as that.
    assert PERIOD_S <= 0.2
    assert min(noticed_after_s) < 1
    assert max(noticed_after_s) < LIMIT_S / 4
    for end, member in zip(ends, members, strict=True):
        assert f"{member} (127." in end["reason"]
        assert "went down during the test, signal 9 (SIGKILL)" in end["reason"]
        assert "\n" not in end["reason"]
    # Ten lines of a log for each would bury the table, and the reason.
    places = ((shown, 0), (work.read("test_control.out.yml"), 3), (work.read("reports/junit.xml"), 3))
    for text, times in places:
        assert text.count("the last lines of its log") == times


def test_a_death_fails_the_test_in_which_it_was_and_later_ones_are_invalid_until_the_node_is_started(
    tmp_path: Path,
) -> None:
    """Nothing is restarted between the tests but before the last one."""
    killed = "pkill -9 mongod"
    again: Mapping[str, Any] = {"restart_mongodb": {}}
    own: Mapping[str, Mapping[str, Any]] = {
        "kills": {"post_test": [{"on_secondary1": killed}]},
        "after": {},
        "means-it": {"post_test": [{"on_secondary2": killed, "expect_down": ["secondary2"]}]},
        "last": {"pre_test": [again]},
        "misses": {"post_test": [{"on_secondary2": "true", "expect_down": ["secondary2"]}]},
        "hook": {"pre_test": [{"on_secondary1": killed}]},
        "good": {"pre_test": [again, {"on_secondary2": killed, "expect_down": ["secondary2"]}]},
        "still-good": {},
    }
    run = [{"id": name, "type": "shell", "cmd": "true", "skip_validate": True, **more} for name, more in own.items()]
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(3),
        mongodb_setup=REPLICA_SET,
        test_control=json.dumps({"between_tests": [], "run": run}),
    )
    result = work.dsi("run", exit_status=1)
    ends = {event["test"]: event for event in work.events("test_end")}
    assert {name: end["status"] for name, end in ends.items()} == {
        "kills": "failed (validation)",
        "after": "invalid",
        "means-it": "invalid",
        "last": "passed",
        "misses": "invalid",
        "hook": "failed (validation)",
        "good": "passed",
        "still-good": "passed",
    }
    assert "secondary1 (127." in ends["kills"]["reason"]
    assert "went down after cmd had ended (in post_test, say), signal 9 (SIGKILL)" in ends["kills"]["reason"]
    for name in ("after", "means-it"):
        assert "is down since test kills, signal 9 (SIGKILL)" in ends[name]["reason"]
        assert ends[name]["notes"] == []
    assert "expect_down: [secondary2] took none of these nodes down" in ends["misses"]["reason"]
    assert "went down before cmd began (in a hook, say), signal 9 (SIGKILL)" in ends["hook"]["reason"]
    assert [(down["test"], down["node"], down["expected"]) for down in work.events("node_down")] == [
        ("kills", "secondary1", False),
        ("means-it", "secondary2", True),
        ("hook", "secondary1", False),
        ("good", "secondary2", True),
    ]
    assert "analysis: 7 errors, " in result.stderr, "two deaths, and the five tests that did not pass"


def test_a_test_that_leaves_damaged_data_is_failed_unless_it_skips_validate(tmp_path: Path) -> None:
    damage = """python3 - <<'END'
import os, pymongo
client = pymongo.MongoClient(os.environ["MONGODB_URL"])
for mode in ("alwaysOn", "off"):
    client.admin.command({"configureFailPoint": "skipIndexNewRecords", "mode": mode})
    client.test[mode].insert_one({})
END"""
    run = [
        {"id": "skips", "type": "shell", "cmd": damage, "skip_validate": True},
        {"id": "looks", "type": "shell", "cmd": damage},
        {"id": "good", "type": "shell", "cmd": "true"},
    ]
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE + 'validate: {standalone: ["${mongodb_setup.meta.hostname}:27017"]}\n',
        test_control=json.dumps({"run": run}),
    )
    work.dsi("run", exit_status=1)
    ends = {event["test"]: event for event in work.events("test_end")}
    assert {name: end["status"] for name, end in ends.items()} == {
        "skips": "passed",
        "looks": "failed (validation)",
        "good": "passed",
    }
    assert ends["looks"]["exit_status"] == 0
    assert "single" in ends["looks"]["reason"]
    assert "validate found damaged collections: test.alwaysOn (" in ends["looks"]["reason"]
    assert "test.off" not in ends["looks"]["reason"]
    assert [event["test"] for event in work.events("validate_end")] == ["looks", "good"]


def test_a_servers_host_that_is_lost_is_no_failure_of_the_workload_and_ends_the_task(tmp_path: Path) -> None:
    hold = f"until [ -e {tmp_path}/lost ]; do sleep 0.02; done; exit 7"
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=task(hold, "true"),
    )
    process = work.start("run")
    wait_until(lambda: process.poll() is not None or work.events("cmd_begin"), "cmd has begun")
    (host,) = (host for host in json.loads(work.read(".dsi/local_hosts.json")) if host["name"] == "mongod.0")
    os.kill(host["pid"], signal.SIGKILL)
    (tmp_path / "lost").touch()
    _, shown = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3, shown
    (end,) = work.events("test_end")
    assert (end["status"], end["exit_status"]) == ("infrastructure error", 7)
    assert end["reason"].startswith("mongod.0: whether its nodes run is not known")
    assert "cmd: exit status 7" in end["notes"]
    assert "outcome: not run" in work.read("test_control.out.yml")
