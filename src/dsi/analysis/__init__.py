"""What is wrong in a reports folder: no host is needed, and nothing is changed.

found = analyze(Path("reports"))
found.findings[0].message
write_report_json(found, Path("reports"))
"""

from dsi.analysis.analysis import Analysis, analyze
from dsi.analysis.finding import Finding, Severity, TestVerdict
from dsi.analysis.ignoring import Ignored, check_ignored, ignored
from dsi.analysis.report_json import write_report_json
from dsi.analysis.rules import RULES

__all__ = [
    "RULES",
    "Analysis",
    "Finding",
    "Ignored",
    "Severity",
    "TestVerdict",
    "analyze",
    "check_ignored",
    "ignored",
    "write_report_json",
]
