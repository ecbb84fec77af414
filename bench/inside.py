"""What dsi starts as the test's `cmd`: `python -m bench.inside BENCHMARK SETTINGS RESULT`."""

import asyncio
import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    """Measure, and write the samples as JSON."""
    benchmark, settings, result = sys.argv[1:]
    module = importlib.import_module(f"bench.{benchmark}")
    samples = asyncio.run(module.inside(**json.loads(settings)))
    Path(result).write_text(json.dumps(samples))


if __name__ == "__main__":
    main()
