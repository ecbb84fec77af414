"""Ports of a host: listening, connecting."""

import asyncio
import contextlib

import pytest

from dsi.errors import HostError, PortTaken
from dsi.hosts import Host, Listener, Reader, Writer

LOOPBACK = "127.0.0.1"


async def echo(reader: Reader, writer: Writer) -> None:
    while block := await reader.read(1000):
        if b"raise" in block:
            raise LookupError("on purpose")
        writer.write(block)
        await writer.drain()


async def ask(host: Host, listener: Listener, line: bytes) -> bytes:
    """Send a line, and give what comes back until the other side closes."""
    reader, writer = await host.connect(LOOPBACK, listener.port)
    writer.write(line)
    writer.write_eof()
    answer = b""
    while block := await reader.read(1000):
        answer += block
    writer.close()
    await writer.wait_closed()
    return answer


async def test_listen(host: Host) -> None:
    """A program on the host reaches us at the port, and we say which it is."""
    listener = await host.listen(LOOPBACK, 0, echo)
    assert listener.address == LOOPBACK
    assert listener.port > 0
    text = f"exec 3<>/dev/tcp/{LOOPBACK}/{listener.port}; echo hello >&3; read -r line <&3; echo $line"
    assert (await host.run(text)).stdout == "hello\n"
    await listener.close()


async def test_many_connections(host: Host) -> None:
    """Connections are served side by side."""
    listener = await host.listen(LOOPBACK, 0, echo)
    answers = await asyncio.gather(*(ask(host, listener, b"%d" % n) for n in range(40)))
    assert answers == [b"%d" % n for n in range(40)]
    await listener.close()


async def test_one_that_fails(host: Host) -> None:
    """A connection whose handler raises is closed; the others go on, and new ones come."""
    listener = await host.listen(LOOPBACK, 0, echo)
    reader, writer = await host.connect(LOOPBACK, listener.port)
    assert await ask(host, listener, b"raise") == b""
    writer.write(b"still here")
    assert await reader.read(100) == b"still here"
    assert await ask(host, listener, b"next") == b"next"
    writer.close()
    await listener.close()


async def test_a_taken_port(host: Host) -> None:
    """A port that somebody has is refused with its number; what listens there isn't disturbed."""
    listener = await host.listen(LOOPBACK, 0, echo)
    with pytest.raises(PortTaken, match=f"{host.name}: .*{LOOPBACK}:{listener.port}"):
        await host.listen(LOOPBACK, listener.port, echo)
    assert await ask(host, listener, b"still here") == b"still here"
    await listener.close()


async def test_close_frees_the_port(host: Host) -> None:
    """When close returns, connections are closed, and the port can be had again."""
    listener = await host.listen(LOOPBACK, 0, echo)
    reader, writer = await host.connect(LOOPBACK, listener.port)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    await listener.close()
    with contextlib.suppress(ConnectionError):
        assert await reader.read(1) == b""
    writer.close()
    again = await host.listen(LOOPBACK, listener.port, echo)
    assert again.port == listener.port
    await again.close()


async def test_connect_refused(host: Host) -> None:
    """Where nobody listens, the error says where that was."""
    listener = await host.listen(LOOPBACK, 0, echo)
    await listener.close()
    with pytest.raises(HostError, match=f"{host.name}: .*{LOOPBACK}:{listener.port}"):
        await host.connect(LOOPBACK, listener.port)


async def test_forward(host: Host) -> None:
    """A library that connects by itself gets an address here that leads there."""
    listener = await host.listen(LOOPBACK, 0, echo)
    async with host.forward(LOOPBACK, listener.port) as (address, port):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b"through")
        assert await reader.read(100) == b"through"
        writer.close()
        await writer.wait_closed()
    await listener.close()
