"""Files to a host, from it, and written on it."""

import asyncio
import stat
from pathlib import Path

import pytest

from dsi.errors import SourceMissing, TransferError
from dsi.hosts import Host

CONTENT = bytes(range(256)) * 1000


def make_tree(folder: Path) -> Path:
    """A folder with a bit of everything."""
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "plain").write_bytes(CONTENT)
    (folder / "sub" / "script").write_text("echo ran")
    (folder / "sub" / "script").chmod(0o750)
    (folder / "sub" / "link").symlink_to("script")
    (folder / "name with 'quotes' and é").write_text("x")
    return folder


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_file_there_and_back(host: Host, tmp_path: Path) -> None:
    """Content and permissions survive both ways; missing parent folders are made on both sides."""
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    source.chmod(0o751)
    await host.put(source, "deep/down/there")
    assert (await host.run("stat -c %a deep/down/there")).stdout == "751\n"
    back = tmp_path / "not" / "yet" / "back"
    await host.get("deep/down/there", back)
    assert back.read_bytes() == CONTENT
    assert permissions(back) == 0o751


async def test_a_folder_there_and_back(host: Host, tmp_path: Path) -> None:
    """A folder becomes the target, with all that is in it; links stay links."""
    source = make_tree(tmp_path / "source")
    await host.put(source, "tree")
    assert (await host.run("tree/sub/script; bash tree/sub/link; readlink tree/sub/link", check=False)).stdout.endswith(
        "ran\nscript\n"
    )
    back = tmp_path / "back"
    await host.get("tree", back)
    assert sorted(p.relative_to(back) for p in back.rglob("*")) == sorted(
        p.relative_to(source) for p in source.rglob("*")
    )
    assert permissions(back / "sub" / "script") == 0o750
    assert (back / "plain").read_bytes() == CONTENT


async def test_a_folder_is_merged(host: Host, tmp_path: Path) -> None:
    """What is in the target already stays, unless the source has it too; a second time changes nothing."""
    source = make_tree(tmp_path / "source")
    await host.run("mkdir -p tree/sub; echo old > tree/old; echo old > tree/sub/script")
    await host.put(source, "tree")
    await host.put(source, "tree")
    assert (await host.run("cat tree/old tree/sub/script")).stdout == "old\necho ran"


@pytest.mark.parametrize("target", ["there", "there/"])
async def test_a_file_into_a_folder(host: Host, tmp_path: Path, target: str) -> None:
    """Where the target is a folder, a file goes into it under its own name."""
    source = tmp_path / "source"
    source.write_text("content")
    await host.run("mkdir there")
    await host.put(source, target)
    assert (await host.run("cat there/source")).stdout == "content"


async def test_a_slash_at_the_end_makes_a_folder(host: Host, tmp_path: Path) -> None:
    """`new/` is a folder even if it isn't there yet."""
    source = tmp_path / "source"
    source.write_text("content")
    await host.put(source, "new/")
    assert (await host.run("cat new/source")).stdout == "content"


async def test_a_missing_source(host: Host, tmp_path: Path) -> None:
    """A source that isn't there is told by name, on either side, and nothing is made."""
    with pytest.raises(SourceMissing, match=f"{host.name}: .*no-such-file"):
        await host.put(tmp_path / "no-such-file", "target")
    with pytest.raises(SourceMissing, match=f"{host.name}: .*no-such-file"):
        await host.get("no-such-file", tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert (await host.run("ls -A target", check=False)).exit_status != 0


async def test_a_target_that_can_not_be(host: Host, tmp_path: Path) -> None:
    """A file in the way of a folder is an error that names the target."""
    source = make_tree(tmp_path / "source")
    await host.run("echo > in-the-way")
    with pytest.raises(TransferError, match="in-the-way"):
        await host.put(source, "in-the-way/below")


async def test_a_large_folder_that_is_refused_keeps_nobody_waiting(host: Host, tmp_path: Path) -> None:
    """What packs it is ended in the middle, with output that nobody has read."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "large").write_bytes(bytes(8 << 20))
    await host.run("echo > in-the-way")
    async with asyncio.timeout(60):
        with pytest.raises(TransferError, match="in-the-way"):
            await host.put(folder, "in-the-way/below")


async def test_a_running_program_can_be_replaced(host: Host, tmp_path: Path) -> None:
    """A file is put in its place at once, never written into: a program that runs is no obstacle."""
    running = "echo $! > pid; until [ /proc/$!/exe -ef program ]; do sleep 0.01; done"
    await host.run(f"cp $(type -P sleep) program; (./program 1000 >/dev/null 2>&1 & {running})")
    source = tmp_path / "source"
    source.write_text("new")
    await host.put(source, "program")
    assert (await host.run("cat program; kill -9 $(cat pid)")).stdout == "new"


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o400])
async def test_write_file(host: Host, mode: int) -> None:
    """A file has just the content and permissions asked for, also over an older one; parents are made."""
    for content in (CONTENT, b""):
        await host.write_file("some/folder/file", content, mode=mode)
        result = await host.run("stat -c '%a %s' some/folder/file; ls -A some/folder")
        assert result.stdout == f"{mode:o} {len(content)}\nfile\n"


async def test_write_file_where_it_can_not_be(host: Host) -> None:
    """A path that can't be written is named."""
    await host.run("echo > in-the-way")
    with pytest.raises(TransferError, match="in-the-way/file"):
        await host.write_file("in-the-way/file", b"")


@pytest.mark.parametrize(
    ("first_byte", "size_bytes", "part"),
    [(0, 5, b"01234"), (3, None, b"3456789"), (3, 4, b"3456"), (8, 5, b"89"), (10, None, b""), (4, 0, b"")],
)
async def test_a_part_of_a_file(
    host: Host, tmp_path: Path, first_byte: int, size_bytes: int | None, part: bytes
) -> None:
    """What is fetched of a file begins and ends where it should; the end of the file is the end of all."""
    await host.run("printf 0123456789 > digits; chmod 640 digits")
    await host.get("digits", tmp_path / "part", first_byte=first_byte, size_bytes=size_bytes)
    assert (tmp_path / "part").read_bytes() == part
    assert permissions(tmp_path / "part") == 0o640
