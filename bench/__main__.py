"""`./run bench`: what dsi costs. Each benchmark takes dsi and its floor in turn, and compares the medians."""

import argparse
import importlib
import platform
import sys
from typing import Final

from bench.series import Comparison, table

ROUNDS: Final = {
    "exec_true": 200,
    "clients": 100,
    "streams": 100,
    "slow_clients": 500,
    "fan_out": 40,
    "ftdc": 15,
    "restart": 15,
    "artifacts": 15,
}
"""How often each measures, unless told otherwise."""


def main() -> None:
    """Run the benchmarks that are named, and print one table; fails with 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("benchmark", nargs="*", default=[], help=f"{', '.join(ROUNDS)} (default: all)")
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}")
    options = parser.parse_args()
    unknown = set(options.benchmark) - set(ROUNDS)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(ROUNDS)}")
    comparisons: list[Comparison] = []
    for name in options.benchmark or ROUNDS:
        print(f"{name} ...", file=sys.stderr)
        comparisons += importlib.import_module(f"bench.{name}").compare(options.rounds or ROUNDS[name])
    print(f"{platform.platform()}, Python {platform.python_version()}")
    print(table(comparisons))
    raise SystemExit(not all(comparison.met for comparison in comparisons))


if __name__ == "__main__":
    main()
