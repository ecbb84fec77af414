"""What is looked at before a node is started: paths of its own, its options, the program that is put before it."""

import posixpath
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from dsi.errors import CommandFailed, ConfigError, Preflight
from dsi.systems.mongodb import mongod_config
from dsi.systems.mongodb.node import Node
from dsi.systems.mongodb.waiting import side_by_side

log = structlog.get_logger()

_FOLDERS = frozenset({"storage.dbPath", "journal_dir"})
"""What else has a path of its own (a log, say) is a file."""

_TRY_PREFIX = r"""
if ! command -v -- "$1" > /dev/null; then echo "there is no program $1" >&2; exit 127; fi
"$@" true > /dev/null
"""


def refuse_shared_paths(nodes: Sequence[Node]) -> None:
    """Refuse one absolute path for several hosts of this machine: on machines of their own it would be several.

    Raises:
        Preflight: with the override to write.
    """
    owners: dict[str, Node] = {}
    for node in nodes:
        for option, path, remedy in _absolute_paths(node):
            owner = owners.setdefault(path, node)
            if owner is not node:
                raise Preflight(
                    f"{owner.plan.label} and {node.plan.label} are on this machine and would share {option} {path}: "
                    f"{remedy}"
                )


async def insist_on_folders(nodes: Sequence[Node], work_directory: Path) -> None:
    """Make the absolute folders of local hosts, which were meant for machines of another kind.

    What lies outside of the work directory, and so stays there, is warned of.

    Raises:
        Preflight: this machine can't have one; with the override to write.
    """
    await side_by_side(_insist_on_folders(node, work_directory) for node in nodes)


async def _insist_on_folders(node: Node, work_directory: Path) -> None:
    for option, path, remedy in _absolute_paths(node):
        try:
            folder = path if option in _FOLDERS else posixpath.dirname(path)
            await node.host.run(f"mkdir -p -- {shlex.quote(folder)}")
        except CommandFailed as problem:
            raise Preflight(
                f"{node.plan.label}: this machine can't have {option} {path}: {problem}; {remedy}"
            ) from problem
        if node.layout.is_in_work_directory and not Path(posixpath.normpath(path)).is_relative_to(work_directory):
            log.warning(
                f"{option} {path} is outside of the work directory: dsi teardown leaves what is there; {remedy}",
                node=node.name,
            )


def _absolute_paths(node: Node) -> Iterator[tuple[str, str, str]]:
    """Yield option, path and what to write instead, where the host is a local one."""
    if not node.host.is_local:
        return
    for option, path in mongod_config.own_paths(node.layout.config).items():
        if path.startswith("/"):
            relative = "a path that is relative to the home folder, as data/dbs"
            yield option, path, f"in overrides.yml, give mongodb_setup.mongod_config_file.{option} {relative}"
    journal = node.layout.journal
    if journal and journal.startswith("/"):
        own = f", and override {node.plan.path}.journal_dir" if node.plan.model.journal_dir else ""
        yield "journal_dir", journal, f"in overrides.yml, write mongodb_setup: {{journal_dir: data/journal}}{own}"


async def insist_on_options(nodes: Sequence[Node]) -> None:
    """See that the nodes' servers, which were installed, take their options.

    Raises:
        ConfigError: a server's version refuses what its configuration says; all such options at once.
    """
    refused = await side_by_side(
        node.program.refused(node.layout.config, path=f"{node.plan.path}.config_file") for node in nodes
    )
    problems = [problem for found in refused for problem in found]
    if problems:
        raise ConfigError(problems)


async def insist_on_prefix(nodes: Sequence[Node]) -> None:
    """See that what is put before the servers' program runs on their hosts.

    Raises:
        Preflight: it doesn't; with what it said, and the override to write.
    """
    hosts = {node.host.name: node for node in nodes if node.layout.prefix}
    await side_by_side(_insist_on_prefix(node) for node in hosts.values())


async def _insist_on_prefix(node: Node) -> None:
    prefix = shlex.join(node.layout.prefix)
    try:
        await node.host.run(f"set -- {prefix}\n{_TRY_PREFIX}")
    except CommandFailed as problem:
        said = problem.results[0].stderr.strip() or f"exit status {problem.results[0].exit_status}"
        raise Preflight(
            f"{node.host.name}: infrastructure_provisioning.numactl_prefix ({prefix}) does not run on "
            f"this host: {said}; install it there, or do without: in overrides.yml, write "
            'infrastructure_provisioning: {numactl_prefix: ""} (for a list, one "" for each of its elements)'
        ) from problem
