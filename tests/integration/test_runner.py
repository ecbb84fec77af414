"""A task on this machine itself: real shells, real files, no cluster."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dsi.commands import Context, Scope, parse
from dsi.config.models import Test
from dsi.errors import ClusterError, DsiError
from dsi.hosts import this_machine
from dsi.inventory import Inventory
from dsi.model import HostEntry, Result
from dsi.report.plain import PlainProgress
from dsi.runner import HookCommand, Status, Surroundings, TaskOutcome, TaskPlan, TaskRunner, TestPlan
from dsi.runner.during_test import run_during_test
from dsi.runner.findings import Findings
from dsi.timeline import Timeline


class Bed:
    """A workload client whose home is `client`, and a place for reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = folder / "client"
        self.client.mkdir()
        self.reports = folder / "reports"
        self.reports.mkdir()
        entry = HostEntry(role="workload_client", index=0, public_ip="127.0.0.1", private_ip="127.0.0.1")
        hosts = {entry: this_machine(entry.name, self.client)}
        self.context = Context(
            work_directory=folder,
            inventory=Inventory(hosts, this_machine("localhost", folder)),
            clusters=None,
            timeline=Timeline(self.reports / "timeline.jsonl"),
            reports=self.reports,
        )

    def hook(self, *commands: Any) -> list[HookCommand]:
        return [HookCommand(f"hook.{index}", raw, parse(raw, Scope())) for index, raw in enumerate(commands)]

    def said(self, *words: str) -> list[HookCommand]:
        """A hook that writes words to the file `said`, so that the order shows."""
        return self.hook(*({"on_workload_client": f"echo {word} >> said"} for word in words))

    @property
    def words(self) -> list[str]:
        path = self.client / "said"
        return path.read_text().split() if path.exists() else []

    async def run(self, *tests: TestPlan, **more: Any) -> TaskOutcome:
        surroundings = {field.name: more.pop(field.name) for field in fields(Surroundings) if field.name in more}
        plan = TaskPlan(tests=tests, **more)
        return await TaskRunner(plan, self.context, PlainProgress(), Surroundings(**surroundings)).run()

    def log(self, test_id: str) -> str:
        return (self.reports / test_id / "test_output.log").read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.reports / "timeline.jsonl").read_text().splitlines()]

    def has(self, event: str) -> bool:
        """Give whether this has happened."""
        return event in [line["event"] for line in self.events()]


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path)
    yield bed
    await bed.context.inventory.close()
    bed.context.timeline.close()


def plan(test_id: str, cmd: str = "echo cmd >> said", **more: Any) -> TestPlan:
    hooks = {key: more.pop(key) for key in ("pre_test", "during_test", "post_test") if key in more}
    return TestPlan(test=Test(id=test_id, type="shell", cmd=cmd, **more), **hooks)


async def test_hooks_and_tests_run_in_the_specified_order(bed: Bed) -> None:
    outcome = await bed.run(
        plan("one", pre_test=bed.said("pre1"), post_test=bed.said("post1")),
        plan("two", pre_test=bed.said("pre2"), post_test=bed.said("post2")),
        pre_task=bed.said("pre_task"),
        between_tests=bed.said("between"),
        post_task=bed.said("post_task"),
    )
    assert bed.words == ["pre_task", "pre1", "cmd", "post1", "between", "pre2", "cmd", "post2", "post_task"]
    assert [test.status for test in outcome.tests] == ["passed", "passed"]
    assert outcome.exit_status() == 0


async def test_a_failed_cmd_fails_its_test_alone(bed: Bed) -> None:
    outcome = await bed.run(
        plan("bad", cmd="echo oh >&2; exit 7", post_test=bed.said("post")), plan("good"), post_task=bed.said("end")
    )
    assert [(test.status, test.exit_status) for test in outcome.tests] == [("failed (workload)", 7), ("passed", 0)]
    assert bed.words == ["post", "cmd", "end"]
    assert outcome.exit_status() == 1
    assert outcome.exit_status(original=True) == 0
    assert bed.log("bad").splitlines() == ["oh", "exit_status: 7 'failed'"]


