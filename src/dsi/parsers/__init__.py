"""Benchmark output → metrics. Pure: text in, numbers out (the parsers themselves come with a later version)."""

from typing import Final

KNOWN_TYPES: Final = (
    "fio",
    "genny",
    "genny_canaries",
    "iperf",
    "k6",
    "linkbench",
    "linkbench2",
    "locust",
    "mongoshell",
    "cpu_noise",
    "shell",
    "sysbench",
    "tpcc",
    "ycsb",
)
"""What `type` of a test may be. `shell` and `cpu_noise` are older names of mongoshell."""
