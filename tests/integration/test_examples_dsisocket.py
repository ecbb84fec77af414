"""The examples in other languages, run for real: each restarts the primary of a real replica set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.test_mongo_shell import mongosh_folder
from tests.integration.work_directory import WorkDirectory

EXAMPLES = Path(__file__).parents[2] / "examples" / "dsisocket"
LOCUST = Path(sys.prefix) / "locust"
"""Where it is kept between runs: 60 MB that nothing else here needs."""


@pytest.fixture(scope="module")
def locust() -> str:
    """The folder that has locust, of this Python."""
    if not (LOCUST / "locust").exists():
        fresh = LOCUST.with_name("locust.new")
        shutil.rmtree(fresh, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(fresh), "locust"]
        subprocess.run(pip, check=True, stdin=subprocess.DEVNULL, timeout=500)
        fresh.rename(LOCUST)
    return str(LOCUST)


def test_each_example_restarts_the_primary(tmp_path: Path, locust: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "work")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{mongosh_folder()}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', '')}:{locust}".lstrip(":"))
    work = WorkDirectory(folder)
    if shutil.which("javac") is None:  # the other five hold without one
        control = folder / "test_control.yml"
        control.write_text("".join(line for line in control.open() if "java" not in line))
    tests = [
        line.split("id: ")[1].split(",")[0].split()[0]
        for line in work.read("test_control.yml").splitlines()
        if "- id:" in line or "{id:" in line
    ]
    out = work.dsi("run", exit_status=None)
    logs = {test: work.read(f"reports/{test}/test_output.log") for test in tests}
    assert out.returncode == 0, f"{logs}\n{out.stderr}"
    restarts = work.events("restart_mongodb_end")
    assert [event["error"] for event in restarts] == [None] * len(tests)
    assert [len(event["restarted"]) for event in restarts] == [1] * len(tests)
    assert "as it should be: EXECUTION_ERROR: workload_client.0: exit status 2" in logs["python"]
    assert "after its restart it is" in logs["mongosh"]
    assert "restart rs0:primary" in logs["locust"]
