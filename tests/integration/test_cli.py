"""`dsi` as a person runs it: a process in a work directory, with real mongods on local hosts."""

import os
import pty
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from tests.integration.work_directory import DSI, REPLICA_SET, STANDALONE, WorkDirectory, hosts, wait_until

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
PING = 'python3 -c \'import os, pymongo; print(pymongo.MongoClient(os.environ["MONGODB_URL"]).admin.command("ping"))\''


COLOUR = r"\x1b\[(\d+;)*[34][0-7]m"
"""A foreground or background colour (ECMA-48, 8.3.117)."""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def task(*commands: str, more: str = "", port: int | None = None) -> str:
    run = "".join(
        f"  - id: test{index}\n    type: shell\n    cmd: |\n      {cmd}\n" for index, cmd in enumerate(commands)
    )
    dsisocket = f"dsisocket: {{enabled: true, port: {port}}}\n" if port else ""
    return f"run:\n{run}{dsisocket}{more}"


def send(line: str) -> str:
    """Shell text that sends one line over the dsisocket, and prints the reply."""
    return f"""exec 3<>/dev/tcp/${{DSI_SOCKET/://}}; echo '{line}' >&3; head -n1 <&3"""


def test_help_lists_every_subcommand_and_each_has_help_of_its_own() -> None:
    listing = subprocess.run([DSI, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("demo", "run", "bootstrap", "provision", "workload-setup", "mongodb-setup", "test-control", "analyze"):
        assert name in listing
        assert "--work-dir" in subprocess.run(
            [DSI, name, "--help"], capture_output=True, text=True, check=True
        ).stdout or (name == "demo")


def test_the_original_names_are_there(tmp_path: Path) -> None:
    program = str(Path(DSI).parent / "test_control.py")
    assert "tests of test_control.yml" in subprocess.run([program, "--help"], capture_output=True, text=True).stdout


def test_all_problems_are_reported_at_once_with_their_places_and_exit_status_2(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        test_control=(
            "run:\n  - id: a\n    type: shell\n    cmd: 'true'\n    pre_test:\n      - on_mongod: {exce: uptime}\n"
            "pre_task:\n  - on_mongodb: uptime\n"
            'post_task:\n  - on_localhost: "echo a\\0b"\n'
        ),
    )
    out = work.dsi("validate", exit_status=2).stdout
    assert "test_control.yml:6:" in out
    assert 'run.0.pre_test.0.on_mongod.exce: no verb "exce" (did you mean "exec"?)' in out
    assert "test_control.yml:8:" in out
    assert 'did you mean "on_mongod"?' in out
    assert "test_control.yml:10:" in out
    assert "NUL character" in out
    assert not (tmp_path / ".dsi").exists()


def test_a_run_puts_up_a_replica_set_tests_it_and_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(3),
        mongodb_setup=REPLICA_SET,
        test_control=task(PING, send('{"restart_mongodb": {"clean_logs": true, "clean_db_dir": false}}'), port=port),
    )
    result = work.dsi("run")
    assert "passed" in result.stderr
    assert "'ok': 1.0" in work.read("reports/test0/test_output.log")
    assert work.read("reports/test1/test_output.log").splitlines() == [
        '{"status_code": 0, "status": "OK", "message": "I think the command might have succeeded."}',
        "exit_status: 0 'success'",
    ]
    assert len(work.events("restart_mongodb_end")) == 2  # between the tests, and over the dsisocket
    assert all(event["writes_refused_s"] for event in work.events("restart_mongodb_end"))
    assert "status: 0" in work.read("test_control.out.yml")
    assert not [line for line in result.stderr.splitlines() if "\x1b" in line]
    assert work.processes() == []
    assert not (tmp_path / ".dsi" / "hosts").exists()
    assert result.stderr.splitlines()[-1].startswith("analysis: 0 errors, ")
    # What real servers log of two restarts that were asked for is nothing to be told of.
    assert work.dsi("analyze").stdout.splitlines()[-1].startswith("tests: 2 passed; 0 errors, ")


def test_stage_by_stage_hosts_and_clusters_stay_until_teardown(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path, infrastructure_provisioning=hosts(1), mongodb_setup=STANDALONE, test_control=task(PING)
    )
    work.dsi("provision")
    work.dsi("workload-setup")
    work.dsi("mongodb-setup")
    work.dsi("test-control")
    work.dsi("test-control")
    assert "md.0" not in work.dsi("conn", "md", "wc", "-c", "echo here").stderr
    assert sorted(work.dsi("conn", "md", "wc", "-c", "echo here").stdout.splitlines()) == [
        "mongod.0: here",
        "workload_client.0: here",
    ]
    assert any("mongod" in process for process in work.processes())
    work.dsi("teardown")
    assert work.processes() == []
    work.dsi("teardown")


def test_a_failed_test_is_exit_status_1_and_a_failed_hook_3(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task("exit 4"))
    assert "exit status 4" in work.dsi("run", exit_status=1).stderr
    broken = task("true", more="pre_task:\n  - on_workload_client: 'echo because >&2; exit 9'\n")
    (tmp_path / "test_control.yml").write_text(broken)
    assert "pre_task.0): workload_client.0: exit status 9: because" in work.dsi("run", exit_status=3).stderr
    assert work.processes() == []


def test_sigkill_of_dsi_in_a_restart_leaves_no_process_and_the_next_run_starts_clean(tmp_path: Path) -> None:
    port = free_port()
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(3),
        mongodb_setup=REPLICA_SET,
        test_control=task(send('{"restart_mongodb": {}}'), port=port),
    )
    process = work.start("run")
    wait_until(lambda: work.events("restart_mongodb_begin"), "the restart has begun")
    process.kill()
    process.communicate()
    wait_until(lambda: work.processes() == [], "all processes gone")
    found = work.dsi("analyze", exit_status=1).stdout
    assert "the timeline ends in test test0, without the end of the run: dsi was killed" in found
    assert "tests: 1 unfinished; 1 error, 0 warnings" in found
    work.dsi("run")
    assert work.processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_the_test_runs_the_hooks_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    after = (
        "post_task:\n  - on_workload_client: {exec: touch ended, retrieve_files: [{source: ended, target: ended}]}\n"
    )
    work = WorkDirectory(
        tmp_path, infrastructure_provisioning=hosts(0), test_control=task("echo begun; sleep 1000", more=after)
    )
    process = work.start("run")
    log = tmp_path / "reports" / "test0" / "test_output.log"
    wait_until(lambda: log.exists() and "begun" in log.read_text(), "the test has begun")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the task was interrupted by somebody" in work.dsi("analyze", exit_status=1).stdout
    assert (tmp_path / "reports" / "post_task" / "workload_client.0" / "ended").exists()
    assert work.processes() == []


