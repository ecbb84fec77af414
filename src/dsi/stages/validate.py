"""`dsi validate`: everything that can be checked without touching a host."""

import re
from collections.abc import Iterable
from typing import Any, Final, cast

from dsi import config
from dsi.commands import Command, Scope, check_words, parse
from dsi.config import Tree
from dsi.errors import ConfigError, InvalidCommand
from dsi.model import ROLES, Position, Problem, Role
from dsi.provisioning import PROVISIONERS, counts
from dsi.schedule import split_at
from dsi.stages.scope import at, scope_of
from dsi.systems import mongodb

_COUNTED: Final = {
    "local": "infrastructure_provisioning.tfvars.*_instance_count",
    "static": "infrastructure_provisioning.hosts",
}
"""The providers of which it is known beforehand how many hosts there will be, and by what."""

_OUT: Final = re.compile(rf"infrastructure_provisioning\.out\.(?P<role>{'|'.join(ROLES)})\.(?P<index>-?\d+)(\..*)?")


def check(tree: Tree) -> list[Problem]:
    """Give all problems and warnings of a configuration; no host is touched."""
    problems = [*tree.warnings, *config.check(tree)]
    scope = scope_of(tree)
    for path, raw in config.hooks(tree, lenient=True):
        if config.is_unknown(raw):
            continue
        try:
            parse_at(path, raw, scope)
        except InvalidCommand as problem:
            problems.append(located(tree, path, problem))
    setup = config.mongodb_setup(tree, lenient=True)
    topology = mongodb.Topology(setup)
    problems += in_the_files(
        tree, [*topology.problems, *mongodb.validated_problems(config.validated(tree, lenient=True), topology.nodes)]
    )
    problems += _missing_hosts(tree)
    return sorted([*problems, *_of_the_dsisocket(tree, scope), *_not_yet(tree)], key=_place)


def _missing_hosts(tree: Tree) -> list[Problem]:
    """Give references that dsi will follow to hosts that provisioning will not give; others may stand for nothing.

    Once there is an `out`, such a reference stands for nothing in any case.
    """
    settings = config.provisioning(tree, lenient=True)
    if settings.out is not None or settings.provider not in _COUNTED:
        return []
    there = counts(settings)
    found = []
    for way in config.later(tree):
        host = _OUT.fullmatch(way[-1].target)
        if host is None:
            continue
        role, index = cast("Role", host["role"]), int(host["index"])
        if not -there[role] <= index < there[role]:
            message = f"there is no host {role}.{index}: {_COUNTED[settings.provider]} gives {there[role]} of {role}"
            found.append(tree.placed(config.problem_of(message, way)))
    return config.once(found)


def _of_the_dsisocket(tree: Tree, scope: Scope) -> list[Problem]:
    path = "test_control.dsisocket.allow"
    words = tree.get_lenient(path) if tree.has(path) else None
    try:
        check_words([word for word in words if isinstance(word, str)] if isinstance(words, list) else [], scope)
    except InvalidCommand as problem:
        return [tree.problem(path, problem.message, allowed=problem.allowed)]
    return []


def in_the_files(tree: Tree, problems: Iterable[Problem]) -> list[Problem]:
    """Say where in the files problems stand that are known by their paths; what several nodes share is said once."""
    return config.once(
        tree.problem(
            _where_written(tree, problem.path), problem.message, allowed=problem.allowed, warning=problem.warning
        )
        for problem in problems
    )


def _where_written(tree: Tree, path: str) -> str:
    """Give the path at which an option of a node was written: most stand in the configuration of all nodes."""
    node, of_a_node, option = path.partition(".config_file.")
    if not of_a_node or tree.is_written(path):
        return path
    kind = next((kind for kind in ("mongos", "configsvr") if node.split(".")[-2] == kind), "mongod")
    general = f"mongodb_setup.{kind}_config_file.{option}"
    return general if tree.is_written(general) else path


def _place(problem: Problem) -> tuple[bool, str, int, int]:
    """Order problems as one reads: errors first, by file and place in it."""
    position = problem.position or Position("", 0, 0)
    return problem.warning, position.file, position.line, position.column


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
    """What comes in a later version, and is passed over until then; but for hosts, without which nothing runs."""
    found = []
    settings = config.provisioning(tree, lenient=True)
    if settings.provider not in PROVISIONERS:
        path = "infrastructure_provisioning.provider"
        found.append(tree.problem(path, f"{settings.provider} is not supported yet", allowed=sorted(PROVISIONERS)))
    delays = "mongodb_setup.network_delays"
    if tree.has(delays) and _asks_for_a_delay(tree.get_lenient(delays)):
        message = "network delays are not supported yet: the cluster comes up without them"
        found.append(tree.problem(delays, message, warning=True))
    return found


def _asks_for_a_delay(settings: Any) -> bool:
    """Whether any delay in it is more than nothing: many files of the original say that there is none."""
    if isinstance(settings, list):
        return any(map(_asks_for_a_delay, settings))
    if not isinstance(settings, dict):
        return False
    here = (settings.get(key) for key in ("delay_ms", "jitter_ms"))
    return any(here) or any(map(_asks_for_a_delay, settings.values()))
