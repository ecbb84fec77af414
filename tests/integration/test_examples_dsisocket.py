"""The examples in other languages, run for real: each restarts the primary of a real replica set."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.integration.test_mongo_shell import mongosh_folder
from tests.integration.work_directory import WorkDirectory

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "dsisocket"
PAGE = ROOT / "docs" / "clients.md"
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


def programs_of_the_page() -> list[str]:
    """Give what docs/clients.md shows for Python, each made whole where the page leaves out what it said before."""
    whole, stream, tasks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    head = "import asyncio\nfrom dsi_client import AsyncDsiSocket, DsiSocket\n"
    return [
        whole,
        f"{head}dsi = DsiSocket.from_env()\n{stream}",
        f"{head}async def main():\n{textwrap.indent(tasks, '    ')}\nasyncio.run(main())\n",
    ]


def test_each_example_restarts_the_primary_and_the_page_shows_what_runs(
    tmp_path: Path, locust: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "work")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{mongosh_folder()}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', '')}:{locust}".lstrip(":"))
    work = WorkDirectory(folder)
    control = folder / "test_control.yml"
    lines = [
        line for line in control.read_text().splitlines(keepends=True) if "java" not in line or shutil.which("javac")
    ]
    for number, program in enumerate(programs_of_the_page()):
        (folder / f"page{number}.py").write_text(program)
        lines.append(f"  - {{id: page{number}, type: shell, cmd: python3 {folder}/page{number}.py}}\n")
    control.write_text("".join(lines))
    tests = re.findall(r"\bid: (\w+)", "".join(lines))
    assert len(tests) >= 8
    out = work.dsi("run", exit_status=None)
    logs = {test: work.read(f"reports/{test}/test_output.log") for test in tests}
    assert out.returncode == 0, f"{logs}\n{out.stderr}"
    restarts = work.events("restart_mongodb_end")
    assert [event["error"] for event in restarts] == [None] * (len(tests) - 2)  # two on the page restart nothing
    assert {len(event["restarted"]) for event in restarts} == {1}
    assert "as it should be: EXECUTION_ERROR: workload_client.0: exit status 2" in logs["python"]
    assert "after its restart it is" in logs["mongosh"]
    assert "restart rs0:primary" in logs["locust"]
    assert "cannot access '/nowhere'" in logs["page0"]
    assert "mongod.2 stdout" in logs["page1"]