async def test_a_failing_pre_test_is_an_error_and_ends_the_task_but_not_post_task(bed: Bed) -> None:
    outcome = await bed.run(
        plan("one", pre_test=bed.hook({"on_workload_client": "echo why >&2; exit 3"}), post_test=bed.said("post")),
        plan("two"),
        post_task=bed.said("end"),
    )
    assert [test.status for test in outcome.tests] == ["infrastructure error", "not run"]
    assert "pre_test (hook.0): workload_client.0: exit status 3: why" in outcome.error
    assert bed.words == ["post", "end"]
    assert outcome.exit_status() == 3


async def test_a_failing_pre_task_runs_no_test(bed: Bed) -> None:
    outcome = await bed.run(plan("one"), pre_task=bed.hook({"on_workload_client": "false"}), post_task=bed.said("end"))
    assert [test.status for test in outcome.tests] == ["not run"]
    assert bed.words == ["end"]
    assert outcome.exit_status() == 3


async def test_every_command_of_post_test_runs_and_one_that_fails_fails_the_test(bed: Bed) -> None:
    hook = [*bed.hook({"on_workload_client": "exit 5"}), *bed.said("after")]
    outcome = await bed.run(plan("one", post_test=hook), plan("two"))
    assert [test.status for test in outcome.tests] == ["failed (workload)", "passed"]
    assert "exit status 5" in outcome.tests[0].reason
    assert bed.words == ["cmd", "after", "cmd"]


async def test_what_is_done_afterwards_comes_after_post_test_whatever_came_of_the_test(bed: Bed) -> None:
    async def note(context: Context, test: Test, status: Status) -> None:
        await context.inventory.workload_client.run(f"echo '{test.id}:{status.replace(' ', '-')}' >> said")
        if test.id in ("bad", "good"):
            raise DsiError(f"{test.id} has no result")

    outcome = await bed.run(
        plan("bad", cmd="exit 7", post_test=bed.said("post")),
        plan("good"),
        plan("broken", pre_test=bed.hook({"on_workload_client": "exit 3"})),
        afterwards=[note],
    )
    assert bed.words == ["post", "bad:failed-(workload)", "cmd", "good:passed", "broken:infrastructure-error"]
    bad, good, _ = outcome.tests
    assert (bad.reason, list(bad.notes)) == ("cmd: exit status 7", ["bad has no result"])
    assert (good.status, good.reason) == ("failed (workload)", "good has no result")


@pytest.mark.parametrize(("interrupts", "words"), [(1, ["cmd", "all", "end"]), (2, ["cmd"])])
async def test_what_is_done_afterwards_outlasts_the_first_interrupt_and_not_the_second(
    bed: Bed, interrupts: int, words: list[str]
) -> None:
    async def fetch(context: Context, _test: Test, _status: Status) -> None:
        fetched = "touch begun; until [ -e go-on ]; do sleep 0.01; done; echo all >> said"
        await context.inventory.workload_client.run(fetched)

    task = asyncio.create_task(bed.run(plan("one"), plan("two"), afterwards=[fetch], post_task=bed.said("end")))
    await wait_for(bed.client / "begun")
    for _ in range(interrupts):
        task.cancel()
        await asyncio.sleep(0)
    if interrupts == 1:  # else it is being ended, and might be quicker
        (bed.client / "go-on").touch()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    assert bed.words == words
    if isinstance(ended, TaskOutcome):
        assert (ended.interrupted, [test.status for test in ended.tests]) == (True, ["passed", "not run"])
    else:
        assert isinstance(ended, asyncio.CancelledError)


async def test_a_failing_post_task_is_reported_and_the_rest_still_runs(bed: Bed) -> None:
    outcome = await bed.run(plan("one"), post_task=[*bed.hook({"on_workload_client": "exit 6"}), *bed.said("rest")])
    assert bed.words == ["cmd", "rest"]
    assert "exit status 6" in outcome.notes[0]


async def test_a_silent_cmd_is_ended_and_its_test_failed(bed: Bed) -> None:
    outcome = await bed.run(plan("hung", cmd="echo begun; sleep 1000"), plan("next"), no_output_s=0.5)
    assert [test.status for test in outcome.tests] == ["timed out", "passed"]
    assert "wrote no output for 0.5 s" in outcome.tests[0].reason
    assert bed.log("hung").startswith("begun\nexit_status: ")


