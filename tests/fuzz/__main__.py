"""`./run fuzz`: atheris (libFuzzer for Python) looks for bytes of which something of ours doesn't hold.

What it finds worth keeping goes to the folder `--found`; what fails does too, as a file `crash-…`. All other options
are libFuzzer's: `-max_total_time=SECONDS`, `-runs=N`.
"""

import argparse
import importlib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

MAX_BYTES = 256
"""The target takes time that grows with the square of it."""


def main() -> None:
    """Look until told to stop; fails at the first find, which is printed."""
    parser = argparse.ArgumentParser(prog="./run fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", default="decoder", choices=["decoder"])
    parser.add_argument("--found", type=Path, help="default: .fuzz/TARGET")
    options, more = parser.parse_known_args()
    found = options.found or ROOT / ".fuzz" / options.target
    found.mkdir(parents=True, exist_ok=True)
    kept = HERE / "corpus" / options.target
    settings = [f"-dict={HERE / 'json.dict'}", f"-max_len={MAX_BYTES}", f"-artifact_prefix={found}/"]
    look(options.target, ["fuzz", str(found), str(kept), *settings, *more])


def look(target: str, arguments: list[str]) -> None:
    """Hand over to libFuzzer, which ends the process."""
    atheris = importlib.import_module("atheris")  # it has no types, and isn't to be had for each Python
    with atheris.instrument_imports(include=["dsi.wire"]):
        check = importlib.import_module(f"tests.fuzz.{target}").check
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
