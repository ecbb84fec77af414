"""Which tests there are, and how each ended: by the timeline or `test_control.out.yml`, and by what was planned."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dsi import config
from dsi.analysis.finding import TestVerdict
from dsi.analysis.history import History
from dsi.config import Tree
from dsi.errors import ConfigError


def complete_tests(history: History, reports: Path) -> bool:
    """Add to the history what the files of the folder say of tests; tell whether they said anything.

    The timeline goes before `test_control.out.yml`: where dsi was killed, the copy of that is still an earlier run's.
    """
    try:
        tree = config.load(reports)
    except ConfigError:  # a full disk, or a copy by other means: what else lies there is still worth reading
        return False
    if not history.known:
        history.tests.update((test.id, test) for test in _exit_codes(tree))
    for name in _planned(tree):
        history.tests.setdefault(name, TestVerdict(id=name, status="not run"))
    return bool(history.tests)


def _exit_codes(tree: Tree) -> Iterator[TestVerdict]:
    codes = tree.get_lenient("test_control.out.exit_codes")
    for name, given in codes.items() if isinstance(codes, dict) else ():
        said: Mapping[str, Any] = given if isinstance(given, dict) else {}
        exit_status = said.get("status")
        passed = said["outcome"] == "passed" if "outcome" in said else exit_status == 0
        yield TestVerdict(
            id=str(name),
            status="passed" if passed else str(said.get("outcome") or "failed"),
            reason="" if passed else str(said.get("message") or ""),
            exit_status=exit_status if isinstance(exit_status, int) else None,
        )


def _planned(tree: Tree) -> Iterator[str]:
    run = tree.get_lenient("test_control.run")
    for test in run if isinstance(run, list) else ():
        if isinstance(test, dict) and isinstance(test.get("id"), str):
            yield test["id"]
