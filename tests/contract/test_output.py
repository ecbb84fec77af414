"""Output as it comes: its order, its limits, and who waits for whom."""

import asyncio

import pytest

from dsi.hosts import Host
from dsi.model import StreamName


async def test_output_comes_while_it_runs(host: Host) -> None:
    """A block is handed on before the command has ended."""
    await host.run("mkfifo go")
    seen = asyncio.Event()

    async def on_output(_: StreamName, block: bytes) -> None:
        if b"first" in block:
            seen.set()

    running = asyncio.create_task(host.run("echo first; cat go", on_output=on_output))
    await seen.wait()
    assert not running.done()
    await host.run("echo second > go")
    assert (await running).stdout == "first\nsecond\n"


async def test_much_on_stderr_is_no_deadlock(host: Host) -> None:
    """4 MB on one output while the other is silent, then the other way round."""
    command = "head -c 4000000 /dev/zero >&2; head -c 4000000 /dev/zero"
    sizes = {"stdout": 0, "stderr": 0}

    async def count(stream: StreamName, block: bytes) -> None:
        sizes[stream] += len(block)

    await host.run(command, on_output=count)
    assert sizes == {"stdout": 4_000_000, "stderr": 4_000_000}


async def test_only_the_last_bytes_are_kept(host: Host) -> None:
    """A result keeps the end of each output, and says that there was more."""
    result = await host.run("seq 100000; echo end; echo short >&2", keep_bytes=1000)
    assert result.cut
    assert len(result.stdout) == 1000
    assert result.stdout.endswith("\n100000\nend\n")
    assert result.stderr == "short\n"


@pytest.mark.parametrize(("keep_bytes", "stdout", "cut"), [(4, "abcd", False), (3, "bcd", True), (0, "", True)])
async def test_exactly_as_much_as_asked(host: Host, keep_bytes: int, stdout: str, cut: bool) -> None:
    """`cut` is true if a byte is missing, and only then."""
    result = await host.run("printf abcd", keep_bytes=keep_bytes)
    assert (result.stdout, result.cut) == (stdout, cut)


async def test_backpressure(host: Host) -> None:
    """While on_output waits, the command can't write on: it waits too, and nothing is lost."""
    size_bytes = 100_000_000
    held, go_on = asyncio.Event(), asyncio.Event()
    got_bytes = 0

    async def slow(_: StreamName, block: bytes) -> None:
        nonlocal got_bytes
        got_bytes += len(block)
        held.set()
        await go_on.wait()

    running = asyncio.create_task(
        host.run(f"head -c {size_bytes} /dev/zero; touch finished", on_output=slow, outlives_s=None)
    )
    await held.wait()
    for _ in range(5):
        assert (await host.run("test -e finished || echo waiting")).stdout == "waiting\n"
    assert got_bytes < size_bytes / 2
    go_on.set()
    await running
    assert got_bytes == size_bytes


async def test_a_process_left_behind_is_not_waited_for(host: Host) -> None:
    """A process in the background that holds the output open lives on, and the command has ended."""
    result = await host.run("sleep 1000 & echo $!")
    try:
        assert (await host.run(f"kill -0 {result.stdout}")).exit_status == 0
    finally:
        await host.run(f"kill -9 {result.stdout}")


async def test_a_process_left_behind_that_writes_on_is_not_waited_for(host: Host) -> None:
    """Not even one that never stops writing."""
    result = await host.run("yes & echo $! >&2")
    # It may have ended already: nobody reads what it writes (SIGPIPE).
    await host.run(f"kill -9 {result.stderr}", check=False)


async def test_an_on_output_that_raises_ends_the_command(host: Host) -> None:
    """The caller gets its own error, and the command doesn't go on."""

    async def broken(_: StreamName, block: bytes) -> None:
        raise LookupError(block.decode())

    with pytest.raises(LookupError) as caught:
        await host.run("echo $$; exec sleep 1000", on_output=broken)
    (pid,) = str(caught.value).split()
    assert (await host.run(f"kill -0 {pid}", check=False)).exit_status != 0
