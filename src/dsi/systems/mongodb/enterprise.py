"""Options that need MongoDB Enterprise: another server refuses them only once it is started, in words of its own. Pure.

https://www.mongodb.com/docs/manual/administration/upgrade-community-to-enterprise/#additional-features;
`tests/integration/test_enterprise_options.py` has a community server refuse each of these.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dsi.model import Problem
from dsi.systems.mongodb.options import at

OPTIONS: Final = (
    "auditLog",
    "security.enableEncryption",
    "security.encryptionCipherMode",
    "security.encryptionKeyFile",
    "security.kmip",
    "security.ldap",
    "snmp",
    "storage.inMemory",
)
_ENGINE: Final = "storage.engine"
_ENTERPRISE_ENGINES: Final = ("inMemory",)

_MODULES = re.compile(r'"modules":\s*\[(?P<list>[^\]]*)\]|^modules:(?P<line>.*)$', re.MULTILINE)
_PERCONA = "psmdbVersion"
"""Percona's server has these options, too, and says in its build info that it is none of MongoDB's."""


def has_any(config: Mapping[str, Any]) -> bool:
    """Whether a configuration has such options."""
    return any(True for _ in _found(config))


def refused(config: Mapping[str, Any], said: str, *, path: str) -> list[Problem]:
    """Give the options that a server refuses for want of MongoDB Enterprise.

    `said` is what its `--version` prints; `path` is where the configuration stands in the tree.
    """
    if _may_have_them(said):
        return []
    why = "needs MongoDB Enterprise, which this server is not (`--version` names no such module)"
    remedy = "name an archive of it in mongodb_setup.mongodb_binary_archive, or leave the option out"
    return [Problem(path=f"{path}.{option}", message=f"{shown}{why}: {remedy}") for option, shown in _found(config)]


def _may_have_them(said: str) -> bool:
    """Tell it from what `--version` prints; of a server that says nothing of its modules it isn't known."""
    modules = _MODULES.search(said)
    return modules is None or "enterprise" in (modules["list"] or modules["line"] or "") or _PERCONA in said


def _found(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the options, and how their value is shown before what is said of them."""
    for option in OPTIONS:
        if at(config, option) is not None:
            yield option, ""
    engine = at(config, _ENGINE)
    if engine in _ENTERPRISE_ENGINES:
        yield _ENGINE, f"{engine} "