async def test_the_timeline_tells_how_each_cmd_ended(bed: Bed) -> None:
    tests = [
        plan("fails", cmd="exit 4"),
        plan("hangs", cmd="sleep 1000", timeouts={"max_time_ms": 100}),
        plan("called-off", cmd="touch begun; sleep 1000"),
    ]
    task = asyncio.create_task(bed.run(*tests))
    await wait_for(bed.client / "begun")
    task.cancel()
    await task
    ends = [event for event in bed.events() if event["event"] == "cmd_end"]
    assert [(end["test"], end["how"]) for end in ends] == [
        ("fails", "exited"),
        ("hangs", "hung"),
        ("called-off", "interrupted"),
    ]
    assert (ends[0]["exit_status"], ends[2]["exit_status"]) == (4, None)


async def test_the_output_is_in_the_log_while_cmd_runs_and_ends_with_the_exit_status(bed: Bed) -> None:
    cmd = f'echo begun; until grep -q begun "{bed.reports}/one/test_output.log"; do sleep 0.01; done; printf end'
    outcome = await bed.run(plan("one", cmd=cmd))
    assert outcome.exit_status() == 0
    assert bed.log("one") == "begun\nend\nexit_status: 0 'success'\n"


async def test_workload_config_is_written_before_cmd_and_kept_in_the_reports(bed: Bed) -> None:
    tests = [
        plan("text", cmd="cat conf/w", config_filename="conf/w", workload_config="a=1\n"),
        plan("mapping", cmd="cat w.yml", config_filename="w.yml", workload_config={"b": [1, None]}),
    ]
    outcome = await bed.run(*tests)
    assert outcome.exit_status() == 0
    assert bed.log("text").startswith("a=1\n")
    assert (bed.reports / "text" / "conf" / "w").read_text() == "a=1\n"
    assert (bed.reports / "mapping" / "w.yml").read_text() in bed.log("mapping")


async def test_output_files_are_fetched_and_a_missing_one_is_only_a_warning(bed: Bed) -> None:
    outcome = await bed.run(plan("one", cmd="mkdir -p d; echo 5 > d/out.csv", output_files=["d/out.csv", "none.txt"]))
    assert outcome.exit_status() == 0
    assert (bed.reports / "one" / "out.csv").read_text() == "5\n"
    assert any(event["event"] == "warning" and "none.txt" in event["message"] for event in bed.events())


async def test_cmd_has_its_environment(bed: Bed) -> None:
    async def preparation(_context: Context, _test: Test) -> Mapping[str, str]:
        return {"DSI_SOCKET": "127.0.0.1:1"}

    await bed.run(plan("one", cmd="echo $DSI_TEST_ID $DSI_SOCKET $PYTHONUNBUFFERED"), preparations=[preparation])
    assert bed.log("one").startswith("one 127.0.0.1:1 1\n")


async def test_a_companion_that_cannot_begin_stops_the_task_before_cmd(bed: Bed) -> None:
    @asynccontextmanager
    async def companion(_context: Context, _test: Test) -> AsyncIterator[None]:
        raise DsiError("port 27007 is taken")
        yield

    outcome = await bed.run(plan("one"), plan("two"), companions=[companion])
    assert [test.status for test in outcome.tests] == ["infrastructure error", "not run"]
    assert "port 27007 is taken" in outcome.error
    assert bed.words == []


async def test_a_check_fails_the_test(bed: Bed) -> None:
    async def check(_context: Context, _test: Test) -> None:
        raise ClusterError("rs0.primary", "differs")

    outcome = await bed.run(plan("one"), checks=[check])
    assert (outcome.tests[0].status, outcome.tests[0].reason) == ("failed (validation)", "rs0.primary: differs")


async def test_during_test_commands_run_when_due_also_two_at_once_and_after_one_that_failed(bed: Bed) -> None:
    first, second, third = bed.said("first", "second", "third")
    (broken,) = bed.hook({"on_workload_client": "exit 9"})
    cmd = "until grep -q third said; do sleep 0.01; done 2>/dev/null"
    outcome = await bed.run(plan("one", cmd=cmd, during_test=[(1, third), (0, broken), (0, first), (0, second)]))
    assert bed.words == ["first", "second", "third"]
    assert outcome.tests[0].status == "passed"
    assert "exit status 9" in outcome.tests[0].notes[0]


