"""The copies of the configuration in the reports."""

from pathlib import Path
from typing import Final

from dsi.config import masked_yaml
from dsi.report.folder import writing

_NEVER_COPIED: Final = ("runtime_secret.yml",)


def copy_configuration(work_directory: Path, folder: Path) -> None:
    """Copy all YAML of the work directory to the reports, with secrets masked. (perf.json is written to both.)

    Raises:
        ReportError: it can't be written.
    """
    for file in sorted(work_directory.glob("*.yml")):
        if file.name in _NEVER_COPIED or not file.is_file():
            continue
        with writing(folder / file.name):
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
            (folder / file.name).write_text(masked_yaml(text), encoding="utf-8", errors="surrogateescape")
