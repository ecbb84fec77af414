"""What people want to hear no more of: `analysis.ignore` of the configuration."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dsi.analysis.finding import Finding
from dsi.analysis.rules import RULES
from dsi.config import Tree, analysis
from dsi.model import Problem
from dsi.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Ignored:
    """Findings of a rule (None: any) whose message or evidence a pattern (None: any) is found in."""

    rule: str | None
    pattern: "re.Pattern[str] | None"

    def hides(self, finding: Finding) -> bool:
        """Tell whether a finding is one of them."""
        if self.rule is not None and self.rule != finding.rule:
            return False
        return self.pattern is None or bool(self.pattern.search(f"{finding.text}\n{finding.message}"))


def ignored(tree: Tree) -> Sequence[Ignored]:
    """Give what `analysis.ignore` says.

    Raises:
        ConfigError: it is wrong.
    """
    return [
        Ignored(one.rule, re.compile(one.pattern) if one.pattern is not None else None) for one in analysis(tree).ignore
    ]


def check_ignored(tree: Tree) -> list[Problem]:
    """Give the names in `analysis.ignore` that no rule has."""
    entries = tree.get_lenient("analysis.ignore")
    names = [
        (index, one["rule"])
        for index, one in enumerate(entries if isinstance(entries, list) else ())
        if isinstance(one, dict) and isinstance(one.get("rule"), str)
    ]
    return [
        tree.problem(f"analysis.ignore.{index}.rule", f'no rule "{name}"{did_you_mean(name, RULES)}', allowed=RULES)
        for index, name in names
        if name not in RULES
    ]