async def test_a_during_test_command_that_is_not_yet_due_is_not_run(bed: Bed) -> None:
    outcome = await bed.run(plan("one", during_test=[(1000, bed.said("never")[0])]))
    assert bed.words == ["cmd"]
    said = "during_test (hook.0): cmd had ended when it was due, at 1000 s, and it was not run"
    assert (outcome.tests[0].status, list(outcome.tests[0].notes)) == ("passed", [said])
    (event,) = (event for event in bed.events() if event["event"] == "during_test_not_run")
    assert (event["path"], event["at_s"]) == ("hook.0", 1000)


async def test_a_during_test_command_that_is_due_while_another_runs_waits_for_it_and_how_late_it_was_is_told(
    bed: Bed,
) -> None:
    (slow,) = bed.hook({"on_workload_client": "until [ -e go ]; do sleep 0.01; done; echo slow >>said"})
    second, third = bed.said("second", "third")
    cmd = "sleep 1.2; touch go; until grep -q third said; do sleep 0.01; done 2>/dev/null"
    await bed.run(plan("one", cmd=cmd, during_test=[(0, slow), (0, second), (1, third)]))
    assert bed.words == ["slow", "second", "third"]
    late = [event["late_s"] for event in bed.events() if event["event"] == "during_test_command_begin"]
    assert late[1] >= 1.2
    assert late[2] > 0


async def test_a_during_test_command_that_waits_for_another_when_cmd_ends_is_not_run_and_told(bed: Bed) -> None:
    (slow,) = bed.hook({"on_workload_client": "echo begun >>said; sleep 0.5; echo ended >>said"})
    cmd = "until grep -q begun said; do sleep 0.01; done 2>/dev/null"
    outcome = await bed.run(plan("one", cmd=cmd, during_test=[(0, slow), (0, bed.said("never")[0])]))
    assert bed.words == ["begun", "ended"]
    assert "was due at 0 s, but another still ran when cmd ended" in outcome.tests[0].notes[0]


async def test_a_during_test_command_that_runs_when_cmd_ends_is_let_end(bed: Bed) -> None:
    (slow,) = bed.hook({"on_workload_client": "echo begun >> said; sleep 0.5; echo ended >> said"})
    cmd = "until grep -q begun said; do sleep 0.01; done 2>/dev/null"
    await bed.run(plan("one", cmd=cmd, during_test=[(0, slow)]))
    assert bed.words == ["begun", "ended"]


async def wait_for(path: Path) -> None:
    while not path.exists():
        await asyncio.sleep(0.01)


async def test_the_first_interrupt_ends_cmd_and_runs_post_test_and_post_task(bed: Bed) -> None:
    task = asyncio.create_task(
        bed.run(
            plan("one", cmd="touch begun; sleep 1000", post_test=bed.said("post")),
            plan("two"),
            post_task=bed.said("end"),
        )
    )
    await wait_for(bed.client / "begun")
    task.cancel()
    outcome = await task
    assert [test.status for test in outcome.tests] == ["cancelled", "not run"]
    assert bed.words == ["post", "end"]
    assert outcome.exit_status() == 130
    assert bed.log("one").endswith("'interrupted'\n")


async def test_the_second_interrupt_stops_at_once(bed: Bed) -> None:
    post = [*bed.hook({"on_workload_client": "touch post; sleep 1000"}), *bed.said("never")]
    task = asyncio.create_task(
        bed.run(plan("one", cmd="touch begun; sleep 1000", post_test=post), post_task=bed.said("end"))
    )
    await wait_for(bed.client / "begun")
    task.cancel()
    await wait_for(bed.client / "post")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bed.words == []


@pytest.mark.parametrize(("interrupts", "words"), [(1, ["ended", "post", "end"]), (2, [])])
async def test_an_interrupt_is_told_before_what_it_waits_for_has_ended_and_the_second_waits_for_nothing(
    bed: Bed, interrupts: int, words: list[str]
) -> None:
    (slow,) = bed.hook(
        {"on_workload_client": "touch begun; until [ -e go-on ]; do sleep 0.01; done; echo ended >> said"}
    )
    one = plan("one", cmd="sleep 1000", during_test=[(0, slow)], post_test=bed.said("post"))
    task = asyncio.create_task(bed.run(one, post_task=bed.said("end")))
    await wait_for(bed.client / "begun")
    task.cancel()
    while not bed.has("interrupted") and not task.done():
        await asyncio.sleep(0.01)
    assert not bed.has("during_test_command_end")
    if interrupts == 1:
        (bed.client / "go-on").touch()
    else:
        task.cancel()
    await asyncio.wait({task})
    assert task.cancelled() is (interrupts == 2)
    assert bed.words == words
    assert [event["status"] for event in bed.events() if event["event"] == "test_end"] == ["cancelled"]


