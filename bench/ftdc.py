"""Diagnostic data: dsi's decoder against zlib alone, and against the same in plain Python.

A full chunk that a server wrote (2,327 metrics, 300 samples; tests/golden/ftdc), forty times; a value has eight bytes.
"""

import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import bson

from bench.ftdc_plain import decode
from bench.series import Comparison
from dsi import ftdc

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "ftdc" / "diagnostic.data"
COPIES = 40
WANTED = ["serverStatus.opcounters.insert", "serverStatus.connections.current", "replSetGetStatus.myState"]


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times each."""
    with tempfile.TemporaryDirectory(prefix="dsi-bench-") as folder:
        files = [Path(folder, f"metrics.{number}") for number in range(COPIES)]  # in one file each would come once
        full = max(bson.decode_file_iter(ftdc.files(GOLDEN)[0].open("rb")), key=lambda each: len(each.get("data", b"")))
        for file in files:
            file.write_bytes(bson.encode(full))
        return _compare(files, full["data"][4:], rounds)


def _compare(files: list[Path], packed: bytes, rounds: int) -> list[Comparison]:
    def values() -> int:
        return sum(chunk.values().nbytes for file in files for chunk in ftdc.read(file))

    megabytes = values() / 1e6
    took_s = _in_turn(
        rounds,
        {
            "all": values,
            "three": lambda: [ftdc.series(file, WANTED) for file in files],
            "zlib": lambda: [zlib.decompress(packed) for _ in files],
            "plain": lambda: decode(packed),
        },
    )
    took_s["plain"] = [seconds * COPIES for seconds in took_s["plain"]]  # once is long enough

    def rate(name: str) -> str:
        return f"{megabytes / sorted(took_s[name])[rounds // 2]:,.0f} MB/s"

    what = f"FTDC, {megabytes:.0f} MB of values: {rate('all')}"
    return [
        Comparison(what, f"zlib alone: {rate('zlib')}", took_s["all"], took_s["zlib"], goal=15),
        Comparison(what, f"plain Python: {rate('plain')}", took_s["all"], took_s["plain"], goal=0.1),
        Comparison(f"three metrics of it: {rate('three')}", "zlib alone", took_s["three"], took_s["zlib"]),
    ]


def _in_turn(rounds: int, actions: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    taken_s: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds):
        for name in list(actions) if number % 2 else reversed(list(actions)):
            begun_s = time.perf_counter()
            actions[name]()
            taken_s[name].append(time.perf_counter() - begun_s)
    return taken_s
