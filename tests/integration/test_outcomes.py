"""Each way in which a test can end, made for real: real shells, and a restart that really fails (of no cluster)."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_runner import Bed, plan, wait_for

from dsi.client import AsyncDsiSocket
from dsi.commands import Context, Scope, parse
from dsi.config.models import Dsisocket, MongodbSetup, Test
from dsi.errors import ReportError
from dsi.model import Result
from dsi.runner import HookCommand, RunningTest, TaskOutcome
from dsi.runner.during_test import run_during_test
from dsi.runner.findings import Findings
from dsi.stages.dsisocket import SocketOfATest
from dsi.state import State
from dsi.systems.mongodb import Deployment

FAILS = {"restart_mongodb": {"nodes": ["gone"]}}
"""The topology that commands are checked against has it, the one that they run on doesn't."""

WORKS: dict[str, Any] = {"restart_mongodb": {}}


def at(second: int, raw: Any) -> tuple[int, HookCommand]:
    return second, HookCommand(f"during_test.{second}", raw, parse(raw, Scope(ids=frozenset({"gone"}))))


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path)
    async with Deployment(
        MongodbSetup(), lambda _: bed.context.inventory.workload_client, state=State(tmp_path)
    ) as none:
        bed.context = replace(bed.context, clusters=none)
        yield bed
    await bed.context.inventory.close()
    bed.context.timeline.close()


async def test_a_restart_of_during_test_that_fails_makes_the_test_invalid_whatever_cmd_ends_with(bed: Bed) -> None:
    def over(number: int) -> str:
        """Give a cmd that waits until so many commands of during_test are over."""
        count = "grep -c during_test_command_end ../reports/timeline.jsonl"
        return f"until [ $({count}) -ge {number} ]; do sleep 0.01; done"

    outcome = await bed.run(
        plan("good", cmd=over(1), during_test=[at(0, FAILS)]),
        plan("bad", cmd=f"{over(2)}; exit 7", during_test=[at(0, FAILS)]),
        plan("works", cmd=over(3), during_test=[at(0, WORKS)]),
    )
    good, bad, works = outcome.tests
    assert (good.status, bad.status, works.status) == ("invalid", "invalid", "passed")
    assert good.reason.startswith("during_test (during_test.0): ")
    assert "gone" in good.reason
    assert (bad.exit_status, bad.notes) == (7, ("cmd: exit status 7",))
    assert outcome.exit_status() == 1


async def test_a_restart_that_was_not_yet_due_makes_a_test_invalid_that_had_passed_and_no_other(bed: Bed) -> None:
    outcome = await bed.run(
        plan("short", during_test=[at(1000, WORKS)]),
        plan("broken", cmd="exit 7", during_test=[at(1000, WORKS)]),
        plan("shell", during_test=[(1000, bed.said("never")[0])]),
        plan("killed", cmd="kill -SEGV $$"),
    )
    short, broken, shell, killed = outcome.tests
    assert short.status == "invalid"
    assert (
        short.reason == "during_test (during_test.1000): cmd had ended when it was due, at 1000 s, and it was not run"
    )
    assert (broken.status, broken.reason) == ("failed (workload)", "cmd: exit status 7")
    assert list(broken.notes) == [short.reason]
    assert (shell.status, shell.reason) == ("passed", "")
    assert killed.reason == "cmd: exit status 139, as of one that SIGSEGV has ended"
    assert "was not run" in shell.notes[0]


async def test_a_restart_that_was_due_while_dsi_was_away_makes_the_test_invalid(bed: Bed) -> None:
    findings = Findings()

    async def cmd() -> Result:
        return await bed.context.inventory.workload_client.run("true")

    await run_during_test(cmd(), [at(3, WORKS)], bed.context, findings, since_s=5.5)
    reason = "during_test (during_test.3): was due at 3 s, without dsi, and was not run"
    assert findings.verdict() == ("invalid", reason, ())


def socket_of(bed: Bed) -> SocketOfATest:
    address = f"127.{random.randint(16, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    deployment = bed.context.clusters
    assert isinstance(deployment, Deployment)
    return SocketOfATest(
        settings=Dsisocket(enabled=True, bind_addr=address),
        scope=Scope(ids=frozenset({"gone"})),
        state=State(bed.folder),
        deployment=deployment,
    )


async def test_a_restart_over_the_dsisocket_that_fails_makes_the_test_invalid_and_a_shell_command_does_not(
    bed: Bed,
) -> None:
    def asks(*lines: Any) -> str:
        """Give a cmd that asks, reads each reply, and cares for none."""
        asked = " ".join(f"'{json.dumps(line)}'" for line in lines)
        return f'exec 3<>/dev/tcp/${{DSI_SOCKET/://}}; for line in {asked}; do echo "$line" >&3; read -r <&3; done'

    socket = socket_of(bed)
    shell = {"on_workload_client": "exit 9"}
    outcome = await bed.run(
        plan("fails", cmd=asks(FAILS, FAILS, WORKS)),
        plan("blames", cmd=f"{asks(FAILS)}; exit 7"),
        plan("refused", cmd=asks({"restart_mongodb": {"nodes": ["typo"]}}, shell)),
        plan("works", cmd=asks(WORKS, shell, {"nothing": 1})),
        preparations=[socket.prepare],
        companions=[socket.companion],
        checks=[socket.check],
    )
    fails, blames, refused, works = outcome.tests
    assert [test.status for test in outcome.tests] == ["invalid", "invalid", "invalid", "passed"]
    assert fails.reason.startswith('{"restart_mongodb": {"nodes": ["gone"]}}, asked for over the dsisocket: ')
    assert fails.reason.endswith("(2 times)")
    assert (blames.exit_status, blames.notes) == (7, ("cmd: exit status 7",))
    assert '"typo"' in refused.reason
    assert list(works.notes) == []


