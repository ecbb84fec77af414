"""`dsi watch`: what another dsi does."""

import os
import pty
import subprocess
from pathlib import Path

from tests.integration.running_test import running, two_hosts
from tests.integration.test_cli import free_port
from tests.integration.work_directory import DSI, LIMIT_S, WorkDirectory, wait_until


def test_it_tells_what_happens_in_plain_lines_until_the_run_is_over(tmp_path: Path) -> None:
    work = two_hosts(tmp_path, free_port())
    with running(work):
        watching = work.start("watch")
        work.dsi("send", '{"mark": "phase 2"}')
        assert watching.poll() is None
    out, err = watching.communicate(timeout=LIMIT_S)
    assert (watching.returncode, err) == (0, "")
    told = [line[9:] for line in out.splitlines()]
    assert [line for line in told if line in ("stage test_control", "test hold (1 of 1)", "mark phase 2")] == [
        "stage test_control",
        "test hold (1 of 1)",
        "mark phase 2",
    ]
    assert any(line.startswith("test hold passed after") for line in told)
    assert "\x1b" not in out


def test_its_table_has_the_notes_of_tests_that_passed_too(tmp_path: Path) -> None:
    work = two_hosts(tmp_path, free_port())
    control = work.read("test_control.yml").replace("cmd: '", "cmd: 'sleep 300 & ")
    (tmp_path / "test_control.yml").write_text(control)
    told = tmp_path / "told"
    with running(work), told.open("w") as out:
        wide = {**os.environ, "COLUMNS": "200"}
        watching = subprocess.Popen([DSI, "watch"], cwd=tmp_path, stdout=out, env=wide)
        wait_until(lambda: "test hold (1 of 1)" in told.read_text(), "it is looked on")
    assert watching.wait(timeout=LIMIT_S) == 0
    assert "processes were left running when cmd had ended, and were ended: sleep 300" in told.read_text()


def test_it_says_that_dsi_was_killed_and_in_which_test(tmp_path: Path) -> None:
    work = two_hosts(tmp_path, free_port())
    told = tmp_path / "told"
    process = work.start("run")
    wait_until(lambda: work.events("cmd_begin") or process.poll() is not None, "cmd has begun")
    with told.open("w") as out:
        watching = subprocess.Popen([DSI, "watch"], cwd=tmp_path, stdout=out)
    wait_until(lambda: "test hold (1 of 1)" in told.read_text(), "it is looked on")
    process.kill()
    process.communicate(timeout=LIMIT_S)
    assert watching.wait(timeout=LIMIT_S) == 0
    assert "warning: dsi was killed in test hold" in told.read_text()
    work.dsi("teardown")


def test_on_a_terminal_it_shows_the_test_its_hosts_and_the_last_lines_of_its_output(tmp_path: Path) -> None:
    work = two_hosts(tmp_path, free_port())
    control = work.read("test_control.yml").replace("cmd: '", 'cmd: \'printf "%s\\n" one $(echo two)-lines; ')
    (tmp_path / "test_control.yml").write_text(control)
    with running(work):
        screen, terminal = pty.openpty()
        watching = subprocess.Popen([DSI, "watch"], cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = ""

        def shows() -> bool:
            nonlocal shown
            shown += os.read(screen, 65536).decode(errors="replace")
            return all(text in shown for text in ("test hold (1 of 1)", "3 of 3 hosts up", "│ two-lines"))

        wait_until(shows, "the display is there")
        watching.terminate()
        watching.wait(timeout=LIMIT_S)
        os.close(screen)


def test_where_nothing_runs_it_says_where_the_last_run_is(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path)
    said = work.dsi("watch", exit_status=3)
    assert "no dsi is at work in" in said.stderr
    assert "reports" in said.stderr
