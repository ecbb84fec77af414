"""Metric chunks: bytes → columns."""

import struct
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any

import bson
import numpy as np
import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ftdc.encoder import chunk, packed, reference, varint

from dsi.ftdc.chunk import MOST_UNPACKED_BYTES, decode
from dsi.ftdc.damage import Unreadable
from dsi.ftdc.varints import differences, varints

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
VALUE = st.one_of(st.just(7), st.integers(0, 300), INT64)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[int]]:
    count = draw(st.integers(1, 12))
    column = st.lists(VALUE, min_size=count, max_size=count)
    names = draw(st.lists(st.text("abc. é#2", min_size=1, max_size=4), unique=True, max_size=5))
    return {"start": draw(column)} | {name: draw(column) for name in names if name != "start"}


@given(tables())
def test_what_the_server_writes_is_read_back_exactly(table: dict[str, list[int]]) -> None:
    decoded, _ = decode(chunk(reference(table), table.values()))
    assert decoded.names == tuple(table)
    assert decoded.times_ms.tolist() == table["start"]
    assert {name: decoded.column(name).tolist() for name in table} == table
    assert dict(zip(decoded.names, decoded.values().tolist(), strict=True)) == table


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(0, (1 << 64) - 1)), max_size=50))
def test_numbers_of_every_length_are_unpacked(numbers: list[int]) -> None:
    assert varints(b"".join(map(varint, numbers))).tolist() == numbers


def test_runs_of_zeros_that_the_server_would_have_joined_are_read_one_after_the_other() -> None:
    """A run of one zero is `0 0`; so four zeros in a row may be two runs, or one and the beginning of the next."""
    places, numbers = differences(np.array([0, 0, 0, 0, 5, 0, 0, 0, 2, 6], np.uint64), 8)
    assert dict(zip(places.tolist(), numbers.tolist(), strict=True)) == {2: 5, 7: 6}
    assert differences(np.array([0, 0, 0, 0], np.uint64), 2)[0].size == 0


def test_a_counter_that_goes_back_or_wraps_keeps_its_64_bits() -> None:
    most = (1 << 63) - 1
    table = {"start": [0, 1, 2, 3], "wraps": [most, -(1 << 63), -1, 0]}
    assert decode(chunk(reference(table), table.values()))[0].column("wraps").tolist() == table["wraps"]


def one_sample(content: dict[str, Any]) -> dict[str, int]:
    """What is read of a chunk that has only the first sample."""
    encoded = bson.encode({"start": DatetimeMS(5), **content})
    size = len(encoded)
    for count in range(200):
        data = struct.pack("<I", size + 8) + zlib.compress(encoded + struct.pack("<II", count, 0))
        try:
            decoded, _ = decode(data)
        except Unreadable as problem:
            assert "metrics whose reference document has" in str(problem)  # noqa: PT017  it says how many there are
            continue
        return dict(zip(decoded.names, decoded.values()[:, 0].tolist(), strict=True))
    raise AssertionError


def test_metrics_are_numbers_booleans_dates_and_timestamps_in_the_order_of_the_document() -> None:
    sample = {
        "host": "a text is none",
        "serverStatus": {
            "uptime": 3.99,
            "below": -3.99,
            "ok": True,
            "none": None,
            "now": DatetimeMS(-1),
            "ts": Timestamp(7, 9),
            "id": bson.ObjectId(),
            "bytes": b"none either",
        },
        "members": [{"state": 1}, {"state": Int64(2)}, 3],
        "decimal": Decimal128("2.5"),
        "empty": {},
    }
    found = one_sample(sample)
    assert list(found.items()) == [
        ("start", 5),
        ("serverStatus.uptime", 3),
        ("serverStatus.below", -3),
        ("serverStatus.ok", 1),
        ("serverStatus.now", -1),
        ("serverStatus.ts.t", 7),
        ("serverStatus.ts.i", 9),
        ("members.0.state", 1),
        ("members.1.state", 2),
        ("members.2", 3),
        ("decimal", 2),
    ]


def test_a_double_that_no_integer_can_hold_becomes_the_nearest_and_nan_zero() -> None:
    sample = {
        "nan": float("nan"),
        "more": float("inf"),
        "less": -1e300,
        "limit": 2.0**63,
        "decimal": Decimal128("1E40"),
    }
    sample["no"] = Decimal128("NaN")
    most, least = (1 << 63) - 1, -(1 << 63)
    expected = {"start": 5, "nan": 0, "more": most, "less": least, "limit": most, "decimal": most, "no": 0}
    assert one_sample(sample) == expected


def twice(name: str, first: int, second: int) -> bytes:
    """A document that has one name two times, as mounts have that lie over each other."""
    elements = [b"\x12" + name.encode() + b"\x00" + struct.pack("<q", value) for value in (first, second)]
    start = b"\x09start\x00" + struct.pack("<q", 1)
    content = start + b"".join(elements)
    return struct.pack("<i", len(content) + 5) + content + b"\x00"


