"""Diagnostic data of a real server, against what it says itself."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bench.ftdc_plain import metrics_of
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from tests.integration.mongodb_bed import CONFIG, bed_of, client, until

from dsi import ftdc
from dsi.ftdc import Damage
from dsi.systems.mongodb import embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

RAW = CodecOptions(document_class=RawBSONDocument)
OFTEN = {**CONFIG, "setParameter": {"diagnosticDataCollectionPeriodMillis": 100}}
CRASH = "pid=$(cat data/dbs/mongod.lock); kill -KILL $pid; while kill -0 $pid; do sleep 0.01; done 2>&-"
INSERTS = "serverStatus.opcounters.insert"

Sample = list[tuple[str, int]]
"""A sample's metrics, in the server's order."""


async def said_now(server: AsyncMongoClient[dict[str, Any]]) -> tuple[int, Sample]:
    """The newest sample and its time, as the server itself gives it; two of one name are two."""
    reply: Any = await server.admin.command("getDiagnosticData", codec_options=RAW)
    sample = list(metrics_of(bytes(reply["data"].raw)))
    return sample[0][1], sample


async def has_begun(server: AsyncMongoClient[dict[str, Any]]) -> bool:
    return bool((await server.admin.command("getDiagnosticData"))["data"])


def fail(damage: Damage) -> None:
    raise AssertionError(damage)


def times(folder: Path, damaged: ftdc.Damaged = fail) -> list[int]:
    return [time for chunk in ftdc.read(folder, damaged) for time in chunk.times_ms.tolist()]


def compared(folder: Path, said: Mapping[int, Sample]) -> int:
    """Compare each sample that the server gave with what its files have; gives how many that were."""
    count = 0
    for chunk in ftdc.read(folder, fail):
        names = [name.removesuffix("#2") for name in chunk.names]
        for time, values in zip(chunk.times_ms.tolist(), chunk.values().T.tolist(), strict=True):
            if time in said:
                assert list(zip(names, values, strict=True)) == said[time]
                count += 1
    return count


async def test_files_have_what_the_server_said_itself_after_a_crash_and_after_a_clean_end(tmp_path: Path) -> None:
    """Metric by metric; after a crash metrics.interim has the last of it; after a restart each sample comes once."""
    async with bed_of(tmp_path, 1) as bed:
        deployment = await bed.deployment(bed.standalone(config=OFTEN))
        await deployment.install()
        await deployment.start()
        said: dict[int, Sample] = {}
        async with client(deployment) as server:
            await until(lambda: has_begun(server))
            (folder,) = tmp_path.glob("**/diagnostic.data")
            for count in range(1, 21):
                await server.test.things.insert_many([{"number": number} for number in range(50)])
                time, said[time] = await said_now(server)
                assert dict(said[time])[INSERTS] <= 50 * count
            status = await server.admin.command("serverStatus")
            assert status["opcounters"]["insert"] == 1000

            changing: list[Damage] = []  # a running server removes its files while they are read

            async def counted_and_written() -> bool:
                """A sample has all inserts, and metrics.interim, which comes with every tenth, has that sample."""
                time, said[time] = await said_now(server)
                written = [time for time in said if dict(said[time])[INSERTS] == 1000]
                there = max(times(folder, changing.append), default=0)
                return bool(written) and (folder / "metrics.interim").exists() and there >= written[0]

            await until(counted_and_written)
        await bed.hosts[bed.addresses[0]].run(CRASH)
        shutil.copytree(folder, crashed := tmp_path / "crashed")
        assert (crashed / "metrics.interim").exists()
        assert compared(crashed, said) >= 5
        assert ftdc.series(crashed, [INSERTS], fail)[INSERTS].values[-1] == 1000
        (server_there,) = ftdc.servers(crashed)
        assert server_there.startswith(f"MongoDB {status['version']} on {status['host']}")

        await deployment.restart()
        async with client(deployment) as server:
            await until(lambda: has_begun(server))
            time, said[time] = await said_now(server)
        await deployment.stop()
    assert not (folder / "metrics.interim").exists()
    read = times(folder)
    assert read == sorted(set(read))
    assert set(times(crashed)) < set(read)
    assert time in read
    assert compared(folder, said) > compared(crashed, said)
