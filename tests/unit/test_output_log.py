"""The log of a command's output: whole up to its limit; of more, the beginning and the end."""

import os
import signal
from pathlib import Path

import pytest

from dsi.runner.output_log import OutputLog, last_output

LIMIT_BYTES = 4000


def lines(count: int) -> bytes:
    return b"".join(f"line {number:04}\n".encode() for number in range(count))


def written(path: Path, output: bytes, *, block_bytes: int) -> tuple[bytes, list[str]]:
    notes: list[str] = []
    with OutputLog(path, limit_bytes=LIMIT_BYTES, note=notes.append) as log:
        for begin in range(0, len(output), block_bytes):
            log.write(output[begin : begin + block_bytes])
        assert log.size_bytes() == len(output)
        assert last_output(path, 500) == output[-500:]
        log.end(0, "success")
    return path.read_bytes(), notes


def write_and_die(path: Path, output: bytes) -> None:
    """Write in a process that is killed before it can close the log."""
    child = os.fork()
    if not child:
        OutputLog(path, limit_bytes=LIMIT_BYTES, note=print).__enter__().write(output)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("block_bytes", [7, 1000, 100_000])
@pytest.mark.parametrize("count", [0, 1, 200, 300, 350])
def test_up_to_its_limit_it_is_whole(tmp_path: Path, count: int, block_bytes: int) -> None:
    text, notes = written(tmp_path / "log", lines(count), block_bytes=block_bytes)
    assert text == lines(count) + b"exit_status: 0 'success'\n"
    assert notes == []
    assert list(tmp_path.iterdir()) == [tmp_path / "log"]


@pytest.mark.parametrize("block_bytes", [7, 1000, 100_000])
def test_of_more_it_has_the_beginning_and_the_end_and_says_what_it_left_out(tmp_path: Path, block_bytes: int) -> None:
    output = lines(5000)
    text, (note,) = written(tmp_path / "log", output, block_bytes=block_bytes)
    before, _, rest = text.partition(b"\n[")
    said, _, after = rest.partition(b"]\n")
    assert output.startswith(before)
    assert len(before) == LIMIT_BYTES // 2
    end = b"exit_status: 0 'success'\n"
    assert (output + end).endswith(after)
    assert len(after) >= LIMIT_BYTES // 4
    assert len(before) + len(after) <= LIMIT_BYTES
    left_out = len(output + end) - len(before) - len(after)
    assert said.decode().startswith(f"{left_out} bytes of the output are left out: of more than 4000 ")
    assert note == f"log: {said.decode()}"
    assert list(tmp_path.iterdir()) == [tmp_path / "log"]


@pytest.mark.parametrize("count", [1, 200, 5000])
def test_another_dsi_goes_on_with_it_as_if_the_first_had_not_been_killed(tmp_path: Path, count: int) -> None:
    whole = tmp_path / "whole"
    expected, _ = written(whole, lines(count), block_bytes=1000)
    output, cut = lines(count), len(lines(count)) // 2
    notes: list[str] = []
    write_and_die(tmp_path / "log", output[:cut])
    with OutputLog(tmp_path / "log", limit_bytes=LIMIT_BYTES, note=notes.append, again=True) as log:
        assert log.size_bytes() == cut
        log.write(output[cut:])
        log.end(0, "success")
    assert (tmp_path / "log").read_bytes() == expected


def test_it_begins_anew_where_another_test_of_that_name_has_left_parts(tmp_path: Path) -> None:
    write_and_die(tmp_path / "log", lines(5000))
    text, _ = written(tmp_path / "log", b"new\n", block_bytes=10)
    assert text == b"new\nexit_status: 0 'success'\n"


def test_its_last_line_is_known_also_of_one_that_another_has_begun(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"first\nsecond \xff\n\n")
    with OutputLog(tmp_path / "log", limit_bytes=LIMIT_BYTES, note=print, again=True) as log:
        assert log.last_line == "second \ufffd"
