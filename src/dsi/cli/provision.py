"""`dsi provision`."""

from pathlib import Path

from dsi.cli.console import WorkDirectory
from dsi.cli.launch import launch
from dsi.stages.provision import provision


def command(work_dir: WorkDirectory = Path()) -> None:
    """Get the hosts, and write infrastructure_provisioning.out.yml."""
    launch(work_dir, provision)
