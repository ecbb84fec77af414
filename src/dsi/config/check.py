"""Everything that the configuration alone can say is wrong, found at once.

Whether commands are well-formed is checked by `commands`, which gets them from `hooks`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from dsi.config import hooks
from dsi.config.loading import file_names, product_defaults
from dsi.config.models import Section
from dsi.config.nodes import Layered, ListNode, MappingNode, Node, join, kind_of_value, split
from dsi.config.references import STAGES
from dsi.config.resolve import Chain, NotThere, Unknown
from dsi.config.tree import DEFAULTS_NAME, Tree
from dsi.config.typed import MODELS, check_types, later_of, once, sections_of
from dsi.model import ROLES, Problem
from dsi.parsers import KNOWN_TYPES
from dsi.suggest import did_you_mean

_TARGETS: Final = (*ROLES, "md", "ms", "cs", "wc", "all_servers", "all_hosts", "localhost", "atlas")
_RESERVED: Final = frozenset({"workload_setup", *(name for names in hooks.HOOKS.values() for name in names), *_TARGETS})
_RESERVED_FORM: Final = re.compile(rf"on_.*|({'|'.join(_TARGETS)})\.\d+")
MAX_BACKGROUND_TASKS: Final = 5
"""Of the eight sessions that a connection has for commands, `cmd` takes one, and hooks and the dsisocket need some."""

_CLOSE_ENOUGH: Final = 2
"""As many letters may be wrong, missing, too many, or swapped in what counts as a misspelling of a known key."""


def check(tree: Tree) -> list[Problem]:
    """Give all problems and warnings, in the order of the files. Without an `out` file what refers to it passes."""
    problems = [
        *(problem for stage in MODELS for problem in check_types(tree, stage)),
        *_hooks(tree),
        *_test_types(tree),
        *_background_tasks(tree),
        *_ids(tree),
        *_spelling(tree),
    ]
    return sorted(once(problems), key=_in_order)


def later(tree: Tree) -> Iterator[Chain]:
    """Give the ways by which one gets from what dsi reads to what will exist later only, an `out` say."""
    for stage in MODELS:
        yield from later_of(tree, stage)
    for path in _read_hooks(tree):
        reading = tree.reading(lenient=True)
        reading.value(split(path))
        yield from reading.later


def _in_order(problem: Problem) -> tuple[int, int, int]:
    if problem.position is None:
        return (len(STAGES) * 3, 0, 0)
    names = file_names()
    place = names.index(problem.position.file) if problem.position.file in names else len(names)
    return (place, problem.position.line, problem.position.column)


def _hooks(tree: Tree) -> Iterator[Problem]:
    for path in _read_hooks(tree):
        reading = tree.reading(lenient=True)
        value = reading.value(split(path))
        yield from (tree.placed(problem) for problem in reading.problems)
        if not isinstance(value, list | Unknown):
            yield tree.problem(path, f"a hook is a list of commands, not {kind_of_value(value)}")


def _read_hooks(tree: Tree) -> Iterator[str]:
    used = {f"workload_setup.{name}" for name in hooks.used_types(tree)}
    return (path for path in hooks.hook_paths(tree) if not path.startswith("workload_setup.") or path in used)


def _test_types(tree: Tree) -> Iterator[Problem]:
    for index in range(len(hooks.items_at(tree, "test_control.run"))):
        path = f"test_control.run.{index}.type"
        name = tree.get_lenient(path)
        if isinstance(name, str) and not isinstance(name, Unknown) and name not in KNOWN_TYPES:
            message = f'no result parser "{name}"{did_you_mean(name, KNOWN_TYPES)}'
            yield tree.problem(path, message, allowed=_shown_types())


def _background_tasks(tree: Tree) -> Iterator[Problem]:
    for index in range(len(hooks.items_at(tree, "test_control.run"))):
        path = f"test_control.run.{index}.background_tasks"
        tasks = tree.get_lenient(path) if tree.has(path) else None
        if isinstance(tasks, dict) and len(tasks) > MAX_BACKGROUND_TASKS:
            message = (
                f"there are {len(tasks)} background tasks, and at most {MAX_BACKGROUND_TASKS} can run beside cmd: each "
                "takes one of the sessions that sshd allows on a connection; start several in one (`a & b & wait`)"
            )
            yield tree.problem(path, message)


def _shown_types() -> list[str]:
    return sorted("mongoshell (shell)" if name == "mongoshell" else name for name in KNOWN_TYPES if name != "shell")


# --- ids ------------------------------------------------------------------------------------------


def _ids(tree: Tree) -> Iterator[Problem]:
    for stage in STAGES:
        seen: dict[str, str] = {}
        for path in _paths_of_ids(tree.root.entries.get(stage), (stage,)):
            yield from _id(tree, path, seen)


def _paths_of_ids(node: Node | None, at: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, Layered):
        yield from _paths_of_ids(node.over, at)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _paths_of_ids(item, (*at, str(index)))
    elif isinstance(node, MappingNode):
        for key, value in node.entries.items():
            if key == "id":
                yield join((*at, key))
            elif not (len(at) == 1 and key == "out"):
                yield from _paths_of_ids(value, (*at, key))


def _id(tree: Tree, path: str, seen: dict[str, str]) -> Iterator[Problem]:
    value = tree.get_lenient(path)
    if isinstance(value, Unknown) or value is None:
        return
    if not isinstance(value, str):
        hint = f": put it in quotes ({value})" if isinstance(value, int | float) else ""
        yield tree.problem(path, f"an id is text, not {kind_of_value(value)}{hint}")
    elif value in _RESERVED or _RESERVED_FORM.fullmatch(value):
        yield tree.problem(path, f'"{value}" is a reserved word (a hook, a target, or on_…): choose another id')
    elif value in seen:
        where = tree.position(seen[value])
        yield tree.problem(path, f'the id "{value}" is used already, at {where}: each id is unique in its file')
    else:
        seen[value] = path
    is_test = path.startswith("test_control.run.")
    if is_test and isinstance(value, str) and ("/" in value or "\0" in value or value in ("", ".", "..")):
        yield tree.problem(path, f"\"{value}\" can't be the name of a folder of reports/, as a test's id is")


# --- spelling -------------------------------------------------------------------------------------


def _spelling(tree: Tree) -> Iterator[Problem]:
    """Warn of keys that dsi doesn't know and that look like one that it does."""
    yield from _misspelt(tree, "", tree.root, STAGES)
    for stage, model in MODELS.items():
        yield from _misspelt_below(tree, stage, [model], hooks.HOOKS.get(stage, ()))