async def test_a_full_disk_for_the_reports_is_an_error_that_names_the_file(bed: Bed) -> None:
    (bed.reports / "one").mkdir()
    (bed.reports / "one" / "test_output.log").symlink_to("/dev/full")
    outcome = await bed.run(plan("one", cmd="echo x; sleep 1000"), post_task=bed.said("end"))
    assert outcome.tests[0].status == "infrastructure error"
    assert "test_output.log can't be written: No space left" in outcome.error
    assert bed.words == ["end"]


class LosesItsNode:
    """A command that fails since a node went down, whose log it has below."""

    async def run(self, _context: Context) -> list[Result]:
        raise ClusterError("rs0.first", "went down", ["assertion", "aborting"])


async def test_what_stopped_a_task_is_one_line_and_so_are_its_notes_with_a_lost_nodes_log_apart(bed: Bed) -> None:
    lost = HookCommand("hook.0", {}, LosesItsNode())
    outcome = await bed.run(plan("one"), pre_task=[lost], post_task=[lost])
    assert outcome.error == "pre_task (hook.0): rs0.first: went down"
    assert outcome.notes == ["post_task (hook.0): rs0.first: went down"]
    assert outcome.log_lines == ["pre_task (hook.0): the last lines of its log:", "assertion", "aborting"]


async def test_reports_that_cannot_be_made_are_an_error_and_post_task_still_runs(bed: Bed) -> None:
    (bed.reports / "one").write_text("in the way")
    outcome = await bed.run(plan("one"), plan("two"), post_task=bed.said("end"))
    assert [test.status for test in outcome.tests] == ["infrastructure error", "not run"]
    assert "test_output.log can't be written" in outcome.error
    assert bed.words == ["end"]


async def test_an_interrupt_while_output_files_are_fetched_keeps_the_test_and_its_post_test(bed: Bed) -> None:
    fetched = plan("one", cmd="mkfifo pipe; touch begun", output_files=["big"], post_test=bed.said("post"))
    (bed.client / "big").mkdir()
    for number in range(20_000):
        (bed.client / "big" / str(number)).touch()
    task = asyncio.create_task(bed.run(fetched, post_task=bed.said("end")))
    await wait_for(bed.reports / "one" / "big")
    task.cancel()
    outcome = await task
    assert [test.status for test in outcome.tests] == ["cancelled"]
    assert outcome.tests[0].reason == "interrupted by the user after cmd (exit status 0)"
    assert outcome.interrupted
    assert bed.words == ["post", "end"]


async def test_an_interrupted_pre_task_lists_the_tests_as_not_run(bed: Bed) -> None:
    task = asyncio.create_task(
        bed.run(plan("one"), pre_task=bed.hook({"on_workload_client": "touch begun; sleep 1000"}))
    )
    await wait_for(bed.client / "begun")
    task.cancel()
    assert [test.status for test in (await task).tests] == ["not run"]


async def test_what_a_test_retrieves_lies_in_its_folder_by_host(bed: Bed) -> None:
    hook = bed.hook(
        {"on_workload_client": {"exec": "echo 1 > x", "retrieve_files": [{"source": "x", "target": "a/x"}]}}
    )
    await bed.run(plan("one", post_test=hook))
    assert (bed.reports / "one" / "workload_client.0" / "a" / "x").read_text() == "1\n"


async def test_commands_that_were_due_without_dsi_are_noted_and_those_that_were_begun_not_run_again(bed: Bed) -> None:
    words = ("begun", "missed", "due")
    commands = list(zip((0, 3, 6), bed.said(*words), strict=True))
    findings = Findings()
    begun: list[int] = []

    async def cmd() -> Result:
        return await bed.context.inventory.workload_client.run("until [ -e said ]; do sleep 0.02; done")

    await run_during_test(cmd(), commands, bed.context, findings, since_s=5.5, begun=1, on_begin=begun.append)
    assert bed.words == ["due"]
    assert begun == [3]
    note = "during_test (hook.1): was due at 3 s, without dsi, and was not run"
    assert findings.verdict() == ("passed", "", (note,))
