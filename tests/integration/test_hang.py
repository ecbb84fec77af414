"""A `cmd` that hangs, on this machine itself: what is seen of it before it is ended, and that nothing of it is left."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.test_background import is_gone
from tests.integration.test_cli import free_port
from tests.integration.test_runner import Bed, plan
from tests.integration.work_directory import STANDALONE, WorkDirectory, hosts

from dsi.config.models import MongodbSetup, OwnTimeouts
from dsi.hosts import Host
from dsi.stages.hang import Hangs
from dsi.state import State
from dsi.systems.mongodb import Deployment, embedded_mongod


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path)
    yield bed
    await bed.context.inventory.close()
    bed.context.timeline.close()


def hangs(bed: Bed) -> Hangs:
    def no_host(_node: object) -> Host:
        raise AssertionError("there are no nodes")

    return Hangs(Deployment(MongodbSetup(), no_host, state=State(bed.folder)))


async def test_before_it_is_ended_its_processes_stacks_and_last_output_are_fetched(bed: Bed) -> None:
    python = f"{sys.executable} -c 'import time; print(42, flush=True); time.sleep(1000)  # stuck'"
    cmd = f"echo $$ >pid; (echo begun; {python} & echo $! >child; wait; true)"
    outcome = await bed.run(plan("hung", cmd=cmd), plan("next"), no_output_s=1, diagnose=hangs(bed).diagnose)
    hung, following = outcome.tests
    assert (hung.status, following.status) == ("timed out", "passed")
    assert hung.reason == (
        "cmd wrote no output for 1 s (timeouts.no_output_ms), and was ended; what it was doing is in reports/hung/hang"
    )
    folder = bed.reports / "hung" / "hang"
    assert sorted(path.name for path in folder.iterdir()) == ["output.txt", "processes.txt", "stacks.txt"]
    assert (folder / "output.txt").read_text() == "begun\n42\n"
    processes = (folder / "processes.txt").read_text()
    top, child = ((bed.client / name).read_text().strip() for name in ("pid", "child"))
    lines = {line.split()[0]: line for line in processes.splitlines()}
    assert "bash" in lines[top]
    assert lines[child].index("time.sleep(1000)") > lines[top].index("bash")
    stacks = (folder / "stacks.txt").read_text()
    assert stacks.startswith(f"=== {child} ")
    assert "py-spy" in stacks or "Thread" in stacks
    assert is_gone(bed)
    assert is_gone(bed, "child")
    (end,) = (event for event in bed.events() if event["event"] == "hang_diagnosis_end")
    assert end["missing"] == []


async def test_a_test_has_its_own_limits_and_one_that_goes_on_writing_is_ended_too(bed: Bed) -> None:
    endless = "echo $$ >pid; while :; do echo x; sleep 0.02; done"
    own = OwnTimeouts(max_time_ms=600)
    outcome = await bed.run(plan("long", cmd=endless, timeouts=own), plan("other", cmd="sleep 0.7"), no_output_s=0.5)
    long, other = outcome.tests
    assert (long.status, other.status) == ("timed out", "timed out")
    assert "took longer than 0.6 s" in long.reason
    assert "wrote no output for 0.5 s" in other.reason
    assert is_gone(bed)


async def test_output_without_newlines_is_output(bed: Bed) -> None:
    cmd = "for _ in 1 2 3 4 5 6 7 8; do printf .; sleep 0.2; done"
    outcome = await bed.run(plan("dots", cmd=cmd), no_output_s=1)
    assert outcome.tests[0].status == "passed"
    assert bed.log("dots") == "........\nexit_status: 0 'success'\n"


async def test_a_cmd_that_forks_and_exits_has_ended_and_what_it_left_is_ended_with_the_test(bed: Bed) -> None:
    stays = "bash -c 'trap : TERM; while :; do sleep 0.05; done'"
    cmd = f"(setsid sleep 1000 & echo $! >child); {stays} &"
    outcome = await bed.run(plan("forks", cmd=cmd, post_test=bed.said("post")), plan("next"))
    forks, following = outcome.tests
    assert (forks.status, following.status) == ("passed", "passed")
    (note,) = forks.notes
    assert note.startswith("processes were left running when cmd had ended, and were ended: ")
    assert "sleep 1000" in note
    assert "trap : TERM" in note
    assert is_gone(bed, "child")
    assert list(following.notes) == []


async def test_what_can_not_be_fetched_is_said_and_keeps_nothing_else_back(bed: Bed) -> None:
    (bed.reports / "hung" / "hang" / ".output.txt.new").mkdir(parents=True)  # as good as a full disk
    outcome = await bed.run(plan("hung", cmd="echo x; sleep 1000"), no_output_s=0.5, diagnose=hangs(bed).diagnose)
    assert outcome.tests[0].status == "timed out"
    missing = (bed.reports / "hung" / "hang" / "missing.txt").read_text()
    assert "output.txt can't be written: Is a directory" in missing
    assert "sleep 1000" in (bed.reports / "hung" / "hang" / "processes.txt").read_text()


STUCK = """\
python3 - <<'END'
import os, pymongo
things = pymongo.MongoClient(os.environ["MONGODB_URL"], appname="stuck").test.things
things.insert_one({})
list(things.find({"$where": "sleep(100000)"}))
END
"""
STOPPED = """\
dsi-send '{"on_mongod": {"exec": "pkill -STOP mongod"}}'
exec sleep 1000
"""


@pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")
def test_what_the_servers_were_doing_is_there_and_one_that_does_not_answer_is_named(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=json.dumps(
            {
                "run": [
                    {"id": "stuck", "type": "shell", "cmd": STUCK, "skip_validate": True},
                    {
                        "id": "stopped",
                        "type": "shell",
                        "cmd": STOPPED,
                        "skip_validate": True,
                        "post_test": [{"on_mongod": "pkill -CONT mongod"}],
                    },
                ],
                "timeouts": {"no_output_ms": 3000},
                "dsisocket": {"enabled": True, "port": free_port()},
            }
        ),
    )
    work.dsi("run", exit_status=1)
    assert [end["status"] for end in work.events("test_end")] == ["timed out", "timed out"]
    assert '"appName": "stuck"' in work.read("reports/stuck/hang/single.current_op.json")
    assert "Connection accepted" in work.read("reports/stuck/hang/single.log")
    folder = tmp_path / "reports" / "stopped" / "hang"
    assert sorted(path.name for path in folder.iterdir()) == [
        "missing.txt",
        "output.txt",
        "processes.txt",
        "single.log",
    ]
    assert "single.current_op.json: single" in (folder / "missing.txt").read_text()