def test_a_taken_port_of_the_dsisocket_is_named_with_its_holder_and_the_test_not_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        work = WorkDirectory(
            tmp_path, infrastructure_provisioning=hosts(0), test_control=task("touch started", port=port)
        )
        err = work.dsi("run", exit_status=3).stderr
    assert f"127.0.0.1:{port}" in err
    assert str(os.getpid()) in err
    assert "test_control.dsisocket.port" in err


def test_two_dsi_in_one_work_directory_the_second_is_told_of_the_first(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task("echo begun; sleep 1000"))
    process = work.start("run")
    log = tmp_path / "reports" / "test0" / "test_output.log"
    wait_until(lambda: log.exists() and "begun" in log.read_text(), "the test has begun")
    assert f"another dsi (process {process.pid})" in work.dsi("run", exit_status=3).stderr
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_what_only_its_owner_may_read_only_its_owner_can_read(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task("true"))
    work.dsi("run", "--keep")
    assert stat.S_IMODE((tmp_path / ".dsi").stat().st_mode) == 0o700
    work.dsi("teardown")


def run_at_a_terminal(work: WorkDirectory, **environment: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [DSI, "run"],
        cwd=work.folder,
        env={**os.environ, "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # the other side is closed: Linux says EIO
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0
    return shown.decode(errors="replace")


def test_at_a_terminal_a_person_sees_stage_test_and_the_last_lines_of_output(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path, infrastructure_provisioning=hosts(0), test_control=task("echo a line of output; sleep 2")
    )
    screen = run_at_a_terminal(work)
    assert "test0 (1 of 1)" in screen
    assert "a line of output" in screen
    assert re.search(COLOUR, screen)


def test_no_colour_is_shown_to_who_wants_none_and_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task("true"))
    assert not re.search(COLOUR, run_at_a_terminal(work, NO_COLOR="1"))
    screen = run_at_a_terminal(work, TERM="dumb")
    assert "test test0 (1 of 1)" in screen
    assert "\x1b" not in screen


def test_a_reader_that_goes_away_changes_neither_the_exit_status_nor_the_analysis(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task("true"))
    line = f"{shlex.quote(DSI)} run 2>&1 | head -n 2; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line], cwd=tmp_path, stdout=subprocess.PIPE).returncode == 0
    assert "passed" in work.read("test_control.out.yml")
    assert (tmp_path / "reports" / "report.json").exists()


def test_config_show_gives_the_value_and_where_it_comes_from(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(3),
        mongodb_setup=REPLICA_SET,
        overrides="test_control: {task_name: mine}\n",
        test_control="task_name: theirs\nrun: []\n",
    )
    out = work.dsi("config", "show", "test_control.task_name", "--origin").stdout
    assert out.splitlines()[0] == "mine"
    assert "overrides.yml:1:" in out


def test_bootstrap_copies_canned_files_and_replaces_none_that_differs(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path, bootstrap="infrastructure_provisioning: replica\nmongodb_setup: replica\ntest_control: smoke\n"
    )
    work.dsi("bootstrap")
    work.dsi("validate")
    (tmp_path / "mongodb_setup.yml").write_text("topology: []\n")
    assert "mongodb_setup.yml: there already, and different" in work.dsi("bootstrap", exit_status=3).stderr
    assert work.read("mongodb_setup.yml") == "topology: []\n"
    (tmp_path / "old").hardlink_to(tmp_path / "mongodb_setup.yml")
    work.dsi("bootstrap", "--force")
    assert "rs0" in work.read("mongodb_setup.yml")
    assert work.read("old") == "topology: []\n", "it was written anew beside the old one, not over it"


def test_bootstrap_names_what_there_is_when_a_name_is_wrong(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, bootstrap="mongodb_setup: replca\n")
    err = work.dsi("bootstrap", exit_status=2).stderr
    assert 'bootstrap.yml:1:16: mongodb_setup: no canned configuration "replca" (did you mean "replica"?)' in err


def test_run_bootstraps_only_what_is_missing_and_runs_what_was_changed_since(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        bootstrap="test_control: a_name_that_only_the_original_has\ninfrastructure_provisioning: single\n",
        test_control=task("echo mine"),
    )
    work.dsi("run")
    assert "mine" in work.read("reports/test0/test_output.log")
    assert work.read("infrastructure_provisioning.yml")


def test_a_wrong_configuration_touches_nothing_of_what_runs(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task("true"))
    work.dsi("provision")
    (tmp_path / "test_control.yml").write_text("run: [{id: a, type: ycbs, cmd: x}]\n")
    assert "ycbs" in work.dsi("run", exit_status=2).stderr
    assert not (tmp_path / "reports").exists()
    assert work.processes()
    work.dsi("teardown")  # though the configuration is wrong
    assert work.processes() == []


def test_an_id_that_leads_out_of_the_reports_is_refused(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, test_control="run: [{id: ../escaped, type: shell, cmd: x}]\n")
    assert "can't be the name of a folder" in work.dsi("validate", exit_status=2).stdout


def test_there_is_nothing_to_run_in_an_empty_folder(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path)
    assert "it has none of infrastructure_provisioning.yml" in work.dsi("run", exit_status=3).stderr
    assert not (tmp_path / "reports").exists()


def test_another_provider_ends_the_local_hosts_of_the_one_before(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(1))
    work.dsi("provision")
    static = "provider: static\nhosts: {workload_client: [{public_ip: localhost}]}\n"
    (tmp_path / "infrastructure_provisioning.yml").write_text(static)
    work.dsi("provision")
    assert work.processes() == []
    work.dsi("teardown")
    assert "localhost" in work.read("infrastructure_provisioning.out.yml")


def test_hosts_that_somebody_else_has_written_down_serve_as_they_are(tmp_path: Path) -> None:
    brought = "out: {workload_client: [{public_ip: localhost}]}\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(1), test_control=task("echo here"))
    (tmp_path / "infrastructure_provisioning.out.yml").write_text(brought)
    work.dsi("run")
    assert work.read("infrastructure_provisioning.out.yml") == brought
    assert work.read("reports/test0/test_output.log").startswith("here\n")


def test_terraform_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning="provider: terraform\n")
    assert "provider: terraform is not supported yet" in work.dsi("validate", exit_status=2).stdout


