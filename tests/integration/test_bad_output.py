"""Workloads that write what nobody expects, and disks that have no room for it: real shells, real files."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.test_background import peak_bytes
from tests.integration.test_runner import Bed, plan
from tests.integration.work_directory import WorkDirectory, hosts


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path)
    yield bed
    await bed.context.inventory.close()
    bed.context.timeline.close()


async def test_a_flood_is_not_held_in_memory_and_only_its_beginning_and_end_are_kept(bed: Bed) -> None:
    size_bytes, limit_bytes = 400_000_000, 1_000_000
    cmd = f"echo begin; head -c {size_bytes} /dev/zero; echo; echo '[OVERALL] Throughput 1'"
    before = peak_bytes()
    outcome = await bed.run(plan("one", cmd=cmd), max_log_bytes=limit_bytes)
    assert peak_bytes() - before < size_bytes / 4
    (test,) = outcome.tests
    log = (bed.reports / "one" / "test_output.log").read_bytes()
    assert log.startswith(b"begin\n\0\0")
    assert log.endswith(b"\n[OVERALL] Throughput 1\nexit_status: 0 'success'\n")
    assert limit_bytes / 2 < len(log) < limit_bytes * 1.1
    assert test.status == "passed"
    assert "bytes of the output are left out: of more than 1000000 (test_control.max_log_bytes)" in test.notes[0]
    assert sorted(path.name for path in (bed.reports / "one").iterdir()) == ["test_output.log"]


async def test_output_in_no_known_encoding_is_kept_byte_by_byte(bed: Bed) -> None:
    every = bytes(range(256)) * 300
    (bed.client / "bytes").write_bytes(every)
    outcome = await bed.run(plan("one", cmd="cat bytes; exit 3", background_tasks={"a": "cat bytes; exit 3"}))
    assert (bed.reports / "one" / "test_output.log").read_bytes() == every + (
        b"\nexit_status: 3 'failed; its last line has no end'\n"
    )
    assert outcome.tests[0].reason == "cmd: exit status 3"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "dsi", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("a mount needs root; ./run test in CI is root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


FILLS = """\
run:
  - id: fills
    type: shell
    cmd: cd DISK; until [ -e begun ]; do sleep 0.02; done; while head -c 10000 /dev/zero; do sleep 0.01; done
    background_tasks: {watch: "cd DISK; touch begun; sleep 12345 & sleep 12345"}
  - {id: other, type: shell, cmd: echo other}
post_task: [{on_workload_client: touch DISK/post_task}]
"""


def test_a_disk_that_fills_up_in_mid_test_ends_it_and_says_so_and_leaves_nothing_behind(
    small_disk: Path,
) -> None:
    work = WorkDirectory(
        small_disk,
        infrastructure_provisioning="provider: static\nhosts: {workload_client: [{public_ip: localhost}]}\n",
        test_control=FILLS.replace("DISK", str(small_disk)),
    )
    work.dsi("provision")
    shown = work.dsi("test-control", exit_status=3).stderr
    assert "test_output.log can't be written: No space left on device; what came before is kept" in " ".join(
        shown.split()
    )
    assert "Traceback" not in shown
    assert [process for process in work.processes() if "12345" in process or "/dev/zero" in process] == []
    assert (small_disk / "post_task").exists()
    log = small_disk / "reports" / "fills" / "test_output.log"
    assert log.stat().st_size > 10_000
    log.unlink()
    (small_disk / "test_control.yml").write_text("run: [{id: other, type: shell, cmd: echo other}]")
    work.dsi("test-control")  # nothing is in its way
    work.dsi("teardown")


def test_what_came_of_a_task_is_written_once_more_when_teardown_has_made_room_on_a_full_disk(small_disk: Path) -> None:
    fill = "until ! head -c 4k /dev/zero >> fill; do :; done"
    run = [{"id": "good", "type": "shell", "cmd": "true"}]
    task = json.dumps({"run": run, "post_task": [{"on_workload_client": fill}]})
    work = WorkDirectory(small_disk, infrastructure_provisioning=hosts(0), test_control=task)
    work.dsi("run")
    assert "exit_status: 0" in work.read("test_control.out.yml")
    assert "dsi was killed" not in work.read("reports/junit.xml")
    assert not list(small_disk.rglob("*.new"))
