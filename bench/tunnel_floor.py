"""A floor of the dsisocket: the same kind of tunnel with next to nothing behind it, in a process of its own as dsi is.

`python -m bench.tunnel_floor LOGIN` prints two ports of the SSH host as JSON, and serves them until its input ends:
`echo` gives back what it gets; `session` runs the line of shell that it gets in a session, and gives its output.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

Reader = asyncssh.SSHReader[bytes]
Writer = asyncssh.SSHWriter[bytes]

BLOCK_BYTES = 65_536


@asynccontextmanager
async def tunnel_floor(login: dict[str, Any]) -> AsyncIterator[dict[str, int]]:
    """Run it while the block does; gives its ports. `login` has the keyword arguments of asyncssh.connect."""
    call = [sys.executable, "-m", __name__, json.dumps(login)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*call, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(login: dict[str, Any]) -> None:
    async with asyncssh.connect(**login) as connection:

        async def session(reader: Reader, writer: Writer) -> None:
            line = (await reader.readline()).decode()
            async with connection.create_process(line, encoding=None) as process:
                await _copy(process.stdout, writer)
            writer.close()

        ports = {}
        for name, serve in {"echo": _copy, "session": session}.items():
            listener = await connection.start_server(lambda *_, serve=serve: serve, "127.0.0.1", 0, encoding=None)
            ports[name] = listener.get_port()
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def _copy(reader: Reader, writer: Writer) -> None:
    while block := await reader.read(BLOCK_BYTES):
        writer.write(block)
        await writer.drain()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
