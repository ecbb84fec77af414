import gzip
import threading
from pathlib import Path

import pytest

from dsi.errors import ReportError
from dsi.report.test_files import Stopped, output_of

CLIENT = "workload_client.0"


def test_output_files_are_found_where_they_were_fetched_to(tmp_path: Path) -> None:
    (tmp_path / "test_output.log").write_text("log\n")
    (tmp_path / "out.csv").write_text("first\n")
    second = tmp_path / CLIENT / "b" / "out.csv"
    second.parent.mkdir(parents=True)
    second.write_text("second\n")
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "x.json.gz").write_bytes(gzip.compress(b"packed\n"))
    output = output_of("t", tmp_path, ["a/out.csv", "/b/out.csv", "c/folder", "gone.csv"], client=CLIENT)
    assert [list(lines) for lines in output.sources()] == [["first"], ["second"], ["packed"], ["log"]]
    assert [lines.name for lines in output.sources()][1:3] == [f"{CLIENT}/b/out.csv", "folder/deep/x.json.gz"]
    assert output.missing == ["gone.csv"]


def test_the_usual_file_of_a_type_is_read_though_a_hook_has_fetched_it(tmp_path: Path) -> None:
    (tmp_path / CLIENT).mkdir()
    (tmp_path / CLIENT / "fio.json").write_text("fetched\n")
    for usual, found in (("fio.json", ["fetched"]), ("iperf.json", []), ("test_output.log", [])):
        output = output_of("t", tmp_path, [], usual, client=CLIENT)
        assert [line for lines in output.files for line in lines] == found
        assert output.missing == []


def test_what_cant_be_read_is_an_error_of_the_reports(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"no gzip")
    output = output_of("t", tmp_path, ["x.gz"], client=CLIENT)
    with pytest.raises(ReportError, match="can't be read"):
        list(output.files[0])


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        ("[OVERALL], 1\n[OVERALL], 98\nexit_status: 137 'failed; its last line has no end'\n", ["[OVERALL], 1"]),
        ("[OVERALL], 98\nexit_status: 137 'failed'\n", ["[OVERALL], 98"]),
        ("[OVERALL], 98\nexit_status: 0 'success'\n", ["[OVERALL], 98"]),
        ("{\"a\": 98}\nexit_status: 1 'failed; its last line has no end'\n", ['{"a": 98}']),
        ("[OVERALL], 1\n[OVERALL], 98", ["[OVERALL], 1"]),
        ("98\nexit_status: 1 'failed; its last line has no end'\n", []),
    ],
    ids=["killed", "killed after a line", "ended well", "whole JSON", "dsi was killed", "nothing else"],
)
def test_a_number_that_the_end_of_cmd_may_have_cut_off_is_not_read(tmp_path: Path, log: str, lines: list[str]) -> None:
    (tmp_path / "test_output.log").write_text(log)
    (tmp_path / "out").write_text("1\n23")
    output = output_of("t", tmp_path, ["out"], client=CLIENT)
    assert [line for line in output.log if line and "exit_status" not in line] == lines
    well = "exit_status: 0" in log
    assert list(output.files[0]) == (["1", "23"] if well else ["1"])
    assert ("out" in output.unfinished, "test_output.log" in output.unfinished) == (not well, "98" not in str(lines))


def test_a_log_that_somebody_has_deleted_is_empty(tmp_path: Path) -> None:
    assert list(output_of("t", tmp_path, [], client=CLIENT).log) == []


def test_reading_can_be_called_off(tmp_path: Path) -> None:
    (tmp_path / "test_output.log").write_text("x\n")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        list(output_of("t", tmp_path, [], client=CLIENT, stop=stop).log)
