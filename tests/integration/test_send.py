"""`dsi send` and `dsi-send`: one command from a shell."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.running_test import running, two_hosts
from tests.integration.test_cli import free_port
from tests.integration.work_directory import DSI, WorkDirectory, wait_until

from dsi import client


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkDirectory]:
    """The folder of a test that runs."""
    work = two_hosts(tmp_path_factory.mktemp("work"), free_port(), more=", token: auto")
    with running(work):
        yield work


def test_output_comes_by_host_and_the_exit_status_is_the_replys(work: WorkDirectory) -> None:
    good = work.dsi("send", '{"on_mongod": {"exec": "echo hello; echo careful >&2; printf end"}}')
    assert sorted(good.stdout.splitlines()) == ["mongod.0: end", "mongod.0: hello", "mongod.1: end", "mongod.1: hello"]
    assert sorted(good.stderr.splitlines()) == ["mongod.0: careful", "mongod.1: careful"]
    bad = work.dsi("send", '{"on_mongod.1": {"exec": "echo oh >&2; exit 7"}}', exit_status=2)
    assert bad.stderr == "mongod.1: oh\nEXECUTION_ERROR: mongod.1: exit status 7: oh\n"
    assert work.dsi("send", '{"on_mongod": {"exec": "sleep 60"}, "timeout": 0.1}', exit_status=3).stderr.startswith(
        "TIMEOUT: "
    )


def test_what_is_no_command_is_refused_as_dsi_would(work: WorkDirectory) -> None:
    assert "Expecting property name" in work.dsi("send", '{"on_mongod": {1: 2}}', exit_status=1).stderr
    assert (
        work.dsi("send", '{"on_mongod": {"foo": ""}}', exit_status=2).stderr
        == "EXECUTION_ERROR: Invalid command type\n"
    )
    assert "one key" in work.dsi("send", "[]", exit_status=2).stderr


def test_with_json_the_lines_are_dsis_own_and_a_dash_reads_from_stdin(work: WorkDirectory) -> None:
    command = b'{"id": 7, "on_mongod.0":\n {"exec": "echo hello"}}'
    sent = subprocess.run([DSI, "send", "--json", "-"], cwd=work.folder, input=command, capture_output=True, check=True)
    event, reply = (json.loads(line) for line in sent.stdout.splitlines())
    assert event == {"id": 7, "event": "output", "host": "mongod.0", "stream": "stdout", "data": "hello\n"}
    assert (reply["id"], reply["status"], reply["results"][0]["stdout"]) == (7, "OK", "hello\n")


def test_ctrl_c_ends_the_command_on_its_hosts(work: WorkDirectory) -> None:
    begun = work.folder / "begun"
    process = work.start("send", f'{{"on_mongod.0": {{"exec": "touch {begun}; exec sleep 4711"}}}}')
    wait_until(begun.exists, "the command has begun")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert work.dsi("send", '{"on_mongod.0": {"exec": "pgrep -x sleep"}}', exit_status=2)


def test_who_reads_no_more_of_the_output_ends_the_command_on_its_hosts(work: WorkDirectory) -> None:
    """As a pipe would; the exit status is none of the protocol's, least of all that of a line that was no JSON."""
    command = '{"on_mongod.0": {"exec": "exec -a dsi-endless yes"}}'
    for program in ([DSI, "send", command], [sys.executable, client.__file__, command]):
        environment = environment_of(work) if program[0] != DSI else {}
        process = subprocess.Popen(
            program,
            cwd=work.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "mongod.0: y\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait() == 141
        process.stderr.close()
        ended = '{"on_mongod.0": {"exec": "while pgrep -f ^dsi-endless; do sleep 0.02; done"}, "timeout": 60}'
        work.dsi("send", ended)


def test_a_log_that_nobody_reads_keeps_nobody_waiting(work: WorkDirectory) -> None:
    """Nobody reads standard error of the dsi that runs here: a pipe takes 64 KiB, and each of these logs more."""
    for _ in range(3):
        work.dsi("send", '{"on_mongod": {"exec": "for i in $(seq 50); do printf \\"%02000d\\\\n\\" $i; done"}}')
    assert json.loads(work.dsi("send", '{"describe": {}}').stdout)["test"] == "hold"


def test_what_the_terminal_has_no_characters_for_is_shown_escaped(work: WorkDirectory) -> None:
    process = work.start("send", '{"on_mongod.0": {"exec": "echo \\u00fc"}}', environment={"PYTHONIOENCODING": "ascii"})
    assert process.communicate() == ("mongod.0: \\xfc\n", "")


def environment_of(work: WorkDirectory) -> dict[str, str]:
    kept = json.loads(work.read(".dsi/dsisocket.json"))
    return {"DSI_SOCKET": kept["address"], "DSI_SOCKET_TOKEN": kept["token"]}


def test_in_a_tests_own_environment_it_speaks_to_that_test(work: WorkDirectory, tmp_path: Path) -> None:
    away = WorkDirectory(tmp_path)
    process = away.start("send", '{"on_mongod.0": {"exec": "echo $0"}}', environment=environment_of(work))
    assert process.communicate() == ("mongod.0: bash\n", "")
    process = away.start("send", "{}", environment={**environment_of(work), "DSI_SOCKET_TOKEN": "wrong"})
    out, err = process.communicate()
    assert out == ""
    assert err == "UNAUTHORIZED: This is not the token: the environment of cmd has it, as DSI_SOCKET_TOKEN\n"
    assert process.returncode == 5


def test_the_token_is_for_its_owner_alone_and_gone_with_the_test(tmp_path: Path) -> None:
    work = two_hosts(tmp_path, free_port(), more=", token: auto")
    kept = work.folder / ".dsi" / "dsisocket.json"
    with running(work):
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not kept.exists()


def test_dsi_send_lies_beside_cmd(work: WorkDirectory) -> None:
    program = work.folder / ".dsi/hosts/workload_client.0/home/.dsi/bin/dsi-send"
    plain = {"PATH": "/usr/bin:/bin"}
    sent = subprocess.run([program, '{"on_mongod.0": {"exec": "exit 3"}}'], env={**plain, **environment_of(work)})
    assert sent.returncode == 2
    nobody = subprocess.run([program, "{}"], env=plain, capture_output=True, text=True)
    assert nobody.returncode == 69
    assert nobody.stderr.startswith("dsi-send: DSI_SOCKET is not set.")


def test_where_no_test_runs_it_says_what_to_do(tmp_path: Path) -> None:
    work = two_hosts(tmp_path, free_port())
    assert "no test runs in" in work.dsi("send", '{"describe": {}}', exit_status=69).stderr
    left = work.folder / ".dsi" / "dsisocket.json"
    left.parent.mkdir()
    left.write_text('{"address": "127.0.0.1:1", "token": null}')  # as after SIGKILL
    assert "no test runs in" in work.dsi("send", '{"describe": {}}', exit_status=69).stderr
    work.dsi("provision")
    assert not left.exists()
    assert "begin with `dsi run`" in work.dsi("send", '{"describe": {}}', exit_status=69).stderr
    work.dsi("teardown")


def test_a_running_test_without_a_dsisocket_is_told_apart(tmp_path: Path) -> None:
    work = two_hosts(tmp_path, free_port())
    control = work.folder / "test_control.yml"
    control.write_text(control.read_text().replace("enabled: true", "enabled: false"))
    with running(work):
        assert "no dsisocket is open" in work.dsi("send", '{"describe": {}}', exit_status=69).stderr
