"""`dsi workload-setup`."""

from pathlib import Path

from dsi.cli.console import WorkDirectory
from dsi.cli.launch import launch
from dsi.stages.workload_setup import workload_setup


def command(work_dir: WorkDirectory = Path()) -> None:
    """Run what workload_setup.yml has for the types of the tests."""
    launch(work_dir, workload_setup)
