"""`dsi validate`: everything that can be checked without touching a host."""

from typing import Any

from dsi import config
from dsi.commands import Command, Scope, parse
from dsi.config import Tree
from dsi.errors import ConfigError, InvalidCommand
from dsi.model import Problem
from dsi.schedule import split_at
from dsi.stages.scope import at, scope_of


def check(tree: Tree) -> list[Problem]:
    """Give all problems and warnings of a configuration, in the order of the files; no host is touched."""
    problems = [*tree.warnings, *config.check(tree)]
    scope = scope_of(tree)
    for path, raw in config.hooks(tree, lenient=True):
        if config.is_unknown(raw):
            continue
        try:
            parse_at(path, raw, scope)
        except InvalidCommand as problem:
            problems.append(located(tree, path, problem))
    return problems + _not_yet(tree)


def insist(tree: Tree) -> list[Problem]:
    """Check a configuration before a stage begins, and give the warnings.

    Raises:
        ConfigError: with all the problems there are.
    """
    found = check(tree)
    problems = [problem for problem in found if not problem.warning]
    if problems:
        raise ConfigError(problems)
    return found


def parse_at(path: str, raw: Any, scope: Scope) -> tuple[int | None, Command]:
    """Read the command that stands at a path, and when it is due where it stands in a during_test (seconds).

    Raises:
        InvalidCommand
    """
    hook = path.rpartition(".")[0].rpartition(".")[2]
    due_s = None
    if hook == "during_test":
        due_s, raw = split_at(raw)
    return due_s, parse(raw, at(path, scope))


def located(tree: Tree, path: str, problem: InvalidCommand) -> Problem:
    """Say where in the files an invalid command stands."""
    return tree.problem(f"{path}.{problem.path}" if problem.path else path, problem.detail, allowed=problem.allowed)


def _not_yet(tree: Tree) -> list[Problem]:
    """What is specified and comes in a later version: what the run itself needs is refused, the rest is passed over."""
    topology = tree.get_lenient("mongodb_setup.topology") or []
    tests = tree.get_lenient("test_control.run") or []
    refused = [
        (f"mongodb_setup.topology.{index}", "sharded clusters are not supported yet")
        for index, cluster in _mappings(topology)
        if cluster.get("cluster_type") == "sharded_cluster"
    ]
    refused += [
        (f"test_control.run.{index}.background_tasks", "background tasks are not supported yet")
        for index, test in _mappings(tests)
        if test.get("background_tasks")
    ]
    if tree.get_lenient("mongodb_setup.authentication.enabled") is True:
        refused.append(("mongodb_setup.authentication.enabled", "authentication is not supported yet: write false"))
    problems = [tree.problem(path, message) for path, message in refused]
    if tests:
        message = "results are not parsed and collections not validated yet: `type` and `validate` are passed over"
        problems.append(tree.problem("test_control.run", message, warning=True))
    return problems


def _mappings(items: Any) -> list[tuple[int, dict[str, Any]]]:
    entries = enumerate(items) if isinstance(items, list) else ()
    return [(index, item) for index, item in entries if isinstance(item, dict)]
