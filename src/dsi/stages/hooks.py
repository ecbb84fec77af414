"""Hooks: from the configuration to commands, with file and line for each that is none."""

from collections.abc import Iterator, Sequence
from typing import Any

from dsi.config import Tree
from dsi.errors import ConfigError, InvalidCommand
from dsi.model import Problem
from dsi.runner import Hook, HookCommand
from dsi.stages.scope import scope_of
from dsi.stages.validate import located, parse_at

Timed = Sequence[tuple[int, HookCommand]]


def hook(tree: Tree, *paths: str) -> Hook:
    """Give the commands of the hooks at these paths, in this order; a path that isn't there has none.

    Raises:
        ConfigError: a command is none.
    """
    return [command for _, command in _commands(tree, paths)]


def timed_hook(tree: Tree, *paths: str) -> Timed:
    """Give the commands of `during_test` hooks, each with the second at which it is due."""
    return [(due_s, command) for due_s, command in _commands(tree, paths) if due_s is not None]


def _commands(tree: Tree, paths: Sequence[str]) -> Iterator[tuple[int | None, HookCommand]]:
    scope = scope_of(tree)
    problems: list[Problem] = []
    for path, raw in _entries(tree, paths):
        try:
            due_s, command = parse_at(path, raw, scope)
        except InvalidCommand as problem:
            problems.append(located(tree, path, problem))
        else:
            yield due_s, HookCommand(path, raw, command)
    if problems:
        raise ConfigError(problems)


def _entries(tree: Tree, paths: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        entries = tree.get(path) if tree.has(path) else None
        for index, raw in enumerate(entries or ()):
            yield f"{path}.{index}", raw
