"""A work directory → one tree."""

import os
from collections.abc import Iterable
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from dsi.config.files import FileContent, read_file
from dsi.config.layers import Merge
from dsi.config.nodes import MappingNode, Node
from dsi.config.references import STAGES
from dsi.config.tree import DEFAULTS_NAME, Tree
from dsi.errors import ConfigError
from dsi.model import Problem

OVERRIDES: Final = "overrides.yml"
DEFAULTS: Final = "defaults.yml"


def load(work_directory: Path) -> Tree:
    """Read every file of a work directory that there is, and lay them over each other.

    From the top: overrides.yml, the stages' own files (with their `.out.yml` under `out`), defaults.yml, the product's
    defaults.

    Raises:
        ConfigError: files that aren't YAML, or hold what a configuration can't, or overrides that don't fit; all of
            it at once.
    """
    # lexists: a link that leads nowhere is a mistake to be told, not a file that isn't there.
    read = {name: _read(work_directory, name) for name in file_names() if os.path.lexists(work_directory / name)}
    problems = [problem for content in read.values() for problem in content.problems]
    roots = {name: _mapping(content, problems) for name, content in read.items()}
    root = _layers(roots, problems)
    if problems:
        raise ConfigError(problems)
    warnings = [warning for content in read.values() for warning in content.warnings]
    return Tree(root, work_directory=work_directory, files=read, warnings=warnings)


def file_names() -> tuple[str, ...]:
    """Give the names of the files that make up a configuration, in the order of the lifecycle."""
    return (*(f"{stage}{end}" for stage in STAGES for end in (".yml", ".out.yml")), OVERRIDES, DEFAULTS)


@cache
def product_defaults() -> MappingNode:
    """Give what holds where no file says anything."""
    with as_file(files("dsi.config") / "defaults.yml") as path:
        content = read_file(path, DEFAULTS_NAME)
    assert isinstance(content.root, MappingNode), content.problems
    return content.root


def _read(work_directory: Path, name: str) -> FileContent:
    return read_file(work_directory / name, name, check_names=not name.endswith(".out.yml"))


def _mapping(content: FileContent, problems: list[Problem]) -> MappingNode:
    root = content.root
    if isinstance(root, MappingNode):
        return root
    if root is not None:
        problems.append(Problem(message="a file of the configuration is a mapping", position=root.position))
    return MappingNode({})


def _layers(roots: dict[str, MappingNode], problems: list[Problem]) -> MappingNode:
    stages = {stage: _stage(roots, stage) for stage in STAGES if {f"{stage}.yml", f"{stage}.out.yml"} & roots.keys()}
    below = [MappingNode(stages), *(roots[name] for name in (DEFAULTS,) if name in roots), product_defaults()]
    root = _merged(below)
    if OVERRIDES in roots:
        merged = Merge(override=True, problems=problems).merge(roots[OVERRIDES], root)
        assert isinstance(merged, MappingNode)
        root = merged
    return root


def _stage(roots: dict[str, MappingNode], stage: str) -> Node:
    own = roots.get(f"{stage}.yml", MappingNode({}))
    written = roots.get(f"{stage}.out.yml")
    if written is None:
        return own
    # The original wrote its content under a key `out` in that file; so do we. One written by hand may lack it.
    out = written.entries.get("out", written)
    return MappingNode(own.entries | {"out": out}, own.position or written.position, keys=own.keys | written.keys)


def _merged(layers: Iterable[MappingNode]) -> MappingNode:
    top, *rest = layers
    for under in rest:
        merged = Merge(override=False, problems=[]).merge(top, under)
        assert isinstance(merged, MappingNode)
        top = merged
    return top
