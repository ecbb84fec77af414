"""What servers measured of themselves against the rules."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import bson
import numpy as np
import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from tests.unit.analysis.folder_bed import BEGUN_S, Reports
from tests.unit.ftdc.encoder import chunk, document

from dsi.analysis import RULES
from dsi.analysis.rules import FtdcRule
from dsi.ftdc import Series

GOLDEN = Path(__file__).parents[2] / "golden" / "ftdc" / "diagnostic.data"
"""Of a real mongod 6.0.5 that was well."""

CACHE = "serverStatus.wiredTiger.cache."


def series(*values: int, first_s: int = 0, times_s: Sequence[int] | None = None) -> Series:
    """Give a sample a second."""
    times = np.array(times_s if times_s is not None else range(first_s, first_s + len(values)), np.int64) * 1000
    return Series(times, np.array(values, np.int64))


def found(rule: str, **samples: Series) -> list[tuple[float, float, str]]:
    """Give the episodes that a rule finds in metrics that have _ for a dot."""
    checked = RULES[rule]
    assert isinstance(checked, FtdcRule)
    return [(one.start_s, one.end_s, one.how) for one in checked.check(samples)]


def members(primary_s: Sequence[int], secondary_s: Sequence[int], *, state: int = 2) -> dict[str, Series]:
    count = len(primary_s)
    return {
        "replSetGetStatus.members.0.self": series(*[1] * count),
        "replSetGetStatus.members.0.state": series(*[1] * count),
        "replSetGetStatus.members.0.optimeDate": series(*(1000 * at for at in primary_s)),
        # It came in a second later: the two series have not the same times.
        "replSetGetStatus.members.2.state": series(*[state] * (count - 1), first_s=1),
        "replSetGetStatus.members.2.optimeDate": series(*(1000 * at for at in secondary_s[1:]), first_s=1),
    }


def test_a_secondary_that_falls_behind_its_primary_is_found_with_when_and_how_much() -> None:
    lag = members([100, 101, 102, 103, 104, 105, 106, 107], [100, 101, 85, 86, 80, 81, 106, 107])
    assert found("replica_lag", **lag) == [(2, 5, "member 2 was up to 24 s behind")]


def test_a_primary_that_writes_after_a_pause_or_has_no_secondary_there_is_no_lag() -> None:
    assert found("replica_lag", **members([100, 100, 130, 131, 132], [100, 100, 100, 131, 132])) == []
    down = members([100] * 8, [10] * 8, state=8)
    assert found("replica_lag", **down) == []


def test_a_member_that_is_recovering_is_found() -> None:
    assert found("member_state", **{"replSetGetStatus.myState": series(2, 2, 3, 3, 2, 9)}) == [
        (2, 3, "it was RECOVERING"),
        (5, 5, "it was ROLLBACK"),
    ]


def test_cache_rules_look_at_its_limit_and_at_how_long() -> None:
    used, dirty, limit = (
        f"{CACHE}{name}"
        for name in ("bytes currently in the cache", "tracked dirty bytes in the cache", "maximum bytes configured")
    )
    samples = {used: series(*[96] * 12, *[50] * 3, *[110] * 3), dirty: series(*[5] * 18), limit: series(*[100] * 18)}
    assert found("cache_pressure", **samples) == [(0, 11, "up to 96% full, 5% of it not written yet")]
    assert found("cache_over_limit", **samples) == [(15, 17, "up to 110% of its limit")]
    samples[dirty] = series(*[5] * 8, *[30] * 10)
    samples[used] = series(*[50] * 18)
    assert found("cache_pressure", **samples) == [(8, 17, "up to 50% full, 30% of it not written yet")]


def test_an_oplog_is_short_only_once_it_is_full() -> None:
    def samples(size: int) -> dict[str, Series]:
        return {
            "serverStatus.oplog.latestOptime.t": series(1100, 1101, 1102),
            "serverStatus.oplog.earliestOptime.t": series(1000, 1000, 1001),
            "local.oplog.rs.stats.size": series(size, size, size),
            "local.oplog.rs.stats.maxSize": series(100, 100, 100),
        }

    assert found("oplog_window", **samples(20)) == []
    assert found("oplog_window", **samples(95)) == [(0, 2, "the oplog reached back 100 s")]


def test_connections_checkpoints_and_stalls() -> None:
    connections = {
        "serverStatus.connections.current": series(10, 95, 10),
        "serverStatus.connections.available": series(90, 5, 90),
    }
    assert found("connections", **connections) == [(1, 1, "up to 95 connections, 95% of what it takes")]
    checkpoint = "serverStatus.wiredTiger.transaction.transaction checkpoint most recent time (msecs)"
    assert found("slow_checkpoint", **{checkpoint: series(10, 90_000)}) == [(1, 1, "the slowest took 90 s")]
    uptime = series(1, 2, 3, 30, 31, times_s=[0, 1, 2, 29, 30])
    assert found("server_stall", **{"serverStatus.uptime": uptime}) == [(2, 29, "nothing was measured for 27 s")]


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if isinstance(rule, FtdcRule)])
def test_a_server_that_does_not_measure_something_is_no_finding(rule: str) -> None:
    assert found(rule) == []


@pytest.fixture
def real(tmp_path: Path) -> Reports:
    """A folder with the golden data; its test is yet to be written."""
    reports = Reports(tmp_path, timeline=False)
    shutil.copytree(GOLDEN, tmp_path / "t" / "mongod.0" / "first" / "diagnostic.data")
    return reports


def test_a_real_server_that_was_well_has_no_finding(real: Reports) -> None:
    found = real.analyze()
    assert found.findings == []
    assert [one.file for one in found.folder.diagnostics] == ["t/mongod.0/first/diagnostic.data"]


def test_damaged_diagnostic_data_are_told_and_the_rest_is_read(real: Reports) -> None:
    file = next((real.path / "t/mongod.0/first/diagnostic.data").glob("metrics.2*"))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    finding = real.the_finding()
    assert (finding.rule, finding.severity, finding.node) == ("ftdc_damaged", "warning", "first")
    assert finding.file == f"t/mongod.0/first/diagnostic.data/{file.name}"


def measured(reports: Reports, times_s: Sequence[float]) -> None:
    """Write diagnostic data with a sample at each of these times, as a server would."""
    times_ms = [round(1000 * (BEGUN_S + at_s)) for at_s in times_s]
    first = bson.encode({"start": DatetimeMS(times_ms[0]), "serverStatus": {"uptime": Int64(1)}})
    data = chunk(first, [times_ms, range(1, len(times_ms) + 1)])
    folder = reports.path / "t" / "mongod.0" / "first" / "diagnostic.data"
    folder.mkdir(parents=True)
    (folder / "metrics.2027-01-15T08-00-00Z-00000").write_bytes(document(1, times_ms[0], data=data))


STALLED = [*range(1, 40), *range(65, 130)]


def test_a_server_that_stopped_measuring_is_found_with_test_and_time(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    reports.a_test(10, 100)
    measured(reports, STALLED)
    finding = reports.the_finding()
    assert (finding.rule, finding.severity, finding.test, finding.node) == ("server_stall", "warning", "t", "first")
    assert finding.time_s == BEGUN_S + 39
    assert "for 26 s" in finding.text


def test_what_a_restart_brings_with_it_is_expected_and_what_a_command_may_have_done_names_it(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    reports.span(50, 60, "restart_mongodb", mode="crash")
    reports.a_test(10, 100)
    measured(reports, STALLED)
    assert reports.found() == []
    (tmp_path / "timeline.jsonl").unlink()
    reports.event(0, "timeline", version=1)
    reports.span(38, 60, "during_test_command", path="a.path", command={"on_mongod": "stop it"})
    reports.a_test(10, 100)
    assert "a.path" in reports.the_finding().message


def test_what_was_measured_before_and_after_a_test_is_none_of_its(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    reports.a_test(66, 100)
    measured(reports, STALLED)
    assert reports.found() == []
