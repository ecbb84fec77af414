"""Stage analysis: what is wrong in a reports folder. No host is needed."""

from collections.abc import Sequence
from pathlib import Path

from dsi.analysis import Analysis, analyze, check_ignored, ignored, write_report_json
from dsi.analysis.ignoring import Ignored
from dsi.config import load as load_files
from dsi.errors import ConfigError, ReportError


def analysis(work_directory: Path, reports: Path | None = None) -> Analysis:
    """Analyze a reports folder and write `report.json` there.

    Args:
        work_directory: whose configuration (`analysis.ignore`) holds, and whose newest reports are read.
        reports: another folder to read; the configuration that was copied there holds then.

    Raises:
        ConfigError: what the configuration has under `analysis` is wrong.
        ReportError: there is nothing to analyze, or `report.json` can't be written.
    """
    folder = reports or work_directory / "reports"
    if not folder.is_dir():
        raise ReportError(f"there is no reports folder {folder}: name one, or run `dsi test-control` first")
    found = analyze(folder, [one.hides for one in _ignored(reports or work_directory)])
    write_report_json(found, folder)
    return found


def _ignored(folder: Path) -> Sequence[Ignored]:
    tree = load_files(folder)
    if problems := check_ignored(tree):
        raise ConfigError(problems)
    return ignored(tree)
