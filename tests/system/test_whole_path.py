"""The whole path over SSH: a replica set on hosts of their own, and a workload there that speaks with telnet and nc."""

import json
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.integration.work_directory import WorkDirectory, wait_until
from tests.system.conftest import StartHosts
from tests.system.testbed import TestbedHost

OK = '{"status_code": 0, "status": "OK", "message": "I think the command might have succeeded."}'
TEXT = r"echo \"HELLO THIS IS HENRIK CAN YOU HEAR ME?????!!!\"\necho \"(Yes, we can)\"\n"
ROWS = [
    (f'{{"on_workload_client": {{"exec": "{TEXT}"}}}}', OK),
    (
        f'{{"on_workload_client": {{"foo": "{TEXT}"}}}}',
        '{"status_code": 2, "status": "EXECUTION_ERROR", "message": "Invalid command type"}',
    ),
    (
        f'{{"on_workload_client": {{1: "{TEXT}"}}}}',
        (
            '{"status_code": 1, "status": "JSON_ERROR", "message": '
            '"Expecting property name enclosed in double quotes: line 1 column 25 (char 24)"}'
        ),
    ),
    ('{"restart_mongodb": {"clean_logs": true, "clean_db_dir": false}}', OK),
    (
        '{"on_workload_client": {"exec": "pkill mongod"}}',
        '{"status_code": 2, "status": "EXECUTION_ERROR", "message": "workload_client.0: exit status 1: pkill mongod"}',
    ),
    ('{"on_mongod.1": {"exec": "pkill -0 mongod"}}', OK),
]
"""The requests and replies that the specification has, byte by byte, and one of ours."""


def listing(host: TestbedHost) -> str:
    return json.dumps(
        {
            "public_ip": host.address,
            "ssh_port": host.port,
            "ssh_user": host.user,
            "ssh_key_file": str(host.key_file),
        }
    )


def replica_set(members: int) -> str:
    nodes = "".join(
        f'      - {{id: member{index}, public_ip: "${{infrastructure_provisioning.out.mongod.{index}.public_ip}}"}}\n'
        for index in range(members)
    )
    return (
        "mongod_config_file: {storage: {wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}}\n"
        f"topology:\n  - id: rs0\n    cluster_type: replset\n    mongod:\n{nodes}"
    )


def work_directory(folder: Path, hosts: Sequence[TestbedHost], test_control: str) -> WorkDirectory:
    """The first host is the workload client, the others are servers."""
    servers = ", ".join(listing(host) for host in hosts[1:])
    return WorkDirectory(
        folder,
        infrastructure_provisioning=(
            "provider: static\n"
            "tfvars: {ssh_keepalive_seconds: 3, ssh_reconnect_seconds: 5}\n"
            f"hosts:\n  mongod: [{servers}]\n  workload_client: [{listing(hosts[0])}]\n"
        ),
        mongodb_setup=replica_set(len(hosts) - 1),
        test_control=test_control,
    )


def task(cmd: Path, *more: str) -> str:
    upload = f'pre_task:\n  - on_workload_client: {{upload_files: [{{source: "{cmd}", target: workload.sh}}]}}\n'
    return (
        f"run:\n  - {{id: talk, type: shell, cmd: bash workload.sh}}\ndsisocket: {{enabled: true}}\n{upload}"
        + "".join(more)
    )


def mongods(host: TestbedHost) -> str:
    return host.run_inside("sh", "-c", "pgrep -x mongod || true").strip()


