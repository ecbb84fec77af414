"""Hooks: where commands stand in the configuration."""

from collections.abc import Iterator
from typing import Any, Final

from dsi.config.nodes import ListNode, split
from dsi.config.resolve import NotThere
from dsi.config.tree import Tree
from dsi.parsers import KNOWN_TYPES

_OF_A_TEST: Final = ("pre_test", "during_test", "post_test")
HOOKS: Final = {
    "infrastructure_provisioning": ("post_provisioning",),
    "mongodb_setup": (
        "pre_cluster_start",
        "post_cluster_start",
        "pre_task",
        "between_tests",
        *_OF_A_TEST,
        "post_task",
        "upon_error",
    ),
    "test_control": ("pre_task", "between_tests", *_OF_A_TEST, "post_task"),
    "test_control.run.N": _OF_A_TEST,
}
"""The hooks' names by where they stand. Besides them, under `workload_setup`, every test type is one."""


def hooks(tree: Tree, *, lenient: bool = False) -> Iterator[tuple[str, Any]]:
    """Give every command of every hook of every stage, resolved: its path in the tree, and what stands there.

    Args:
        tree: where to look.
        lenient: what can't be known yet, or is wrong (`check` says what), is an `Unknown` instead of an error.

    Raises:
        ConfigError: a reference that stands for nothing (not when lenient).
    """
    for hook in hook_paths(tree):
        for index in range(len(items_at(tree, hook))):
            path = f"{hook}.{index}"
            yield path, tree.get_lenient(path) if lenient else tree.get(path)


def hook_paths(tree: Tree) -> Iterator[str]:
    """Give the paths of all hooks that there are, also of those that are no lists."""
    for stage in ("infrastructure_provisioning", "workload_setup", "mongodb_setup", "test_control"):
        names = setup_types(tree) if stage == "workload_setup" else HOOKS[stage]
        yield from (f"{stage}.{name}" for name in names if has_value(tree, f"{stage}.{name}"))
    for index in range(len(items_at(tree, "test_control.run"))):
        own = f"test_control.run.{index}"
        yield from (f"{own}.{name}" for name in _OF_A_TEST if has_value(tree, f"{own}.{name}"))


def setup_types(tree: Tree) -> list[str]:
    """Give the keys of workload_setup that are hooks: the types of the tests to be run, and those everybody knows."""
    used = used_types(tree)
    known = [name for name in KNOWN_TYPES if name not in used]
    return [*used, *known]


def used_types(tree: Tree) -> list[str]:
    """Give the types of the tests that will be run, as far as they are known."""
    types = (tree.get_lenient(f"test_control.run.{n}.type") for n in range(len(items_at(tree, "test_control.run"))))
    return list(dict.fromkeys(name for name in types if isinstance(name, str) and "." not in name))


def items_at(tree: Tree, path: str) -> tuple[Any, ...]:
    """Give the unresolved elements of the list at a path; none where there is no list."""
    try:
        node = tree.reading(lenient=True).node(split(path))
    except NotThere:
        return ()
    return node.items if isinstance(node, ListNode) else ()


def has_value(tree: Tree, path: str) -> bool:
    """Tell whether something other than null stands at a path."""
    return tree.get_lenient(path) is not None
