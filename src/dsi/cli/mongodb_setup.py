"""`dsi mongodb-setup`."""

from pathlib import Path

from dsi.cli.console import WorkDirectory
from dsi.cli.launch import launch
from dsi.stages.mongodb_setup import mongodb_setup


def command(work_dir: WorkDirectory = Path()) -> None:
    """Install MongoDB on the hosts, and start the clusters of the topology."""
    launch(work_dir, mongodb_setup)
