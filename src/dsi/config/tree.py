"""The one tree that all files together are. What it holds is resolved when it is read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from dsi.config.files import dump
from dsi.config.nodes import ListNode, MappingNode, Node, split
from dsi.config.references import STAGES
from dsi.config.resolve import Computed, NotThere, Reading, Step, Unknown
from dsi.errors import ConfigError, ReportError
from dsi.model import Position, Problem
from dsi.whole_file import write_whole

DEFAULTS_NAME = "dsi/config/defaults.yml"
"""What positions in the product's defaults call their file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a value comes from. `position` is None for what dsi worked out itself.

    For a mapping or a list, `parts` has the origin of everything in it that is neither, by its path from there.
    `layer` is `overrides`, `file`, `out`, `defaults`, `product defaults` or `worked out by dsi`. `references` are those
    that were followed to it, the first first; `replaced` is what an override hides.
    """

    layer: str
    position: Position | None
    references: tuple[Step, ...] = ()
    replaced: Position | None = None
    parts: tuple[tuple[str, "Origin"], ...] = ()

    def __str__(self) -> str:
        if self.parts:
            return "\n".join(f"{path}: {part}" for path, part in self.parts)
        lines = [f"{self.position or '-'} ({self.layer})"]
        lines += [
            f"  by {step.reference} at {step.position} ({step.path})" for step in self.references if step.position
        ]
        if self.replaced:
            lines.append(f"  overrides {self.replaced}")
        return "\n".join(lines)


class Tree:
    """All files of a work directory, as one. Values are read by path: `mongodb_setup.topology.0.mongod.-1.id`."""

    def __init__(
        self,
        root: MappingNode,
        *,
        work_directory: FilePath,
        files: Iterable[str] = (),
        warnings: Iterable[Problem] = (),
        computed: tuple[Computed, ...] = (),
    ) -> None:
        self.root = root
        self.work_directory = work_directory
        self.files = tuple(files)
        self.warnings = list(warnings)
        self._computed = computed
        self._cache: dict[Any, Any] = {}

    def reading(self, *, lenient: bool = False) -> Reading:
        """Begin to read; several values of one reading share the list of what is wrong."""
        return Reading(self.root, self._computed, self._cache, lenient)

    def get(self, path: str) -> Any:
        """Give the value at a path as plain Python (dict, list, str, int, float, bool, None), all references resolved.

        Raises:
            ConfigError: there is no such key, or a reference stands for nothing, or goes round in a circle.
        """
        reading = self.reading()
        try:
            value = reading.value(split(path))
        except NotThere as problem:
            raise ConfigError([self.placed(self._not_there(path, problem))]) from problem
        if reading.problems:
            raise ConfigError([self.placed(problem) for problem in reading.problems])
        return value

    def get_lenient(self, path: str) -> Any:
        """Give the value at a path as far as it can be known: None if there is no such key.

        What can't be known yet (an `out` that isn't there) or is wrong (`check` says so) is an `Unknown`.
        """
        try:
            return self.reading(lenient=True).value(split(path))
        except NotThere:
            return None

    def has(self, path: str) -> bool:
        """Tell whether there is such a key. Its value may still be unresolvable.

        Raises:
            ConfigError: a reference on the way there can't be resolved.
        """
        reading = self.reading()
        try:
            reading.find(split(path))
        except NotThere:
            return False
        if reading.problems:
            raise ConfigError([self.placed(problem) for problem in reading.problems])
        return True

    def position(self, path: str) -> Position | None:
        """Give where the value at a path was written; if it isn't there, where the nearest thing around it was.

        References are not followed: it is the place of the reference.
        """
        node: Node | None = self.root
        found: Position | None = None
        for part in split(path):
            node = _child(node, part)
            if node is None:
                break
            found = node.position or found
        return found

    def is_written(self, path: str) -> bool:
        """Tell whether the files have a value at this very path; references are not followed."""
        node: Node | None = self.root
        for part in split(path):
            node = _child(node, part)
        return node is not None

    def key_position(self, path: str) -> Position | None:
        """Give where the key itself was written, which is better for what is wrong with the key."""
        around, _, key = path.rpartition(".")
        node: Node | None = self.root
        for part in split(around):
            node = _child(node, part)
        found = node.keys.get(key) if isinstance(node, MappingNode) else None
        return found or self.position(path)

    def origin(self, path: str) -> Origin:
        """Give the layer and the place that a value comes from, and the references and overrides on the way.

        Raises:
            ConfigError: as `get`.
        """
        value = self.get(path)
        if value and isinstance(value, dict | list):
            return Origin(layer="", position=None, parts=tuple(self._parts(path, value)))
        return self._origin_of_leaf(path)

    def _parts(self, path: str, value: Any) -> Iterator[tuple[str, Origin]]:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if item and isinstance(item, dict | list):
                yield from ((f"{key}.{name}", part) for name, part in self._parts(f"{path}.{key}", item))
            else:
                yield str(key), self._origin_of_leaf(f"{path}.{key}")

    def _origin_of_leaf(self, path: str) -> Origin:
        reading = self.reading()
        node = reading.node(split(path))
        assert node is not None, "it has been read already"
        reading.value(split(path))
        steps = tuple(dict.fromkeys(reading.trail))
        return Origin(layer=_layer(node.position), position=node.position, references=steps, replaced=node.replaced)

    def problem(
        self, path: str, message: str, *, allowed: Iterable[str] = (), warning: bool = False, key: bool = False
    ) -> Problem:
        """Say what is wrong at a path: with its place in the files, and how the value got there.

        Args:
            path: the whole path in the tree.
            message: what is wrong.
            allowed: what could stand there.
            warning: whether it is merely doubtful.
            key: whether the key is wrong, not its value.
        """
        position = self.key_position(path) if key else self.position(path)
        found = Problem(
            message=message,
            path=path,
            position=position,
            allowed=tuple(allowed),
            came_from=self._came_from(path),
            warning=warning,
        )
        return self.placed(found)

    def placed(self, problem: Problem) -> Problem:
        """Show a problem's path as one in its file: without the stage, where the file is that stage's own."""
        stage, _, rest = problem.path.partition(".")
        own = problem.position is not None and problem.position.file in (f"{stage}.yml", f"{stage}.out.yml")
        return _with_path(problem, rest) if own and rest else problem

    def with_computed(self, path: str, compute: Callable[["Tree"], Any]) -> "Tree":
        """Give a tree that has one more layer below all others: what `compute` gives stands under `path`.

        It is called once, with this tree (so without its own result), when a lookup first needs it; what the files say
        under `path` is found without it, key by key.
        """
        computed = Computed(split(path), lambda: compute(self))
        return Tree(
            self.root,
            work_directory=self.work_directory,
            files=self.files,
            warnings=self.warnings,
            computed=(*self._computed, computed),
        )

    def write_out(self, stage: str, out: dict[str, Any]) -> None:
        """Write `<stage>.out.yml`, whose content stands under `out` of that stage from the next `load` on.

        Raises:
            ReportError: it can't be written: the disk is full, say.
        """
        assert stage in STAGES, stage
        path = self.work_directory / f"{stage}.out.yml"
        try:
            write_whole(path, dump({"out": out}).encode(errors="backslashreplace"))
        except OSError as problem:
            raise ReportError(f"{path} can't be written: {problem.strerror}") from problem

    def _not_there(self, path: str, problem: NotThere) -> Problem:
        read = ", ".join(self.files) or "no file"
        return Problem(message=f"{problem.message}; read were {read}", path=path, position=self.position(path))

    def _came_from(self, path: str) -> tuple[str, ...]:
        reading = self.reading(lenient=True)
        try:
            node = reading.node(split(path))
        except NotThere:
            return ()
        if node is None:
            return ()
        rows = [f"from {step.path} ({step.position}): {step.reference}" for step in reading.trail if step.position]
        if reading.trail and node.position:
            rows.append(f"the value stands at {node.position}")
        if node.replaced:
            rows.append(f"overrides {node.replaced}")
        return tuple(rows)


def is_unknown(value: Any) -> bool:
    """Tell whether a value of a lenient reading isn't known."""
    return isinstance(value, Unknown)


def _child(node: Node | None, part: str) -> Node | None:
    if isinstance(node, MappingNode):
        return node.entries.get(part)
    if isinstance(node, ListNode) and part.lstrip("-").isdigit() and -len(node.items) <= int(part) < len(node.items):
        return node.items[int(part)]
    return None


def _layer(position: Position | None) -> str:
    if position is None:
        return "worked out by dsi"
    names = {"overrides.yml": "overrides", "defaults.yml": "defaults", DEFAULTS_NAME: "product defaults"}
    return names.get(position.file, "out" if position.file.endswith(".out.yml") else "file")


def _with_path(problem: Problem, path: str) -> Problem:
    return Problem(
        message=problem.message,
        path=path,
        position=problem.position,
        allowed=problem.allowed,
        came_from=problem.came_from,
        warning=problem.warning,
    )
