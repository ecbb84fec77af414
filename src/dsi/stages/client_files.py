"""The dsisocket's client beside the workload: `dsi-send` and `dsi_client.py` in `~/.dsi/bin` of the workload client."""

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Final

from dsi.commands import Context
from dsi.config.models import Test
from dsi.hosts import Host

FOLDER: Final = ".dsi/bin"

FOR_CMD: Final = ("PATH", "PYTHONPATH")
"""The variables that are given. They are `cmd`'s own host's: on another workload client they may be others."""

DSI_SEND: Final = """\
#!/bin/sh
# Has dsi run a command while a test runs: dsi-send '{"on_mongod": {"exec": "uptime"}}'
exec python3 "$(dirname -- "$0")/dsi_client.py" "$@"
"""

_LOOK: Final = f"""
printf '%s\\n' "$PWD" "$PATH" "${{PYTHONPATH-}}"
cd {FOLDER} 2>/dev/null && cat dsi-send dsi_client.py 2>/dev/null | sha256sum | cut -d ' ' -f 1
"""


async def client_files(context: Context, _test: Test) -> Mapping[str, str]:
    """Have `cmd` and background tasks find `dsi-send` and `import dsi_client`: a `Preparation`.

    The files stay there: they are small, and the next test needs them again.

    Raises:
        HostError: the host's home folder can't be written.
    """
    return await put_client_files(context.inventory.workload_client)


async def put_client_files(host: Host) -> dict[str, str]:
    """Write the two files unless they are there as they should be, and give the environment in which they are found."""
    client = resources.files("dsi").joinpath("client.py").read_bytes()
    wanted = {"dsi-send": (DSI_SEND.encode(), 0o755), "dsi_client.py": (client, 0o644)}
    home, path, python_path, *found = (await host.run(_LOOK, check=False)).stdout.splitlines()
    if found != [hashlib.sha256(b"".join(content for content, _ in wanted.values())).hexdigest()]:
        for name, (content, mode) in wanted.items():
            await host.write_file(f"{FOLDER}/{name}", content, mode=mode)
    folder = f"{home}/{FOLDER}"
    return {"PATH": f"{folder}:{path}", "PYTHONPATH": f"{folder}:{python_path}" if python_path else folder}
