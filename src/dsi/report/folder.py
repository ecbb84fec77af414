"""The folder `reports-<time>` of a run, and the link `reports` to the newest."""

import shutil
from pathlib import Path

from dsi import clock
from dsi.errors import ReportError

NEVER_COPIED = ("runtime_secret.yml",)


def make_reports(work_directory: Path, time: clock.Clock = clock.SYSTEM) -> Path:
    """Make a new reports folder, let `reports` point to it, and copy the work directory's YAML files there.

    A folder `reports` that is no link (somebody's own) is kept: the new one is then not linked.

    Raises:
        ReportError: it can't be written.
    """
    stamp = clock.isoformat(time.wall_s()).replace(":", "-").replace("Z", "")
    folder = work_directory / f"reports-{stamp}"
    try:
        folder.mkdir()
        _link(work_directory / "reports", folder)
        copy_configuration(work_directory, folder)
    except OSError as problem:
        raise ReportError(f"{folder} can't be made: {problem.strerror}") from problem
    return folder


def copy_configuration(work_directory: Path, folder: Path) -> None:
    """Copy all YAML of the work directory to the reports, but for secrets; and perf.json, where there is one."""
    for file in sorted(work_directory.glob("*.yml")):
        if file.name not in NEVER_COPIED:
            shutil.copy2(file, folder / file.name)
    if (work_directory / "perf.json").exists():
        shutil.copy2(work_directory / "perf.json", folder / "perf.json")


def _link(link: Path, folder: Path) -> None:
    if link.exists() and not link.is_symlink():
        return
    fresh = link.with_name(".reports-link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)
