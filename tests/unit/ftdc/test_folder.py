"""Files and folders of diagnostic data: order, what is there twice, compression, damage."""

import gzip
import subprocess
from pathlib import Path

import pytest
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.unit.ftdc.encoder import Columns, document, metadata, metric_chunk

from dsi import ftdc
from dsi.errors import NoDiagnosticData
from dsi.ftdc import Damage
from dsi.ftdc.reader import _BLOCK_BYTES

ARCHIVES = ["metrics.2026-01-31T12-00-00Z-00000", "metrics.2026-01-31T13-00-00Z-00000"]


def table(begin: int, count: int) -> Columns:
    """Samples of a second each from `begin` on, in seconds."""
    return {
        "start": [1000 * second for second in range(begin, begin + count)],
        "inserts": [10 * second for second in range(begin, begin + count)],
    }


def samples(begin: int, count: int) -> bytes:
    return metric_chunk(table(begin, count))


def seconds(path: Path, damaged: ftdc.Damaged | None = None) -> list[int]:
    """The times of all samples that are read, in seconds; without `damaged` there must be no damage."""

    def none(damage: Damage) -> None:
        raise AssertionError(damage)

    return [int(time) // 1000 for chunk in ftdc.read(path, damaged or none) for time in chunk.times_ms]


def test_files_are_read_in_the_order_they_were_written_and_metrics_interim_last(tmp_path: Path) -> None:
    (tmp_path / "metrics.interim").write_bytes(samples(9, 2))
    (tmp_path / "metrics.interim.temp").write_bytes(b"half written")
    (tmp_path / ARCHIVES[1]).write_bytes(metadata(4000, {}) + samples(5, 2) + samples(7, 2))
    (tmp_path / ARCHIVES[0]).write_bytes(metadata(1000, {}) + samples(1, 3))
    assert seconds(tmp_path) == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert seconds(tmp_path / ARCHIVES[0]) == [1, 2, 3]
    assert seconds(tmp_path.parent / tmp_path.name / "metrics.interim") == [9, 10]


def test_a_folder_that_has_them_in_diagnostic_data_will_do(tmp_path: Path) -> None:
    (folder := tmp_path / "diagnostic.data").mkdir()
    (folder / ARCHIVES[0]).write_bytes(samples(1, 3))
    assert seconds(tmp_path) == [1, 2, 3]


def test_what_metrics_interim_has_beside_the_newest_file_comes_once(tmp_path: Path) -> None:
    (tmp_path / ARCHIVES[0]).write_bytes(samples(1, 2) + samples(3, 5))
    (tmp_path / "metrics.interim").write_bytes(samples(3, 4))
    assert seconds(tmp_path) == [1, 2, 3, 4, 5, 6, 7]


def test_of_a_chunk_that_a_server_went_on_with_after_a_crash_only_what_is_new_comes(tmp_path: Path) -> None:
    (tmp_path / ARCHIVES[0]).write_bytes(samples(1, 4))
    (tmp_path / ARCHIVES[1]).write_bytes(samples(1, 6))
    assert seconds(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert ftdc.series(tmp_path, ["inserts"])["inserts"].values.tolist() == [10, 20, 30, 40, 50, 60]
    assert [chunk.values().tolist() for chunk in ftdc.read(tmp_path)][1] == [[5000, 6000], [50, 60]]


def test_a_clock_that_was_set_back_loses_no_sample(tmp_path: Path) -> None:
    back: Columns = {"start": [9000, 1000, 2000], "inserts": [1, 2, 3]}
    (tmp_path / ARCHIVES[0]).write_bytes(samples(5, 3) + metric_chunk(back))
    assert seconds(tmp_path) == [5, 6, 7, 9, 1, 2]


def compressed(kind: str, content: bytes) -> bytes:
    if kind == ".gz":
        return gzip.compress(content)
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


@pytest.mark.parametrize("kind", [".gz", ".zst"])
def test_compressed_files_are_read_as_far_as_they_go(kind: str, tmp_path: Path) -> None:
    content = b"".join(samples(second, 3) for second in range(0, 3000, 3))
    packed = compressed(kind, content)
    (file := tmp_path / f"{ARCHIVES[0]}{kind}").write_bytes(packed)
    (tmp_path / f"metrics.interim{kind}").write_bytes(compressed(kind, samples(3000, 2)))
    (tmp_path / f"metrics.interim.temp{kind}").write_bytes(b"half written")
    assert seconds(tmp_path) == list(range(3002))

    file.write_bytes(packed[: len(packed) - 6])
    damage: list[Damage] = []
    read = seconds(file, damage.append)
    assert read == list(range(len(read)))
    assert "can't be read on" in str(damage[-1])
    if kind == ".gz":
        assert len(read) == 3000

    file.write_bytes(b"none of this kind")
    damage.clear()
    assert seconds(tmp_path, damage.append) == [3000, 3001]
    assert [found.file for found in damage] == [file]


# --- what is not there --------------------------------------------------------------------------------------------


def test_a_folder_without_diagnostic_data_says_where_there_is_some(tmp_path: Path) -> None:
    (there := tmp_path / "mongod.0" / "diagnostic.data").mkdir(parents=True)
    with pytest.raises(NoDiagnosticData, match=r"name a server's diagnostic\.data"):
        ftdc.files(tmp_path)
    (there / ARCHIVES[0]).write_bytes(b"")
    with pytest.raises(NoDiagnosticData, match=f"there is some in {there}"):
        ftdc.files(tmp_path)
    with pytest.raises(NoDiagnosticData, match="no such file or folder"):
        ftdc.files(tmp_path / "gone")


def test_a_file_that_cant_be_opened_is_damage_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / ARCHIVES[0]).write_bytes(samples(1, 2))
    loop = tmp_path / "metrics.2026-01-01T00-00-00Z-00000"
    loop.symlink_to(loop.name)
    assert seconds(tmp_path) == [1, 2]  # a link to nowhere is no file
    damage: list[Damage] = []
    assert not seconds(Path("/proc/self/mem"), damage.append)
    assert "can't be read on: Input/output error" in str(damage[0])


# --- what else is in the files ------------------------------------------------------------------------------------


def test_metadata_is_given_as_the_server_wrote_it_and_that_of_newer_servers_too(tmp_path: Path) -> None:
    (tmp_path / ARCHIVES[0]).write_bytes(
        metadata(1000, {"buildInfo": {"version": "8.0.4"}})
        + samples(1, 2)
        + document(2, 2000, count=0, doc={"getParameter": {"a": 1}})
    )
    first, second = ftdc.metadata(tmp_path)
    assert (first.time_ms, first.periodic, first.document) == (1000, False, {"buildInfo": {"version": "8.0.4"}})
    assert (second.time_ms, second.periodic, second.document) == (2000, True, {"getParameter": {"a": 1}})
    assert seconds(tmp_path) == [1, 2]


def test_a_series_has_the_times_at_which_its_metric_was_there(tmp_path: Path) -> None:
    primary = {**table(3, 2), "oplog": [7, 8]}
    (tmp_path / ARCHIVES[0]).write_bytes(samples(1, 2) + metric_chunk(primary) + samples(5, 1))
    found = ftdc.series(tmp_path, ["inserts", "oplog", "nonsense"])
    assert list(found) == ["inserts", "oplog"]
    assert found["inserts"].times_ms.tolist() == [1000, 2000, 3000, 4000, 5000]
    assert found["oplog"].times_ms.tolist() == [3000, 4000]
    assert found["oplog"].values.tolist() == [7, 8]


# --- damage -------------------------------------------------------------------------------------------------------

PARTS = [metadata(1000, {"buildInfo": {"version": "6.0.5"}}), samples(1, 3), samples(4, 2), samples(6, 4)]
WHOLE = b"".join(PARTS)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / ARCHIVES[0]


def test_a_file_cut_off_anywhere_gives_all_that_is_whole_and_says_where_it_ends(file: Path) -> None:
    ends = [sum(map(len, PARTS[:count])) for count in range(len(PARTS) + 1)]
    for size in range(len(WHOLE) + 1):
        file.write_bytes(WHOLE[:size])
        damage: list[Damage] = []
        whole = sum(end <= size for end in ends) - 1
        assert seconds(file, damage.append) == list(range(1, [1, 1, 4, 6, 10][whole]))
        cut = [] if size in ends else [(ends[whole], size - ends[whole])]
        assert [(found.offset, found.size_bytes) for found in damage] == cut


@given(st.data())
def test_a_changed_byte_loses_no_more_than_its_document(file: Path, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(WHOLE) - 1))
    content = bytearray(WHOLE)
    content[at] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    damage: list[Damage] = []
    found = set(seconds(file, damage.append))
    ends = [sum(map(len, PARTS[: number + 1])) for number in range(len(PARTS))]
    hit = next(number for number, end in enumerate(ends) if at < end)
    expected = [set(), {1, 2, 3}, {4, 5}, {6, 7, 8, 9}]
    for number, group in enumerate(expected):
        assert group <= found or number == hit
    if not damage:
        assert found == set().union(*expected)
    else:
        assert all(each.offset <= at < each.offset + each.size_bytes for each in damage)


