"""Work directories made of YAML text."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, settings

from dsi import config
from dsi.errors import ConfigError

# How long an example takes says more about who else uses the machine than about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

Load = Callable[..., config.Tree]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write files into a work directory and load it: `load(test_control="run: []", overrides=…)`.

    A name stands for `<name>.yml`; `__out` at its end for `.out.yml`.
    """

    def write_and_load(**files: str) -> config.Tree:
        for name, text in files.items():
            file = tmp_path / f"{name.replace('__out', '.out')}.yml"
            file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return config.load(tmp_path)

    return write_and_load


@pytest.fixture
def refused(load: Load) -> Callable[..., list[str]]:
    """Load what can't be loaded, and give its problems as text."""

    def problems(**files: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(**files)
        return [str(problem) for problem in caught.value.problems]

    return problems
