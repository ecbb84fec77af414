"""What dsi itself is told of commands that clients of the dsisocket asked for and didn't get done."""

from typing import Any

from tests.integration.dsisocket_bed import Socket, hang_up, line_of, reset


def exec_(text: str, **beside: Any) -> dict[str, Any]:
    return {**beside, "on_workload_client": {"exec": text}}


async def test_it_is_told_of_what_failed_was_refused_or_took_too_long_and_not_of_what_succeeded() -> None:
    it = Socket()
    asked = [
        exec_("say x", id=1),
        exec_("cluster"),
        {"nothing": {}},
        exec_("wait", timeout=0.05),
        exec_("say x", timeout="never"),
        {"describe": {}},
    ]
    async with it.open(), it.client() as client:
        for raw in asked:
            await client.ask(raw)
    statuses = ["EXECUTION_ERROR", "EXECUTION_ERROR", "TIMEOUT", "EXECUTION_ERROR"]
    assert it.failed == list(zip(asked[1:5], statuses, strict=True))


async def test_it_is_not_told_of_what_the_client_has_cancelled_itself() -> None:
    it = Socket()
    async with it.open(), it.client() as client:
        client.send(exec_("wait", id=1))
        client.send(exec_("wait", id=2))
        await it.execute.until(lambda: len(it.execute.begun) == 1)
        for name in (2, 1):
            client.send({"cancel": name})
        assert [(await client.read())["status_code"] for _ in range(4)].count(4) == 2
    assert it.failed == []


async def test_it_is_told_of_what_the_end_of_the_test_has_cut_or_not_let_begin_though_its_client_is_gone() -> None:
    it = Socket()
    cut, behind = exec_("wait"), exec_("say x")
    async with it.open():
        for end in (hang_up, reset):
            _, writer = await it.connect()
            writer.write(line_of(cut) + line_of(behind))
            begun = len(it.execute.begun) + 1
            await it.execute.until(lambda begun=begun: len(it.execute.begun) == begun)  # type: ignore[misc]
            if (closing := end(writer)) is not None:
                await closing
    assert sorted(status for _, status in it.failed) == ["CANCELLED"] * 2 + ["EXECUTION_ERROR"] * 2


async def test_a_client_that_may_not_speak_has_asked_for_nothing() -> None:
    it = Socket(token="s3cr3t")
    async with it.open():
        await it.ask(line_of(exec_("cluster")))
    assert it.failed == []
