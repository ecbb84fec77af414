"""The folder `reports-<time>` of a run, and the link `reports` to the newest."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dsi import clock
from dsi.errors import ReportError
from dsi.whole_file import write_whole


def make_reports(work_directory: Path, time: clock.Clock = clock.SYSTEM) -> Path:
    """Make a new reports folder; `show_reports` lets `reports` point to it.

    Raises:
        ReportError: it can't be written.
    """
    folder = _fresh(work_directory, time)
    with writing(folder):
        folder.mkdir()
    return folder


def newest_reports(work_directory: Path, time: clock.Clock = clock.SYSTEM) -> Path:
    """Give where `reports` points to; where there is none, a folder to be made by who has something to write.

    Then `show_reports`: a folder of the name `reports` would take the place of the link, for all runs to come.
    """
    link = work_directory / "reports"
    return link if link.exists() else _fresh(work_directory, time)


def show_reports(folder: Path) -> None:
    """Let `reports` point to this folder; once its timeline is there, or who watches `reports` finds none.

    A folder `reports` that is no link (somebody's own) is kept: this one is then not linked.

    Raises:
        ReportError: it can't be written.
    """
    link = folder.with_name("reports")
    if link.exists() and not link.is_symlink():
        return
    fresh = link.with_name(".reports-link")
    with writing(link):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.name)
        fresh.replace(link)


def keep_text(path: Path, text: str) -> None:
    """Write a text into the reports, in one go and as UTF-8; missing parent folders are made.

    Raises:
        ReportError: it can't be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(errors="backslashreplace"))


def inside(path: str) -> Path:
    """Give where a path of a host goes below a folder of the reports: with its own folders, and never outside."""
    return Path(*(part for part in Path(path).parts if part not in ("/", "..", "~")))


def _fresh(work_directory: Path, time: clock.Clock) -> Path:
    stamp = clock.isoformat(time.wall_s()).replace(":", "-").replace("Z", "")
    return work_directory / f"reports-{stamp}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Have what goes wrong in the block said as what it is: a part of the reports that can't be written."""
    try:
        yield
    except OSError as problem:
        raise ReportError(
            f"{path} can't be written: {problem.strerror or problem}; what came before is kept"
        ) from problem
