"""Stage analysis: what is wrong in a reports folder. No host is needed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from dsi.analysis import Analysis, analyze, check_ignored, ignored
from dsi.analysis.ignoring import Ignored
from dsi.config import Tree
from dsi.config import load as load_files
from dsi.errors import ConfigError, ReportError

log = structlog.get_logger()

_FILES = ("analysis.yml", "overrides.yml", "defaults.yml")
"""Where `analysis.ignore` may stand."""


def analysis(work_directory: Path, reports: Path | None = None) -> Analysis:
    """Analyze a reports folder.

    Args:
        work_directory: whose configuration (`analysis.ignore`) holds, and whose newest reports are read.
        reports: another folder to read; the configuration that was copied there holds then.

    Raises:
        ConfigError: what the configuration has under `analysis` is wrong.
        ReportError: there is nothing to analyze.
    """
    if reports is None:
        return analysis_of_run(work_directory, work_directory / "reports")
    return _analysis(reports, _of_reports)


def analysis_of_run(work_directory: Path, reports: Path) -> Analysis:
    """Analyze the reports of a run of this work directory, whose own configuration holds: no copy need be readable.

    Raises:
        ConfigError, ReportError: as `analysis`.
    """
    return _analysis(reports, lambda _reports: load_files(work_directory))


def _analysis(reports: Path, settings_of: Callable[[Path], Tree | None]) -> Analysis:
    if not reports.is_dir():
        raise ReportError(f"there is no reports folder {reports}: name one, or run `dsi test-control` first")
    return analyze(reports, [one.hides for one in _ignored(settings_of(reports))])


def _of_reports(reports: Path) -> Tree | None:
    """Give the configuration that was copied into the reports; None if a copy is damaged: it is no reason to stop."""
    try:
        return load_files(reports)
    except ConfigError as problem:
        if any(one.position is not None and one.position.file in _FILES for one in problem.problems):
            raise
        log.warning("the configuration that lies there can't be read, and nothing is ignored", reason=str(problem))
        return None


def insist_on_rules(tree: Tree) -> None:
    """Check that `analysis.ignore` names rules that there are.

    Raises:
        ConfigError: with those that there aren't.
    """
    if problems := check_ignored(tree):
        raise ConfigError(problems)


def _ignored(tree: Tree | None) -> Sequence[Ignored]:
    if tree is None:
        return []
    insist_on_rules(tree)
    return ignored(tree)
