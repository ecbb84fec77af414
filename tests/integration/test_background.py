"""Background tasks, on this machine itself: real shells, real files, no cluster."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.test_runner import Bed, plan, wait_for

from dsi.clock import SystemClock
from dsi.commands import Context
from dsi.config.models import Test

UNTIL_TOLD = "trap 'echo ended >>said; exit' TERM; echo begun >>said; echo $$ >pid; while :; do sleep 0.02; done"


class UntilBegun(SystemClock):
    """Whose waits, however long, end when a file is there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def sleep(self, seconds: float) -> None:
        await wait_for(self._path)


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path)
    yield bed
    await bed.context.inventory.close()
    bed.context.timeline.close()


def log(bed: Bed, name: str, test: str = "one") -> str:
    return (bed.reports / test / "background" / f"{name}@workload_client.0.log").read_text()


def is_gone(bed: Bed, name: str = "pid") -> bool:
    try:
        stat = Path(f"/proc/{int((bed.client / name).read_text())}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"  # whose parent isn't ours is reaped by others


async def test_they_begin_after_pre_test_and_before_the_delay_and_end_when_output_files_have_been_fetched(
    bed: Bed,
) -> None:
    @asynccontextmanager
    async def companion(_context: Context, _test: Test) -> AsyncIterator[None]:
        await bed.context.inventory.workload_client.run("echo companion >>said")
        yield

    async def check(_context: Context, _test: Test) -> None:
        await bed.context.inventory.workload_client.run("echo check >>said")

    bed.context = replace(bed.context, clock=UntilBegun(bed.client / "pid"))
    outcome = await bed.run(
        plan(
            "one",
            cmd="echo cmd >>said",
            background_tasks={"watch": UNTIL_TOLD},
            output_files=["said"],
            pre_test=bed.said("pre"),
            post_test=bed.said("post"),
        ),
        companions=[companion],
        checks=[check],
        delay_s=1000,
    )
    assert bed.words == ["pre", "begun", "companion", "cmd", "ended", "check", "post"]
    assert (bed.reports / "one" / "said").read_text().split()[-1] == "cmd"
    assert (outcome.tests[0].status, list(outcome.tests[0].notes)) == ("passed", [])
    assert is_gone(bed)


async def test_their_output_is_in_a_log_of_their_own_as_it_comes_and_they_have_the_environment_of_cmd(bed: Bed) -> None:
    async def preparation(_context: Context, _test: Test) -> Mapping[str, str]:
        return {"DSI_SOCKET_TOKEN": "a token"}

    path = bed.reports / "one" / "background" / "a b@workload_client.0.log"
    cmd = f"until grep -q more '{path}'; do sleep 0.01; done"
    told = "echo $DSI_TEST_ID $DSI_SOCKET_TOKEN $PYTHONUNBUFFERED; echo err >&2; echo more; sleep 1000"
    outcome = await bed.run(
        plan("one", cmd=cmd, background_tasks={"a b": told, "other": "echo other; sleep 1000"}),
        preparations=[preparation],
        for_cmd_alone=["DSI_SOCKET_TOKEN"],
    )
    assert outcome.exit_status() == 0
    assert sorted(log(bed, "a b").splitlines()) == ["err", "more", "one a token 1"]
    assert log(bed, "other") == "other\n"
    events = [(event["event"], event["task"]) for event in bed.events() if "task" in event]
    assert sorted(events) == [
        ("background_task_begin", "a b"),
        ("background_task_begin", "other"),
        ("background_task_end", "a b"),
        ("background_task_end", "other"),
    ]


async def test_one_that_dies_early_is_told_with_its_exit_status_and_its_last_line_and_fails_nothing(bed: Bed) -> None:
    outcome = await bed.run(
        plan(
            "one",
            cmd=f"until [ $(grep -c background_task_end '{bed.reports}/timeline.jsonl') = 2 ]; do sleep 0.01; done",
            background_tasks={"iostat": "echo first; echo 'iostat: command not found' >&2; exit 127", "once": "true"},
        )
    )
    (test,) = outcome.tests
    told = "background task iostat ended before the test did: exit status 127: iostat: command not found"
    assert (test.status, list(test.notes)) == ("passed", [told])
    (end,) = (event for event in bed.events() if event["event"] == "background_task_end" and event["task"] == "iostat")
    assert (end["exit_status"], end["last_line"], end["early"]) == (127, "iostat: command not found", True)


async def test_none_is_left_when_cmd_fails_and_the_whole_process_group_is_ended(bed: Bed) -> None:
    background = "sleep 1000 & echo $! >child; echo $$ >pid; wait"
    await bed.run(plan("one", cmd="until [ -s pid ]; do sleep 0.01; done; exit 3", background_tasks={"a": background}))
    assert is_gone(bed)
    assert is_gone(bed, "child")


async def test_none_is_left_after_an_interrupt_nor_after_two(bed: Bed) -> None:
    for interrupts in (1, 2):
        (bed.client / "pid").unlink(missing_ok=True)
        post = bed.hook({"on_workload_client": "touch post; sleep 1000" if interrupts == 2 else "true"})
        hold = plan(
            "one",
            cmd="until [ -s pid ]; do sleep 0.01; done; touch begun; sleep 1000",
            background_tasks={"a": UNTIL_TOLD},
            post_test=post,
        )
        task = asyncio.create_task(bed.run(hold))
        await wait_for(bed.client / "begun")
        task.cancel()
        if interrupts == 2:
            await wait_for(bed.client / "post")
            task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() is (interrupts == 2)
        assert is_gone(bed)
        (bed.client / "begun").unlink()


async def test_none_is_left_when_the_test_ends_before_cmd_begins(bed: Bed) -> None:
    @asynccontextmanager
    async def companion(_context: Context, _test: Test) -> AsyncIterator[None]:
        await wait_for(bed.client / "pid")
        raise OSError("a bug")
        yield

    with pytest.raises(OSError, match="a bug"):
        await bed.run(plan("one", background_tasks={"a": UNTIL_TOLD}), companions=[companion])
    assert is_gone(bed)


async def test_a_log_that_cannot_be_written_ends_that_task_alone_and_says_so(bed: Bed) -> None:
    folder = bed.reports / "one" / "background"
    folder.mkdir(parents=True)
    (folder / "full@workload_client.0.log").symlink_to("/dev/full")
    cmd = f"until grep -q background_task_end '{bed.reports}/timeline.jsonl'; do sleep 0.01; done"
    outcome = await bed.run(plan("one", cmd=cmd, background_tasks={"full": "echo $$ >pid; echo x; sleep 1000"}))
    assert outcome.tests[0].status == "passed"
    assert "full@workload_client.0.log can't be written: No space left on device" in outcome.tests[0].notes[0]
    assert is_gone(bed)


async def test_what_they_write_is_not_held_in_memory(bed: Bed) -> None:
    size_bytes = 50_000_000
    written = f"$(stat -c %s '{bed.reports}/one/background/a@workload_client.0.log')"
    cmd = f"until [ {written} = {size_bytes} ]; do sleep 0.02; done"
    before = peak_bytes()
    await bed.run(plan("one", cmd=cmd, background_tasks={"a": f"head -c {size_bytes} /dev/zero; sleep 1000"}))
    assert peak_bytes() - before < size_bytes / 2


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
