"""What the servers leave behind is fetched after each test: logs, diagnostic data, core files."""

import json
import signal
from pathlib import Path

import pytest
from tests.integration.mongodb_bed import bed_of
from tests.integration.test_cli import free_port, send
from tests.integration.work_directory import STANDALONE, WorkDirectory, hosts, wait_until

from dsi.systems.mongodb import Mark, embedded_mongod, first_mark, look_for_artifacts

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

NODE = "mongod.0/single"


def visit(*names: str) -> str:
    """A test's `cmd`: clients of these names, which the server writes into its log; `rotate`: it begins another."""
    return f"""python3 - {" ".join(names)} <<'END'
import os, pymongo, sys
for name in sys.argv[1:]:
    with pymongo.MongoClient(os.environ["MONGODB_URL"], appname=name) as client:
        client.admin.command("logRotate" if name == "rotate" else "ping")
END
"""


def run(*tests: tuple[str, str], **more: object) -> str:
    listed = [{"id": name, "type": "shell", "cmd": cmd, "skip_validate": True} for name, cmd in tests]
    return json.dumps({"run": listed, "between_tests": [], **more})


def visitors(log: Path) -> list[str]:
    """The names of the clients that a log knows of, in order."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    clients = [entry["attr"]["doc"].get("application", {}) for entry in entries if entry["msg"] == "client metadata"]
    names = [client["name"] for client in clients if client.get("name", "").startswith("visit")]
    return list(dict.fromkeys(names))


def test_each_tests_folder_has_the_log_and_the_diagnostic_data_of_that_test_and_a_core_file_where_a_node_crashed(
    tmp_path: Path,
) -> None:
    collected = (
        f"until [ -e {tmp_path}/.dsi/hosts/mongod.0/*/data/dbs/diagnostic.data/metrics.2* ]; do sleep 0.05; done"
    )
    crash = {"on_mongod": {"exec": "pkill -ABRT mongod; while pgrep mongod; do sleep 0.05; done"}}
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1) + "numactl_prefix: prlimit --core=unlimited\n",
        mongodb_setup=STANDALONE,
        test_control=run(
            ("first", f"{collected}; {visit('visit1')}"),
            ("rotates", visit("visit2", "rotate", "visit3")),
            ("crashes", f"{visit('visit4')}{send(json.dumps(crash))}"),
            dsisocket={"enabled": True, "port": free_port()},
        ),
    )
    work.dsi("run", exit_status=1)
    first, rotates, crashes = (tmp_path / "reports" / name / NODE for name in ("first", "rotates", "crashes"))
    assert "Build Info" in (first / "mongod.log").read_text()
    (before,) = rotates.glob("mongod.log.2*")
    logs = (first / "mongod.log", before, rotates / "mongod.log", crashes / "mongod.log")
    assert [visitors(log) for log in logs] == [["visit1"], ["visit2"], ["visit3"], ["visit4"]]
    assert list((first / "diagnostic.data").glob("metrics.*"))
    (core,) = crashes.glob("core*")
    assert core.read_bytes()[:4] == b"\x7fELF"
    assert "Got signal: 6" in (crashes / "mongod.log").read_text()
    ends = work.events("artifacts_end")
    assert [(end["test"], end["files"] > 0) for end in ends] == [("first", True), ("rotates", True), ("crashes", True)]
    assert not work.events("warning")


def test_on_failure_fetches_after_tests_that_did_not_pass_and_no_more_than_they_have_left(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=run(("passes", visit("visit1")), ("fails", f"{visit('visit2')} exit 3"), artifacts="on_failure"),
    )
    work.dsi("run", exit_status=1)
    assert not (tmp_path / "reports" / "passes" / "mongod.0").exists()
    assert visitors(tmp_path / "reports" / "fails" / NODE / "mongod.log") == ["visit2"]


def test_the_first_interrupt_leaves_the_artifacts(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=run(("hangs", f"{visit('visit1')} echo begun; sleep 12345")),
    )
    process = work.start("run")
    output = tmp_path / "reports" / "hangs" / "test_output.log"
    wait_until(lambda: output.exists() and "begun" in output.read_text(), "the test has begun")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert visitors(tmp_path / "reports" / "hangs" / NODE / "mongod.log") == ["visit1"]


@pytest.mark.parametrize("next_command", ["teardown", "run"])
def test_what_a_test_had_measured_and_its_servers_had_logged_outlives_a_sigkill_of_dsi(
    tmp_path: Path, next_command: str
) -> None:
    hold = f"{visit('visit2')}echo '>>> speed : 7 1'; until [ -e {tmp_path}/again ]; do sleep 0.05; done"
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE.replace(
            "{storage:", "{setParameter: {diagnosticDataCollectionSamplesPerInterimUpdate: 2}, storage:"
        ),
        test_control=run(("first", visit("visit1")), ("second", hold)),
    )
    process = work.start("run")
    output = tmp_path / "reports" / "second" / "test_output.log"
    wait_until(lambda: process.poll() is not None or (output.exists() and "speed" in output.read_text()), "it measures")
    diagnostics = tmp_path / ".dsi" / "hosts" / "mongod.0" / "home" / "data" / "dbs" / "diagnostic.data"
    wait_until((diagnostics / "metrics.interim").exists, "the server has written what it measured")
    killed = (tmp_path / "reports").resolve()
    process.kill()
    process.communicate()
    wait_until(lambda: work.processes() == [], "all processes gone")
    assert "speed" not in (killed / "perf.json").read_text()
    (tmp_path / "again").touch()
    work.dsi(next_command)
    assert [visitors(killed / name / NODE / "mongod.log") for name in ("first", "second")] == [["visit1"], ["visit2"]]
    assert list((killed / "second" / NODE / "diagnostic.data").glob("metrics.*"))
    assert '"speed"' in (killed / "perf.json").read_text()
    assert '"test": "second"' in (killed / "metrics.jsonl").read_text()
    assert work.read("perf.json").count('"speed"') == 1
    found = work.dsi("analyze", str(killed), exit_status=1).stdout
    assert "tests: 1 passed, 1 unfinished" in found
    assert "2 server logs read" in found


async def test_what_a_node_has_left_is_what_has_changed_and_what_is_missing_is_named(tmp_path: Path) -> None:
    async with bed_of(tmp_path, 1) as bed:
        deployment = await bed.deployment(bed.standalone())
        await deployment.install()
        await deployment.start()
        (node,) = deployment.nodes
        await node.host.run("touch core; printf '\\x7fELF%12s\\x04' > core.1; cp core.1 data/logs/core.2; mkdir core.3")
        await node.host.run("until [ -d data/dbs/diagnostic.data ]; do sleep 0.05; done")  # it comes a second later
        begun = await first_mark(node)
        kinds = [artifact.kind for artifact in (await look_for_artifacts(node, begun)).new]
        assert kinds[:1] == ["log"]
        assert "core" not in kinds
        await node.host.run("echo more >> data/logs/mongod.log; cp core.1 core.4")
        left = await look_for_artifacts(node, Mark())
        cores = sorted(artifact.name for artifact in left.new if artifact.kind == "core")
        assert cores == ["core.1", "core.2", "core.4"]
        await node.stop()
        await node.host.run("echo the end >> data/logs/mongod.log; rm -r data/dbs/diagnostic.data core*")
        gone = await look_for_artifacts(node, left.mark)
        (log,) = (artifact for artifact in gone.new if artifact.kind == "log")
        assert log.first_byte > 0
        await node.host.get(log.path, tmp_path / "end", first_byte=log.first_byte, size_bytes=log.size_bytes)
        assert (tmp_path / "end").read_text().endswith("the end\n")
        assert gone.missing == ("diagnostic data: data/dbs/diagnostic.data is not there",)
        await node.host.run("echo another > data/logs/mongod.log")
        (log,) = (one for one in (await look_for_artifacts(node, gone.mark)).new if one.kind == "log")
        assert (log.first_byte, log.size_bytes) == (0, 8)


def test_what_is_too_large_or_can_not_be_written_is_told_and_the_rest_is_fetched(tmp_path: Path) -> None:
    elf = r"printf '\x7fELF%12s\x04'"
    fill = (
        "{ yes 'a line that a server wrote' | head -c 3000000; echo the end; } >> data/logs/mongod.log;"
        f"{{ {elf}; head -c 2000000 /dev/zero; }} > core.1; {elf} > core.2;"
        "mkdir -p data/dbs/diagnostic.data; echo > data/dbs/diagnostic.data/metrics.interim"
    )
    in_the_way = f"mkdir -p reports/full/{NODE}; touch reports/full/{NODE}/diagnostic.data"
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=run(
            ("full", "true"),
            artifacts_max_mb=1,
            pre_test=[{"on_mongod": fill}, {"on_localhost": in_the_way}],
        ),
    )
    work.dsi("run")
    node = tmp_path / "reports" / "full" / NODE
    log = (node / "mongod.log").read_bytes()
    assert len(log) == 1_000_000
    assert b"the end\n" in log[-20_000:]  # the server goes on
    assert [core.name for core in node.glob("core*")] == ["core.2"]
    told = [event["message"] for event in work.events("warning") if event.get("node") == "single"]
    for part in ("mongod.log has", "core.1 has", "diagnostic.data/metrics.interim"):
        assert [message for message in told if part in message], told
