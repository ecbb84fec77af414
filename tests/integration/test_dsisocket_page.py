"""The examples of docs/dsisocket.md."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from tests.integration.dsisocket_bed import Socket

PAGE = Path(__file__).parents[2] / "docs" / "dsisocket.md"


@pytest.mark.parametrize(("language", "program"), [("bash", "bash"), ("python", sys.executable)])
async def test_an_example_of_the_page_restarts_the_cluster_as_it_stands_there(language: str, program: str) -> None:
    (example,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    it = Socket()
    async with it.open() as address:
        client = await asyncio.create_subprocess_exec(program, "-c", example, env={"DSI_SOCKET": address})
        assert await client.wait() == 0
    assert it.execute.finished == [{"restart_mongodb": {"clean_logs": False, "clean_db_dir": False}}]