def test_upon_error_runs_when_a_node_does_not_come_up_and_the_error_has_its_last_words(tmp_path: Path) -> None:
    broken = STANDALONE.replace("engineConfig: {cacheSizeGB: 0.25}", "engineConfig: {configString: 'no=such'}")
    upon = "upon_error:\n  - on_mongod: {exec: echo upon, retrieve_files: [{source: data/logs, target: logs}]}\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(1), mongodb_setup=broken + upon)
    err = work.dsi("run", exit_status=3).stderr
    assert "mongod.0: upon" in err
    assert "single (127.0." in err
    assert "aborting after fassert" in err
    assert (tmp_path / "reports" / "upon_error" / "mongod.0" / "logs" / "mongod.log").exists()
    assert work.processes() == []


def test_reports_points_to_the_newest_run_also_where_a_hook_has_fetched_something_before_the_first(
    tmp_path: Path,
) -> None:
    fetching = "post_cluster_start:\n  - on_mongod: {retrieve_files: [{source: data/logs, target: logs}]}\n"
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE + fetching,
        test_control="run: [{id: quick, type: shell, cmd: 'true'}]\n",
    )
    work.dsi("provision")
    work.dsi("mongodb-setup")
    assert (tmp_path / "reports" / "post_cluster_start" / "mongod.0" / "logs" / "mongod.log").exists()
    work.dsi("test-control")
    assert (tmp_path / "reports" / "timeline.jsonl").exists()
    work.dsi("teardown")