def test_after_garbage_the_next_document_is_found(file: Path) -> None:
    garbage = bytes(range(1, 256)) * 3000  # more than is read at a time
    file.write_bytes(samples(1, 2) + garbage + samples(3, 2) + b"\x00" * 7 + samples(5, 1))
    damage: list[Damage] = []
    assert seconds(file, damage.append) == [1, 2, 3, 4, 5]
    assert [found.size_bytes for found in damage] == [len(garbage), 7]
    assert str(damage[1]).endswith("no document begins here (7 bytes are passed over)")


def test_the_next_document_is_found_wherever_its_head_lies_in_the_blocks_that_are_read(file: Path) -> None:
    for before_end in (1, 2, 11, 21, 22, 23, 24):
        file.write_bytes(b"\xff" * (_BLOCK_BYTES - before_end) + samples(1, 2))
        assert seconds(file, lambda _: None) == [1, 2]


def test_what_is_no_diagnostic_data_at_all_is_one_damage(file: Path) -> None:
    file.write_bytes(b"2026-01-31T12:00:00 a log, say\n" * 20_000)
    damage: list[Damage] = []
    assert not seconds(file, damage.append)
    assert [found.size_bytes for found in damage] == [620_000]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (document(1, 5), "a metric chunk without content"),
        (document(1, 5, data="text"), "a metric chunk without content"),
        (document(0, 5), "metadata without content"),
        (document(7, 5), "unknown type 7"),
        (document(1, 5).replace(b"_id", b"_ie"), "none of the server's"),
        (metric_chunk({"start": [1, 2]}, samples=1 << 31), "more than any server writes"),
        (metadata(5, {"a": DatetimeMS(1 << 62)}), ""),
    ],
)
def test_a_document_that_is_wrong_is_passed_over_with_its_reason(content: bytes, says: str, file: Path) -> None:
    file.write_bytes(content + samples(1, 2))
    damage: list[Damage] = []
    assert seconds(file, damage.append) == [1, 2]
    assert [says in found.reason for found in damage] == ([True] if says else [])


def test_who_asks_for_no_damage_finds_it_in_the_log(file: Path) -> None:
    file.write_bytes(samples(1, 2)[:-1])
    with capture_logs() as said:
        assert not list(ftdc.read(file))
    assert [(line["event"], line["offset"]) for line in said] == [("diagnostic data is damaged", 0)]
