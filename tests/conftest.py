"""What holds for every test."""

from collections.abc import Iterator

import pytest
from tests.integration.work_directory import nothing_left_running


@pytest.fixture(autouse=True)
def _no_dsi_outlives_its_test() -> Iterator[None]:
    with nothing_left_running():
        yield