def _misspelt_below(tree: Tree, path: str, models: list[type[Section]], more: Iterable[str] = ()) -> Iterator[Problem]:
    node = _node(tree, path)
    if not isinstance(node, MappingNode):
        return
    fields = {name: field for model in models for name, field in model.model_fields.items()}
    yield from _misspelt(tree, path, node, [*fields, *more, *_default_keys(path)])
    for name, field in fields.items():
        inner = list(sections_of(field.annotation))
        below = f"{path}.{name}"
        if not inner or name not in node.entries:
            continue
        tests = hooks.HOOKS["test_control.run.N"] if below == "test_control.run" else ()
        yield from _misspelt_below(tree, below, inner)
        for index in range(len(hooks.items_at(tree, below))):
            yield from _misspelt_below(tree, f"{below}.{index}", inner, tests)


def _misspelt(tree: Tree, path: str, node: MappingNode, known: Iterable[str]) -> Iterator[Problem]:
    known = list(known)
    beside: dict[str, set[str]] = {}
    for name, place in node.keys.items():
        beside.setdefault(place.file, set()).add(name)
    for key in node.entries:
        position = node.keys.get(key)
        if key in known or position is None or position.file == DEFAULTS_NAME or position.file.endswith(".out.yml"):
            continue
        near = [name for name in known if name not in beside[position.file] and _is_near(key, name)]
        if near:
            message = f'dsi does not know this key (did you mean "{near[0]}"?)'
            yield tree.problem(f"{path}.{key}" if path else key, message, warning=True, key=True)


def _default_keys(path: str) -> Iterable[str]:
    node: Any = product_defaults()
    for part in split(path):
        node = node.entries.get(part) if isinstance(node, MappingNode) else None
    return node.entries if isinstance(node, MappingNode) else ()


def _node(tree: Tree, path: str) -> Node | None:
    try:
        return tree.reading(lenient=True).node(split(path))
    except NotThere:
        return None


def _is_near(word: str, known: str) -> bool:
    allowed = _CLOSE_ENOUGH if min(len(word), len(known)) > 4 else 1
    return abs(len(word) - len(known)) <= allowed and _distance(word, known) <= allowed


def _distance(word: str, other: str) -> int:
    """Count the letters to change, add, leave out or swap (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        older, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == wanted:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
