"""A test that is taken over, and restarts that the dsi which was killed had begun in it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from dsi.commands import Context
from dsi.config.models import Test
from dsi.errors import NoEffect, SeveralFailed
from dsi.stages.restarts_before import check_of_restarts_before
from dsi.timeline import Timeline

NO_CONTEXT = cast("Context", None)


def killed(path: Path, *, test: str, ends: tuple[str | None, ...], is_cut: bool = False) -> None:
    """Write what a dsi has done until it was killed: restarts with these errors; `is_cut`: the last has no end."""
    timeline = Timeline(path)
    timeline.add("test_begin", test=test)
    for error in ends:
        with suppress(ValueError), timeline.span("restart_mongodb", nodes=["rs0:primary"] if error else None):
            if error:
                raise ValueError(error)
    timeline.close()
    if is_cut:
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def some_test(test_id: str) -> Test:
    return Test(id=test_id, type="shell", cmd="true")


async def check(path: Path, *, taken_over: str, test: str) -> None:
    await check_of_restarts_before(path, taken_over)(NO_CONTEXT, some_test(test))


async def test_what_failed_or_was_cut_makes_the_test_invalid_that_is_taken_over_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    killed(path, test="before", ends=("of another test",))
    killed(path, test="taken", ends=(None, "nobody is primary"))
    killed(path, test="taken", ends=(None, None), is_cut=True)
    with pytest.raises(SeveralFailed) as told:
        await check(path, taken_over="taken", test="taken")
    assert [(type(error), str(error)) for error in told.value.errors] == [
        (NoEffect, "restart_mongodb of rs0:primary failed, before dsi was killed: nobody is primary"),
        (
            NoEffect,
            "restart_mongodb of all nodes was under way when dsi was killed: whether it took effect is not known",
        ),
    ]
    await check(path, taken_over="taken", test="next")


async def test_a_restart_that_was_called_off_did_not_take_effect(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "timeline.jsonl")
    timeline.add("test_begin", test="taken")
    with suppress(asyncio.CancelledError), timeline.span("restart_mongodb", nodes=None):
        raise asyncio.CancelledError
    timeline.close()
    with pytest.raises(NoEffect, match="restart_mongodb of all nodes was called off, before dsi was killed"):
        await check(tmp_path / "timeline.jsonl", taken_over="taken", test="taken")


async def test_restarts_that_took_effect_are_no_reason(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    killed(path, test="taken", ends=(None, None))
    await check(path, taken_over="taken", test="taken")