def test_a_name_that_comes_twice_is_two_metrics() -> None:
    decoded, _ = decode(chunk(twice("/dev/shm", 3, 4), [[1, 2], [3, 30], [4, 40]]))
    assert decoded.names == ("start", "/dev/shm", "/dev/shm#2")
    assert decoded.column("/dev/shm").tolist() == [3, 30]
    assert decoded.column("/dev/shm#2").tolist() == [4, 40]


def test_a_metric_that_isnt_there_is_a_key_error() -> None:
    decoded, _ = decode(chunk(reference({"start": [1]}), [[1]]))
    with pytest.raises(KeyError):
        decoded.column("uptime")


def test_a_name_also_finds_what_has_a_role_of_a_sharded_cluster_before_it() -> None:
    sample = bson.encode({"start": DatetimeMS(1), "shard": {"serverStatus": {"uptime": 8}}})
    decoded, _ = decode(chunk(sample, [[1, 2], [8, 9]]))
    assert decoded.find("serverStatus.uptime") == "shard.serverStatus.uptime"
    assert decoded.find("serverStatus.pid") is None


TABLE = {"start": [1, 2, 3, 4], "a": [5, 5, 5, 5], "b": [7, 7, 8, 8]}


@pytest.mark.parametrize(
    "lies",
    [
        {"samples": 1 << 31},
        {"samples": (1 << 32) - 1, "metrics": 3},
        {"metrics": (1 << 32) - 1},
        {"metrics": 2},
        {"samples": 2},
        {"samples": 4},
        {"unpacked_bytes": (1 << 32) - 1},
        {"unpacked_bytes": MOST_UNPACKED_BYTES},
        {"unpacked_bytes": 10},
        {"unpacked_bytes": 0},
    ],
)
def test_a_chunk_that_lies_about_its_size_is_unreadable_and_takes_no_memory(lies: dict[str, int]) -> None:
    data = chunk(reference(TABLE), TABLE.values(), **lies)
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_chunk_that_unpacks_to_more_than_the_server_writes_is_not_unpacked() -> None:
    bomb = struct.pack("<I", MOST_UNPACKED_BYTES) + zlib.compress(bytes(4 * MOST_UNPACKED_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="says it has 10,000,000 bytes"):
            decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST_UNPACKED_BYTES
    finally:
        tracemalloc.stop()


def unpacked(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + zlib.compress(content)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "without content"),
        (b"\x05\x00\x00\x00nonsense", "zlib"),
        (unpacked(b"\x05\x00\x00\x00\x00")[:-1] + b"!", "zlib"),
        (unpacked(b"\x05\x00\x00\x00\x00")[:-1], "and hasn't"),
        (unpacked(b""), "cut off"),
        (unpacked(struct.pack("<i", 500) + bytes(100)), "cut off"),
        (unpacked(struct.pack("<i", -1) + bytes(100)), "cut off"),
        (unpacked(struct.pack("<i", 20) + b"\x77" * 15 + bytes(40)), "no BSON"),
        (unpacked(bson.encode({"a": 1}) + struct.pack("<II", 1, 0)), "no time"),
        (unpacked(reference(TABLE) + struct.pack("<II", 3, 3) + b"\x80" * 9), "cut off"),
        (unpacked(reference(TABLE) + struct.pack("<II", 3, 3) + b"\x80" * 12 + b"\x01"), "more than 10 bytes"),
        (unpacked(reference(TABLE) + struct.pack("<II", 3, 3) + varint(0) + varint((1 << 64) - 1)), "longer than"),
        (unpacked(reference(TABLE) + struct.pack("<II", 3, 3) + packed([1] * 9) + varint(0)), "no length"),
    ],
)
def test_what_is_wrong_with_a_chunk_is_said(data: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        decode(data)


def test_a_document_that_is_nested_without_end_is_unreadable() -> None:
    nested = {"start": DatetimeMS(1)}
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"d": deep}
    with pytest.raises(Unreadable, match="levels"):
        decode(unpacked(bson.encode({**nested, **deep}) + struct.pack("<II", 1, 0)))
    abyss = b"\x05\x00\x00\x00\x00"
    for _ in range(100_000 // 8):
        abyss = struct.pack("<i", len(abyss) + 8) + b"\x03d\x00" + abyss + b"\x00"
    with pytest.raises(Unreadable):
        decode(unpacked(abyss + struct.pack("<II", 1, 0)))


@given(st.binary(max_size=300))
def test_no_content_raises_anything_else(content: bytes) -> None:
    for data in (content, unpacked(content), unpacked(reference(TABLE) + content)):
        with suppress(Unreadable):
            decode(data)


@given(st.data())
def test_a_changed_byte_of_the_unpacked_chunk_raises_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(zlib.decompress(chunk(twice("$ref", 3, 4), [[1, 2], [3, 30], [4, 40]])[4:]))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Unreadable):
        decode(unpacked(bytes(whole)))
