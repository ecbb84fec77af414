"""The copies of the configuration in the reports."""

from pathlib import Path
from typing import Final

from dsi.config import masked_yaml
from dsi.report.folder import writing
from dsi.whole_file import write_whole

_NEVER_COPIED: Final = ("runtime_secret.yml",)
_COPIED_WHEN_WRITTEN: Final = ("test_control.out.yml",)
"""What lies there may still be of an earlier task."""


def copy_configuration(work_directory: Path, folder: Path) -> None:
    """Copy all YAML of the work directory to the reports, with secrets masked. (perf.json is written to both.)

    Raises:
        ReportError: it can't be written.
    """
    for file in sorted(work_directory.glob("*.yml")):
        if file.name not in (*_NEVER_COPIED, *_COPIED_WHEN_WRITTEN) and file.is_file():
            copy_masked(file, folder)


def copy_masked(file: Path, folder: Path) -> None:
    """Copy a YAML file to a folder, with secrets masked.

    Raises:
        ReportError: it can't be written.
    """
    with writing(folder / file.name):
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        write_whole(folder / file.name, masked_yaml(text).encode(errors="surrogateescape"))
