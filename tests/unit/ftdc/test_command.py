"""`dsi ftdc`."""

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.ftdc.encoder import Columns, metadata, metric_chunk

from dsi import cli

GOLDEN = Path(__file__).parents[2] / "golden" / "ftdc" / "diagnostic.data"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `dsi ftdc`; gives exit status, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["ftdc", *map(str, arguments)])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


def test_without_options_it_shows_which_server_when_and_how_to_go_on(run: Run) -> None:
    status, out, _ = run(GOLDEN)
    assert status == 0
    assert "2 files, 94,758 bytes" in out
    assert "MongoDB 6.0.5 on db.example\n" in out
    assert "from     2026-11-24T03:47:25.500Z\nto       2026-11-24T03:48:04.200Z\n" in out
    assert "samples  387, one each 0.1 s" in out
    assert "--metric NAME" in out
    assert "gap" not in out


def test_gaps_and_a_clock_that_was_set_back_are_shown(run: Run, tmp_path: Path) -> None:
    times = [1000, 2000, 3000, 63_000, 64_000, 60_000, 61_000]
    (file := tmp_path / "metrics.0").write_bytes(metric_chunk({"start": times}))
    status, out, _ = run(file)
    assert status == 0
    assert "gap      60.0 s, from 1970-01-01T00:00:03.000Z to 1970-01-01T00:01:03.000Z" in out
    assert "gap      -4.0 s, from 1970-01-01T00:01:04.000Z to 1970-01-01T00:01:00.000Z" in out
    assert "1 file, " in out
    assert "server" not in out


def test_a_list_has_every_metric_with_least_greatest_and_last_value(run: Run) -> None:
    status, out, _ = run(GOLDEN, "--list")
    lines = out.splitlines()
    assert status == 0
    assert len(lines) == 1 + 2329
    assert lines[0].split() == ["least", "greatest", "last", "metric"]
    assert ["0", "1007", "1007", "serverStatus.opcounters.insert"] in [line.split(None, 3) for line in lines]


def test_metrics_by_pattern_are_those_and_no_others(run: Run) -> None:
    _, out, _ = run(GOLDEN, "--metric", "*.opcounters.[iu]*", "--metric", "serverStatus.uptime")
    names = [line.split(None, 3)[3] for line in out.splitlines()[1:]]
    assert names == ["serverStatus.opcounters.insert", "serverStatus.opcounters.update", "serverStatus.uptime"]


def test_csv_has_a_line_per_sample_and_nothing_where_a_metric_was_not_there(run: Run, tmp_path: Path) -> None:
    first: Columns = {"start": [1000, 2000], 'a "b", c': [1, -2]}
    second: Columns = {"start": [3000], "more": [7]}
    (file := tmp_path / "metrics.0").write_bytes(metric_chunk(first) + metric_chunk(second))
    status, out, _ = run(file, "--csv", "--metric", "a*", "--metric", "more")
    assert status == 0
    assert list(csv.reader(out.splitlines())) == [
        ["time", 'a "b", c', "more"],
        ["1970-01-01T00:00:01.000Z", "1", ""],
        ["1970-01-01T00:00:02.000Z", "-2", ""],
        ["1970-01-01T00:00:03.000Z", "", "7"],
    ]


def test_times_of_any_year_are_shown(run: Run, tmp_path: Path) -> None:
    (file := tmp_path / "metrics.0").write_bytes(metric_chunk({"start": [-(1 << 62), 1 << 62]}))
    assert run(file, "--csv")[0] == 0
    assert run(file)[0] == 0


def test_a_metric_that_is_not_there_is_an_error_with_one_that_is_near(run: Run) -> None:
    status, out, error = run(GOLDEN, "--metric", "opcounters.insert")
    assert (status, out) == (3, "")
    assert 'there is no metric "opcounters.insert" (did you mean "serverStatus.opcounters.insert"?)' in error
    assert '(did you mean "serverStatus.uptime"?)' in run(GOLDEN, "--metric", "serverStatus.uptme")[2]
    assert 'no metric matches "nix*"' in run(GOLDEN, "--csv", "--metric", "nix*")[2]


def test_a_metric_is_found_without_its_role_in_a_sharded_cluster(run: Run, tmp_path: Path) -> None:
    columns: Columns = {"start": [1], "shard.serverStatus.uptime": [5], "router.serverStatus.pid": [6]}
    (file := tmp_path / "metrics.0").write_bytes(metric_chunk(columns))
    assert "5  shard.serverStatus.uptime" in run(file, "--metric", "serverStatus.uptime")[1]
    assert "6  router.serverStatus.pid" in run(file, "--metric", "serverStatus.p*")[1]


def test_damage_is_said_and_the_rest_is_shown(run: Run, tmp_path: Path) -> None:
    content = metric_chunk({"start": [1000, 2000], "a": [5, 6]})
    (file := tmp_path / "metrics.0").write_bytes(content + content[:-1])
    status, out, error = run(file, "--metric", "a")
    assert status == 0
    assert "5         6     6  a" in out
    assert error.count("damaged") == 1
    assert f"{file}: at byte {len(content)}: a document of {len(content)} bytes begins here" in error


def test_where_nothing_can_be_read_is_an_error(run: Run, tmp_path: Path) -> None:
    assert run(tmp_path / "gone")[0] == 3
    assert "no diagnostic data" in run(tmp_path)[2]
    (file := tmp_path / "metrics.0").write_bytes(b"")
    assert "no sample can be read; the server had not written any yet" in run(file, "--list")[2]
    assert run(file)[0] == 3
    file.write_bytes(b"nonsense" * 100)
    assert "no sample can be read: " in run(file, "--csv")[2]
    file.write_bytes(metadata(5, {"buildInfo": {"version": "6.0.5"}}))
    assert "no sample can be read" in run(file)[2]


def test_list_and_csv_are_not_for_one_call(run: Run) -> None:
    assert run(GOLDEN, "--list", "--csv")[0] == 2


def test_who_has_seen_enough_may_close_the_pipe() -> None:
    dsi = Path(sys.executable).with_name("dsi")
    shown = subprocess.run(
        f"{dsi} ftdc {GOLDEN} --csv | head -n 1 | cut -c 1-10", shell=True, capture_output=True, text=True, check=True
    )
    assert (shown.stdout, shown.stderr) == ("time,start\n", "")