def test_telnet_and_nc_on_a_remote_workload_client_get_every_reply_to_the_byte(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    requests = "\n".join(request for request, _ in ROWS) + "\n"
    (tmp_path / "rows").write_text(requests)
    script = tmp_path / "talk.sh"
    script.write_text(
        "set -e\n"
        f"cat > rows <<'ROWS'\n{requests}ROWS\n"
        'host=${DSI_SOCKET%:*}; port=${DSI_SOCKET##*:}; echo "address $DSI_SOCKET"\n'
        "nc -N $host $port < rows > nc.out\n"
        "mkfifo typed; telnet $host $port < typed > telnet.out 2>/dev/null & exec 4> typed; cat rows >&4\n"
        f"until [ $(grep -c status_code telnet.out) = {len(ROWS)} ]; do sleep 0.05; done; exec 4>&-; wait || true\n"
        "echo ---nc; cat nc.out; echo ---telnet; grep status_code telnet.out\n"
    )
    hosts = ssh_hosts(4)
    work = work_directory(tmp_path, hosts, task(script))
    work.dsi("run")
    log = work.read("reports/talk/test_output.log")
    head, _, rest = log.partition("---nc\n")
    by_nc, _, by_telnet = rest.partition("---telnet\n")
    replies = [reply for _, reply in ROWS]
    assert head == "address 127.0.0.1:27007\n"
    assert by_nc.splitlines() == replies
    assert by_telnet.splitlines() == [*replies, "exit_status: 0 'success'"]
    assert [mongods(host) for host in hosts] == ["", "", "", ""]
    for host in hosts[1:]:
        assert (host.home / "data" / "dbs" / "WiredTiger").exists()
    assert "27007" not in hosts[0].run_inside("ss", "-Hltn")


def test_an_interrupt_ends_the_command_on_the_remote_host_and_the_nodes(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    script = tmp_path / "talk.sh"
    script.write_text("echo begun; sleep 12345 & sleep 12345\n")
    hosts = ssh_hosts(2)
    work = work_directory(tmp_path, hosts, task(script))
    process = work.start("run")
    log = tmp_path / "reports" / "talk" / "test_output.log"
    wait_until(lambda: log.exists() and "begun" in log.read_text(), "the test has begun")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert hosts[0].run_inside("sh", "-c", "pgrep -f 'sleep 1234[5]' || true") == ""
    assert mongods(hosts[1]) == ""


def test_stage_by_stage_a_later_process_finds_and_ends_the_nodes(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    script = tmp_path / "talk.sh"
    script.write_text("echo $MONGODB_URL\n")
    hosts = ssh_hosts(2)
    work = work_directory(tmp_path, hosts, task(script))
    work.dsi("provision")
    work.dsi("mongodb-setup")
    pid = mongods(hosts[1])
    assert pid
    work.dsi("test-control")
    assert mongods(hosts[1]) == pid
    work.dsi("conn", "md", "-c", "echo here > here")
    assert (hosts[1].home / "here").read_text() == "here\n"
    work.dsi("teardown")
    assert mongods(hosts[1]) == ""


def test_a_lost_workload_client_is_an_error_that_names_it_and_the_servers_are_ended(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    script = tmp_path / "talk.sh"
    script.write_text("echo begun; sleep 12345\n")
    hosts = ssh_hosts(2)
    work = work_directory(tmp_path, hosts, task(script))
    process = work.start("run")
    log = tmp_path / "reports" / "talk" / "test_output.log"
    wait_until(lambda: log.exists() and "begun" in log.read_text(), "the test has begun")
    hosts[0].crash()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 3, err
    assert "workload_client.0" in err
    assert mongods(hosts[1]) == ""


def test_an_unreachable_host_is_named_with_its_port_user_and_key(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    hosts = ssh_hosts(2)
    hosts[1].drop_packets()
    work = work_directory(tmp_path, hosts, "run: []\n")
    err = work.dsi("provision", exit_status=3).stderr
    for part in ("mongod.0", hosts[1].address, str(hosts[1].port), hosts[1].user, str(hosts[1].key_file)):
        assert part in err


def test_a_node_whose_host_is_lost_is_remembered_and_ended_by_the_next_teardown(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    script = tmp_path / "talk.sh"
    script.write_text("true\n")
    hosts = ssh_hosts(3)
    work = work_directory(tmp_path, hosts, task(script))
    work.dsi("run", "--keep")
    hosts[2].drop_packets()
    err = work.dsi("teardown", exit_status=3).stderr
    assert "mongod.1" in err
    assert [bool(mongods(host)) for host in hosts[1:]] == [False, True]
    hosts[2].heal()
    work.dsi("teardown")
    assert mongods(hosts[2]) == ""


def has_begun(reports: Path) -> bool:
    log = reports / "test_output.log"
    return log.exists() and "begun" in log.read_text()


def has_noticed(work: WorkDirectory, count: int) -> bool:
    return len(work.events("node_down")) == count


def test_a_node_that_is_killed_on_a_remote_host_fails_the_test_and_is_named_with_its_signal(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    script = tmp_path / "talk.sh"
    script.write_text("echo begun; until [ -e go-on ]; do sleep 0.05; done; rm go-on\n")
    hosts = ssh_hosts(4)
    tests = ", ".join(f"{{id: kills{index}, type: shell, cmd: bash workload.sh}}" for index in range(3))
    upload = f'pre_task:\n  - on_workload_client: {{upload_files: [{{source: "{script}", target: workload.sh}}]}}\n'
    work = work_directory(tmp_path, hosts, f"run: [{tests}]\n{upload}")
    process = work.start("run")
    try:
        for index, host in enumerate(hosts[1:]):
            wait_until(partial(has_begun, tmp_path / "reports" / f"kills{index}"), f"test {index} has begun")
            host.run_inside("pkill", "-9", "mongod")
            wait_until(partial(has_noticed, work, index + 1), "the watch has noticed")
            (hosts[0].home / "go-on").touch()
        _, err = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 1, err
    downs = [(down["test"], down["node"], down["how"]) for down in work.events("node_down")]
    assert downs == [(f"kills{index}", f"member{index}", "signal 9 (SIGKILL)") for index in range(3)]
    for index, (end, host) in enumerate(zip(work.events("test_end"), hosts[1:], strict=True)):
        assert (end["status"], end["exit_status"]) == ("failed (validation)", 0)
        assert f"member{index} ({host.address}:27017): went down during the test, signal 9 (SIGKILL)" in end["reason"]
        assert "\n" not in end["reason"]
    assert [mongods(host) for host in hosts] == ["", "", "", ""]
