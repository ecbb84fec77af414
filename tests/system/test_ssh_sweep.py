"""Files of commands whose dsi is dead don't stay on the host."""

import asyncio

from tests.system.conftest import Connect, StartHosts
from tests.system.test_ssh_detached import ORPHAN_S, Streams, nothing_is_left
from tests.system.test_ssh_reconnect import until
from tests.system.testbed import TestbedHost


def names(server: TestbedHost) -> set[str]:
    return {file.name for file in (server.home / ".dsi" / "run").iterdir()}


async def test_old_files_of_the_dead_go_and_those_of_the_living_and_new_ones_stay(
    ssh_hosts: StartHosts, connect: Connect
) -> None:
    (server,) = ssh_hosts(1)
    first = await connect(server)
    streams = Streams()
    command = "echo begun; until [[ -e go ]]; do sleep 0.05; done; echo all"
    running = asyncio.create_task(first.run(command, outlives_s=ORPHAN_S, on_output=streams))
    await streams.begun.wait()
    living = names(server)
    lost = "echo 0 1 1 1 an-earlier-boot >dead.state; : >dead.follower; echo x >0.out; echo x >0.err; : >1.beat"
    old = "touch -d '2 hours ago' *; echo x >new.out"
    server.run_inside("sh", "-c", f"cd $HOME/.dsi/run && {lost} && {old}")

    second = await connect(server)
    await second.run("true", outlives_s=ORPHAN_S)

    async def swept() -> bool:
        return not names(server) & {"dead.state", "dead.follower", "0.out", "0.err", "1.beat"}

    await until(swept, "what is dead and old is gone")
    needed = {name for name in living if name.split(".")[0] in _claimed(server)}
    assert needed
    assert names(server) >= needed | {"new.out"}
    (server.home / "go").touch()
    assert (await running).stdout == "begun\nall\n"
    (server.home / ".dsi" / "run" / "new.out").unlink()
    await second.close()
    await nothing_is_left(first, server)


def _claimed(server: TestbedHost) -> set[str]:
    """What names the files of commands that have begun: their own ids, and their shells'."""
    states = list((server.home / ".dsi" / "run").glob("*.state"))
    return {state.stem for state in states} | {state.read_text().split(".")[0] for state in states}