def test_post_provisioning_is_passed_over_on_local_hosts_unless_it_is_asked_for(tmp_path: Path) -> None:
    hook = "post_provisioning:\n  - on_all_hosts: touch tuned\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0) + hook)
    assert "passed over on local hosts" in work.dsi("provision").stderr
    assert work.dsi("conn", "wc", "-c", "ls").stdout == ""
    (tmp_path / "infrastructure_provisioning.yml").write_text(hosts(0) + hook + "local_post_provisioning: true\n")
    work.dsi("provision")
    assert work.dsi("conn", "wc", "-c", "ls").stdout == "workload_client.0: tuned\n"
    work.dsi("teardown")


def test_the_original_exit_status_is_0_unless_every_test_failed(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task("false", "true"))
    (tmp_path / "overrides.yml").write_text("mongodb_setup: {between_tests: []}\ntest_control: {between_tests: []}\n")
    work.dsi("run", exit_status=1)
    work.dsi("run", "--original-exit-status", exit_status=0)


def test_the_example_restarts_its_cluster_under_load_and_loses_no_acknowledged_write(tmp_path: Path) -> None:
    """A copy of the example with an overrides.yml of one's own: another cmd, another port."""
    shutil.copytree(QUICKSTART, tmp_path, dirs_exist_ok=True)
    cmds = "[{cmd: python3 workload.py --seconds 1}, {cmd: python3 workload.py --seconds 5 --restart}]"
    (tmp_path / "overrides.yml").write_text(f"test_control: {{run: {cmds}, dsisocket: {{port: {free_port()}}}}}\n")
    work = WorkDirectory(tmp_path)
    err = work.dsi("run").stderr
    log = work.read("reports/restart_under_load/test_output.log")
    assert "; 0 of them are missing" in log
    assert "no write was acknowledged for" in log
    assert "restarts of the cluster" in err
    assert (tmp_path / "reports" / "restart_under_load" / "throughput.csv").exists()
    assert work.processes() == []


def test_a_stage_that_comes_too_early_names_the_one_that_is_missing(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(1), mongodb_setup=STANDALONE)
    assert "run `dsi provision` first" in work.dsi("mongodb-setup", exit_status=3).stderr


def test_how_the_tests_ended_is_shown_though_it_cannot_be_written(tmp_path: Path) -> None:
    mkdir = f"mkdir {tmp_path}/.test_control.out.yml.new"  # as good as a full disk
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task(mkdir))
    err = work.dsi("run", exit_status=3).stderr
    assert "passed" in err
    assert "test_control.out.yml can't be written: Is a directory" in err
    (end,) = work.events("task_end")
    assert "test_control.out.yml can't be written: Is a directory" in end["error"]


def test_reports_that_somebody_deletes_during_the_run_break_nothing(tmp_path: Path) -> None:
    rm = 'rm -r "$PWD"/../../../../reports-*'
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task(rm))
    err = work.dsi("run", exit_status=None).stderr
    assert "passed" in err
    assert "Traceback" not in err


def test_what_runtime_secret_holds_is_in_no_log_timeline_or_report(tmp_path: Path) -> None:
    secret = "s3cr3t-T0ken"
    hook = "pre_task:\n  - on_workload_client: 'test -n ${runtime_secret.api.token}; echo ${runtime_secret.api.token}; "
    work = WorkDirectory(
        tmp_path,
        runtime_secret=f"api: {{token: {secret}}}\n",
        infrastructure_provisioning=hosts(0),
        test_control=task("true", more=hook + "exit 3'\n"),
    )
    result = work.dsi("run", exit_status=3)
    assert secret not in result.stdout + result.stderr
    reports = [path for path in (tmp_path / "reports").resolve().rglob("*") if path.is_file()]
    assert reports
    assert [path for path in reports if secret in path.read_text()] == []
