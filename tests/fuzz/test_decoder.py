"""The decoder against what was worth keeping of the fuzzer's finds, and a short search for more."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.decoder import check

KEPT = sorted((Path(__file__).parent / "corpus" / "decoder").iterdir())


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.name)
def test_what_is_kept_gives_the_messages_of_the_specification(file: Path) -> None:
    check(file.read_bytes())


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python")
def test_a_short_search_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "decoder", "--found", str(tmp_path), "-runs=2000"]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert "Done 2000 runs" in ended.stderr, ended.stderr[-4000:]
