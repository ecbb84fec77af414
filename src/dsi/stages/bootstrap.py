"""Stage bootstrap: the work directory's files, copied from the canned configurations that bootstrap.yml names."""

import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import structlog

from dsi import config
from dsi.config import Tree
from dsi.errors import ConfigError, Preflight
from dsi.model import Problem
from dsi.suggest import did_you_mean
from dsi.whole_file import write_whole

log = structlog.get_logger()

STAGES = ("infrastructure_provisioning", "workload_setup", "mongodb_setup", "test_control", "analysis")


def bootstrap(work_directory: Path, *, force: bool = False, only_missing: bool = False) -> list[Path]:
    """Copy each canned file that bootstrap.yml names, as `<stage>.yml`; give what was written.

    Nothing is written if one of them would replace a file that differs, unless `force`. `only_missing`: a stage whose
    file is there is passed over, whatever its canned file is called: it has been bootstrapped, and changed since.

    Raises:
        ConfigError: bootstrap.yml names what isn't there.
        Preflight: there is no bootstrap.yml, or a file that differs is in the way.
    """
    tree = config.load(work_directory)
    if not (work_directory / "bootstrap.yml").exists():
        raise Preflight(f"there is no bootstrap.yml in {work_directory}: write one, as `mongodb_setup: replica`")
    chosen: dict[Path, str] = {}
    problems: list[Problem] = []
    for stage in STAGES:
        if only_missing and (work_directory / f"{stage}.yml").exists():
            continue
        name = _named(tree, f"bootstrap.{stage}")
        if not name:
            continue
        canned = find(stage, name)
        if canned is None:
            known = sorted(names(stage))
            message = f'no canned configuration "{name}"{did_you_mean(name, known)}'
            problems.append(tree.problem(f"bootstrap.{stage}", message, allowed=known))
        else:
            chosen[work_directory / f"{stage}.yml"] = canned.read_text(encoding="utf-8")
    if problems:
        raise ConfigError(problems)
    return _write(chosen, force=force)


def _named(tree: Tree, path: str) -> str | None:
    """Give the name that the work directory's files have at a path; dsi's own defaults name nothing to be copied."""
    if not tree.has(path) or tree.origin(path).layer == "product defaults":
        return None
    name = tree.get(path)
    return name if isinstance(name, str) else None


def _write(chosen: dict[Path, str], *, force: bool) -> list[Path]:
    differing = [path for path, text in chosen.items() if path.exists() and path.read_text(encoding="utf-8") != text]
    if differing and not force:
        listed = ", ".join(path.name for path in differing)
        raise Preflight(f"{listed}: there already, and different; nothing was written. --force replaces them")
    fresh = [path for path, text in chosen.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in fresh:
        write_whole(path, chosen[path].encode())
        log.info("written", file=path.name)
    return fresh


def canned_folders() -> Iterator[Path]:
    """Give where canned configurations are looked for: `$DSI_PATH/configurations`, then dsi's own."""
    if dsi_path := os.environ.get("DSI_PATH"):
        yield Path(dsi_path) / "configurations"
    yield Path(str(resources.files("dsi"))) / "configurations"


def names(stage: str) -> set[str]:
    """Give the names of the canned configurations of a stage."""
    prefix = f"{stage}."
    return {
        path.name.removeprefix(prefix).removesuffix(".yml")
        for folder in canned_folders()
        for path in (folder / stage).glob(f"{prefix}*.yml")
    }


def find(stage: str, name: str) -> Path | None:
    """Give the file of a canned configuration; None where there is none of that name."""
    candidates = (folder / stage / f"{stage}.{name}.yml" for folder in canned_folders())
    return next((path for path in candidates if path.is_file()), None)


def about(stage: str, name: str) -> str:
    """Give what a canned configuration says of itself: its first line, if that is a comment."""
    canned = find(stage, name)
    first = canned.read_text(encoding="utf-8").partition("\n")[0] if canned else ""
    return first.removeprefix("#").strip() if first.startswith("#") else ""
