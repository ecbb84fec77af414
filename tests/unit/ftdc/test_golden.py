"""Files of a real server, against what it said itself at the same times: see tests/golden/ftdc/README.md."""

import gzip
import json
from pathlib import Path

import numpy as np
from bench.ftdc_plain import decode, packed_chunks

from dsi import ftdc
from dsi.ftdc import Damage

GOLDEN = Path(__file__).parents[2] / "golden" / "ftdc"
DATA = GOLDEN / "diagnostic.data"


def fail(damage: Damage) -> None:
    raise AssertionError(damage)


def test_every_metric_is_what_the_server_said_itself_in_its_order() -> None:
    said: dict[str, list[list[object]]] = json.loads(
        gzip.decompress((GOLDEN / "getDiagnosticData.json.gz").read_bytes())
    )
    missing = {int(time) for time in said}
    for chunk in ftdc.read(DATA, fail):
        values = chunk.values()
        for time in missing & set(chunk.times_ms.tolist()):
            missing.remove(time)
            column = values[:, chunk.times_ms.tolist().index(time)].tolist()
            names = [name.removesuffix("#2") for name in chunk.names]
            assert [list(pair) for pair in zip(names, column, strict=True)] == said[str(time)]
    assert not missing


def test_samples_follow_each_other_at_the_period_that_was_set_into_metrics_interim() -> None:
    times_ms = np.concatenate([chunk.times_ms for chunk in ftdc.read(DATA, fail)])
    assert len(times_ms) == 387
    assert (np.diff(times_ms) > 0).all()
    assert 99 <= np.median(np.diff(times_ms)) <= 101
    inserts = ftdc.series(DATA, ["serverStatus.opcounters.insert"], fail)["serverStatus.opcounters.insert"]
    assert inserts.values[-1] == 1007  # two are the replica set's own
    assert inserts.times_ms.tolist() == times_ms.tolist()


def test_the_decoder_in_plain_python_that_the_benchmark_compares_with_gives_the_same() -> None:
    for file in ftdc.files(DATA):
        for packed, chunk in zip(packed_chunks(file.read_bytes()), ftdc.read(file, fail), strict=True):
            columns = [(name.removesuffix("#2"), chunk.column(name).tolist()) for name in chunk.names]
            assert decode(packed) == columns


def test_metadata_says_which_server_it_was() -> None:
    (found,) = ftdc.metadata(DATA, fail)
    assert found.document["buildInfo"]["version"] == "6.0.5"
    assert found.document["hostInfo"]["system"]["hostname"] == "db.example"
