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


def test_a_log_that_somebody_has_deleted_is_empty(tmp_path: Path) -> None:
    assert list(output_of("t", tmp_path, [], client=CLIENT).log) == []


def test_reading_can_be_called_off(tmp_path: Path) -> None:
    (tmp_path / "test_output.log").write_text("x\n")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        list(output_of("t", tmp_path, [], client=CLIENT, stop=stop).log)