async def test_an_interrupt_is_no_fault_of_what_was_still_to_come(bed: Bed) -> None:
    one = plan("one", cmd="touch begun; sleep 1000", during_test=[at(1000, WORKS)])
    task = asyncio.create_task(bed.run(one, plan("two"), post_task=bed.said("end")))
    await wait_for(bed.client / "begun")
    task.cancel()
    outcome = await task
    first, second = outcome.tests
    assert (first.status, first.reason) == ("cancelled", "interrupted by the user before cmd had ended")
    assert (second.status, second.reason) == ("not run", "the task was interrupted before")


async def test_a_restart_that_fails_since_the_test_was_interrupted_is_a_note(bed: Bed) -> None:
    shell = parse({"on_workload_client": "touch begun; until [ -e go-on ]; do sleep 0.01; done; exit 3"}, Scope())
    stands_for_a_restart = HookCommand("during_test.0", WORKS, shell)
    findings = Findings()

    async def cmd() -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(run_during_test(cmd(), [(0, stands_for_a_restart)], bed.context, findings))
    await wait_for(bed.client / "begun")
    task.cancel()
    await asyncio.sleep(0)  # cmd is cancelled now
    (bed.client / "go-on").touch()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert findings.status == "cancelled"
    assert "exit status 3" in findings.verdict()[2][0]


class Record:
    """What was kept, as it would be found if dsi were killed then."""

    def __init__(self) -> None:
        self.all: list[tuple[list[str], int]] = []

    def __call__(self, outcome: TaskOutcome) -> None:
        self.all.append(([f"{test.id} {test.status}" for test in outcome.tests], outcome.exit_status()))


async def test_before_and_after_each_test_what_is_true_if_dsi_is_killed_now_is_kept(bed: Bed) -> None:
    record = Record()
    await bed.run(plan("one"), plan("two", cmd="exit 7"), record=record)
    error = 3
    assert record.all == [
        (["one not run", "two not run"], error),
        (["one infrastructure error", "two not run"], error),
        (["one passed", "two not run"], error),
        (["one passed", "two infrastructure error"], error),
        (["one passed", "two failed (workload)"], error),
    ]


async def test_what_came_of_a_test_is_kept_before_the_timeline_has_its_end(bed: Bed) -> None:
    ends: list[tuple[str, int]] = []

    def record(outcome: TaskOutcome) -> None:
        ended = [event for event in bed.events() if event["event"] == "test_end"]
        ends.append((outcome.tests[0].status, len(ended)))

    await bed.run(plan("one"), record=record)
    assert ends == [("not run", 0), ("infrastructure error", 0), ("passed", 0)]


async def test_what_a_second_interrupt_has_cut_is_kept_as_cancelled(bed: Bed) -> None:
    record = Record()
    post = bed.hook({"on_workload_client": "touch post; sleep 1000"})
    tests = plan("one"), plan("two", cmd="touch begun; sleep 1000", post_test=post), plan("three")
    task = asyncio.create_task(bed.run(*tests, record=record))
    for name in ("begun", "post"):
        await wait_for(bed.client / name)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert record.all[-1] == (["one passed", "two cancelled", "three not run"], 130)
    assert [event["status"] for event in bed.events() if event["event"] == "test_end"] == ["passed", "cancelled"]


async def test_a_bug_of_ours_is_no_test_that_passed(bed: Bed) -> None:
    async def check(_context: Context, _test: Test) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await bed.run(plan("one"), checks=[check])
    (end,) = [event for event in bed.events() if event["event"] == "test_end"]
    assert (end["status"], end["reason"]) == ("infrastructure error", "a bug in dsi: KeyError('ours')")


async def test_an_outcome_that_cannot_be_kept_stops_nothing(bed: Bed) -> None:
    def full(_outcome: TaskOutcome) -> None:
        raise ReportError("the disk is full")

    assert (await bed.run(plan("one"), record=full)).exit_status() == 0


async def test_the_test_end_of_the_timeline_has_status_reason_and_notes(bed: Bed) -> None:
    await bed.run(plan("one", cmd="exit 7", post_test=bed.hook({"on_workload_client": "exit 8"})))
    (end,) = [event for event in bed.events() if event["event"] == "test_end"]
    assert (end["status"], end["reason"], end["exit_status"]) == ("failed (workload)", "cmd: exit status 7", 7)
    assert "exit status 8" in end["notes"][0]


async def test_a_test_that_is_taken_over_is_as_old_as_its_cmd(bed: Bed) -> None:
    cmd_s = bed.context.clock.wall_s() - 1000
    running = RunningTest(test="one", number=1, handle=None, mark="mark", start_s=cmd_s, cmd_s=cmd_s)
    socket = replace(socket_of(bed), taken_over=running)
    ages = []
    for test in ("one", "next"):
        async with (
            socket.companion(bed.context, Test(id=test, type="shell", cmd="true")),
            AsyncDsiSocket(f"{socket.settings.bind_addr}:{socket.settings.port}") as dsi,
        ):
            ages.append((await dsi.describe()).description["age_s"])
    assert ages[1] < 1000 <= ages[0]
