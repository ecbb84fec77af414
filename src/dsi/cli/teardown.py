"""`dsi teardown`."""

from pathlib import Path

from dsi.cli.console import WorkDirectory
from dsi.cli.launch import launch
from dsi.stages.teardown import teardown


def command(work_dir: WorkDirectory = Path()) -> None:
    """End what dsi has started; on hosts that it didn't make nothing is deleted."""
    launch(work_dir, teardown)
