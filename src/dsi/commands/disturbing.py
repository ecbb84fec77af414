"""Which commands disturb the cluster on purpose: a test that asked for one which failed has measured something else."""

from collections.abc import Mapping
from typing import Any

from dsi.commands.expecting import KEY
from dsi.commands.parse import COMMANDS


def disturbs(raw: Any) -> bool:
    """Tell whether a command, as it was written, is a restart or fault: one of the whole, or one with `expect_down`.

    What else shell text of one's own is meant to do is not known.
    """
    return isinstance(raw, Mapping) and any(key == KEY or key in COMMANDS for key in raw)
