import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dsi.whole_file import write_whole


@contextmanager
def disk_with_room_for(size_bytes: int) -> Iterator[None]:
    """No file gets larger (setrlimit(2)): a write is cut short, and the next one fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "out.yml", b"old")
    with disk_with_room_for(1000), pytest.raises(OSError, match="File too large"):
        write_whole(tmp_path / "out.yml", b"new" * 1000)
    assert (tmp_path / "out.yml").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.yml"]


def test_what_a_dsi_that_was_killed_has_left_of_a_file_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".out.yml.new").write_bytes(b"ha")
    write_whole(tmp_path / "out.yml", b"whole", mode=0o600, durable=True)
    assert (tmp_path / "out.yml").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "out.yml").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["out.yml"]
