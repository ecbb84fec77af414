"""The diagnostic data of a reports folder against the rules."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from dsi import clock
from dsi.analysis.finding import Finding, Severity
from dsi.analysis.folder import Source
from dsi.analysis.history import History
from dsi.analysis.rules import RULES, FtdcRule
from dsi.analysis.rules.rule import Episode, Samples
from dsi.analysis.windows import ASKED_FOR, Kind, Window, as_long_as_it_may_matter, not_after_its_end
from dsi.errors import NoDiagnosticData
from dsi.ftdc import Damage, Series, series

_RULES: Final = {name: rule for name, rule in RULES.items() if isinstance(rule, FtdcRule)}
_METRICS: Final = frozenset(name for rule in _RULES.values() for name in rule.metrics)

_SHORT_S: Final = 60.0
"""What a restart may well bring with it; what lasts longer is told, though as a warning."""

_SHOWN_EPISODES: Final = 5
_CAUSES: Final[frozenset[Kind]] = ASKED_FOR | {"lost", "command"}


def check_diagnostics(folders: Sequence[Source], history: History) -> Iterator[Finding]:
    """Give the findings of each diagnostic.data: of the test after which it was fetched, and no other time."""
    for folder in folders:
        damage: list[Damage] = []
        try:
            samples = series(folder.path, _METRICS, damage.append)
        except NoDiagnosticData:
            continue
        found = _check(folder, _of_the_test(samples, folder, history), history)
        if damage:
            yield _damaged(folder, damage)
            found = (one for one in found if one.rule != "server_stall")  # what can't be read looks the same
        yield from found


def _of_the_test(samples: Samples, folder: Source, history: History) -> Samples:
    """Leave out what was measured before and after the test: cleaned or not, a later copy has all of an earlier one."""
    test = history.tests.get(folder.test or "")
    if test is None or test.start_s is None:
        return samples
    offset_s = history.offset_of(folder.host).offset_s
    begin_ms = (test.start_s + offset_s) * 1000
    end_ms = math.inf if test.end_s is None else (test.end_s + offset_s) * 1000
    return {name: cut for name, one in samples.items() if len((cut := _between(one, begin_ms, end_ms)).times_ms)}


def _between(one: Series, begin_ms: float, end_ms: float) -> Series:
    inside = np.flatnonzero((one.times_ms >= begin_ms) & (one.times_ms <= end_ms))
    return Series(one.times_ms[inside], one.values[inside])


def _check(folder: Source, samples: Samples, history: History) -> Iterator[Finding]:
    for name, rule in _RULES.items():
        told = []
        for episode in rule.check(samples):
            cause = _cause(episode, rule, folder, history)
            if cause is None or cause.kind == "command" or episode.end_s - episode.start_s > _SHORT_S:
                told.append((episode, cause))
        if told:
            yield _finding(name, rule, folder, told)


def _cause(episode: Episode, rule: FtdcRule, folder: Source, history: History) -> Window | None:
    """Give what an episode may come from: a command of the user, whose effect is not known, if there is no other."""
    offset = history.offset_of(folder.host)
    around = history.windows.between(
        episode.start_s - offset.offset_s,
        episode.end_s - offset.offset_s,
        _CAUSES,
        as_long_as_it_may_matter if rule.settles else not_after_its_end,
        more_s=offset.uncertainty_s,
    )
    return min(around, key=lambda one: one.kind == "command", default=None)


def _finding(name: str, rule: FtdcRule, folder: Source, told: Sequence[tuple[Episode, Window | None]]) -> Finding:
    """Make one finding of what was told: of the episodes that nothing explains, if there are any."""
    unasked = [one for one, cause in told if cause is None]
    causes = [] if unasked else [cause for _, cause in told if cause is not None]
    severity: Severity = rule.severity if unasked else "warning"
    episodes = unasked or [one for one, _ in told]
    return Finding(
        rule=name,
        severity=severity,
        message=rule.means + "".join(f" (at that time, or shortly before: {cause.what})" for cause in causes[:1]),
        test=folder.test,
        host=folder.host,
        node=folder.node,
        file=folder.file,
        time_s=episodes[0].start_s,
        text="\n".join(_shown(episodes)),
        count=len(episodes),
    )


def _shown(episodes: Sequence[Episode]) -> Iterator[str]:
    """Give the longest, in the order of time."""
    longest = sorted(episodes, key=lambda one: one.start_s - one.end_s)[:_SHOWN_EPISODES]
    for one in sorted(longest, key=lambda one: one.start_s):
        yield f"{clock.isoformat(one.start_s)}, for {one.end_s - one.start_s:.0f} s: {one.how}"


def _damaged(folder: Source, damage: Sequence[Damage]) -> Finding:
    first = damage[0]
    return Finding(
        rule="ftdc_damaged",
        severity="warning",
        message=f"a part of the diagnostic data can't be read, and is passed over: {first.reason}",
        test=folder.test,
        host=folder.host,
        node=folder.node,
        file=_relative(first.file, folder),
        count=len(damage),
    )


def _relative(file: Path, folder: Source) -> str:
    return f"{folder.file}/{file.relative_to(folder.path)}"
