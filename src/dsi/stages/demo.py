"""The demo's work directory: a copy of the example that a user would copy too."""

import filecmp
import shutil
from importlib import resources
from pathlib import Path

from dsi.errors import Preflight

_IN_THE_CHECKOUT = Path(__file__).parents[3] / "examples" / "quickstart"


def example() -> Path:
    """Give the folder of the example: in the package where that was installed, else in the checkout.

    Raises:
        Preflight: it is in neither.
    """
    packaged = Path(str(resources.files("dsi"))) / "examples" / "quickstart"
    for folder in (packaged, _IN_THE_CHECKOUT):
        if folder.is_dir():
            return folder
    raise Preflight(f"the example is missing: it is neither in {packaged} nor in {_IN_THE_CHECKOUT}")


def make_demo(parent: Path) -> Path:
    """Copy the example to `parent/dsi-demo` (`dsi-demo-2` …, where somebody has changed an earlier one)."""
    source = example()
    number = 1
    while not _usable(folder := parent / ("dsi-demo" if number == 1 else f"dsi-demo-{number}"), source):
        number += 1
    shutil.copytree(
        source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".dsi", "reports*")
    )
    return folder


def _usable(folder: Path, source: Path) -> bool:
    if not folder.exists():
        return True
    names = [path.name for path in source.iterdir() if path.is_file()]
    _, mismatch, errors = filecmp.cmpfiles(folder, source, names, shallow=False)
    own = {path.name for path in folder.glob("*.yml")} - set(names)
    return not mismatch and all(not (folder / name).exists() for name in errors) and own <= {"test_control.out.yml"}
