"""What a rule is: three kinds, by what they look at."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dsi.analysis.finding import Finding, Severity
from dsi.analysis.folder import Folder
from dsi.analysis.history import History
from dsi.analysis.server_log import Entry
from dsi.analysis.windows import Kind
from dsi.ftdc import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRule:
    """Looks at the run as a whole: its timeline, and which files there are."""

    looks_for: str
    check: Callable[[History, Folder], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRule:
    """Looks for lines of server logs. The first rule of the registry that a line matches has it.

    A line matches by its id (structured logs) or by `words` (logs of 4.2 and before); or, where there are no ids, by
    its severity and, if there are any, words. `expected_in`: windows in which it is no finding; `follows_in`: in which
    it is but a warning, since it may come from what is told elsewhere, or was asked for; both only for lines with
    `expected_words`, if there are any. `orders`: lines that say that somebody told the server to do it; a restart that
    is over has none. `noticed_late`: the server finds out only some time after it happened.
    """

    looks_for: str
    means: str
    severity: Severity
    ids: frozenset[int] = frozenset()
    levels: frozenset[str] = frozenset()
    words: "re.Pattern[str] | None" = None
    expected_in: frozenset[Kind] = frozenset()
    expected_words: "re.Pattern[str] | None" = None
    follows_in: frozenset[Kind] = frozenset()
    orders: "re.Pattern[str] | None" = None
    noticed_late: bool = False

    def matches(self, entry: Entry) -> bool:
        """Tell whether a line is this rule's."""
        if self.ids and entry.id:
            return entry.id in self.ids
        if self.levels and entry.severity not in self.levels:
            return False
        return self.words is None or bool(self.words.search(entry.message))

    def is_expected(self, entry: Entry) -> bool:
        """Tell whether its text is such as a window can explain."""
        return self.expected_words is None or bool(self.expected_words.search(entry.message))

    def is_order(self, entry: Entry) -> bool:
        """Tell whether it says that somebody told the server to do this."""
        return self.orders is not None and bool(self.orders.search(entry.message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """From when to when something was so, in seconds since the epoch by the server's clock, and how."""

    start_s: float
    end_s: float
    how: str


Samples = Mapping[str, Series]
"""Metrics of one server, by name; one that it doesn't have is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FtdcRule:
    """Looks at what a server measured of itself (FTDC) while a test ran.

    Episodes that a restart or a fault that was asked for falls into are expected, unless they last. `settles`: so are
    those that begin soon after one.
    """

    looks_for: str
    means: str
    severity: Severity
    metrics: Sequence[str]
    check: Callable[[Samples], Iterable[Episode]]
    settles: bool = True


Rule = RunRule | LogRule | FtdcRule
Registry = Mapping[str, Rule]
