"""Metrics by what a person types: a name, or a pattern as a shell has it."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from dsi.errors import NoDiagnosticData, NoSuchMetric
from dsi.ftdc.chunk import ROLES
from dsi.ftdc.damage import Damage
from dsi.ftdc.folder import read
from dsi.suggest import did_you_mean

_PATTERN: Final = frozenset("*?[")


def names(path: Path) -> list[str]:
    """Give all metrics that any sample of diagnostic data (see `dsi.ftdc.files`) has. Damage is passed over in silence.

    Raises:
        NoDiagnosticData: there are no files, or no sample in them.
    """
    lost: list[Damage] = []
    found = {name: None for chunk in read(path, lost.append) for name in chunk.names}
    if not found:
        why = f": {lost[0]}" if lost else "; the server had not written any yet"
        raise NoDiagnosticData(f"{path}: no sample can be read{why}")
    return list(found)


def select(wanted: Iterable[str], known: Sequence[str]) -> list[str]:
    """Give the metrics that are meant, in the order of `wanted`, each once. A role (`shard.`) may be left out.

    Raises:
        NoSuchMetric: one of `wanted` is none, and no pattern that matches one.
    """
    return list(dict.fromkeys(name for one in wanted for name in _meant(one, known)))


def _meant(wanted: str, known: Sequence[str]) -> list[str]:
    exact = [name for name in (wanted, *(role + wanted for role in ROLES)) if name in known]
    found = exact[:1] or [name for name in known if fnmatchcase(name, wanted) or fnmatchcase(_bare(name), wanted)]
    if not found:
        raise NoSuchMetric(_unknown(wanted, known))
    return found


def _bare(name: str) -> str:
    return name.partition(".")[2] if name.startswith(ROLES) else name


def _unknown(wanted: str, known: Sequence[str]) -> str:
    if _PATTERN & set(wanted):
        return f'no metric matches "{wanted}"; without --metric, --list shows all'
    longer = next((f' (did you mean "{name}"?)' for name in known if name.endswith(f".{wanted}")), None)
    return f'there is no metric "{wanted}"{longer or did_you_mean(wanted, known)}; --list shows all'
