"""`junit.xml`: the tests of a task in the form that CI systems read.

There is no one specification. What is written here is what all of these take: junit-10.xsd of Jenkins' xUnit plugin,
GitLab's reader, and https://github.com/testmoapp/junitxml, which describes what others do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree as ET

from dsi.clock import isoformat
from dsi.masking import masked

Kind = Literal["passed", "failure", "error", "skipped"]

_TERMINAL: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""What moves a terminal's cursor and sets its colours (ECMA-48, 5.4)."""

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0, production 2: not even an escape may stand for these."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test. `outcome` and `reason` say what came of it, `notes` what else did; `output`: the end of its output."""

    name: str
    kind: Kind
    outcome: str
    reason: str = ""
    notes: Sequence[str] = ()
    duration_s: float = 0.0
    output: str = ""


def junit_xml(suite: str, cases: Sequence[Case], *, start_s: float, remarks: Sequence[str] = ()) -> str:
    """Give the file. `start_s`: when the task began (wall clock). `remarks`: about the task as a whole."""
    totals = {
        "name": _text(suite),
        "tests": str(len(cases)),
        "failures": str(sum(case.kind == "failure" for case in cases)),
        "errors": str(sum(case.kind == "error" for case in cases)),
        "time": f"{sum(case.duration_s for case in cases):.3f}",
    }
    root = ET.Element("testsuites", totals)
    skipped = str(sum(case.kind == "skipped" for case in cases))
    when = isoformat(start_s).partition(".")[0]  # without a zone, as Ant writes it
    element = ET.SubElement(root, "testsuite", {**totals, "skipped": skipped, "timestamp": when})
    for case in cases:
        _add(element, suite, case)
    _add_text(element, "system-err", "\n".join(remarks))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add(suite: ET.Element, suite_name: str, case: Case) -> None:
    place = {"classname": _text(suite_name), "name": _text(case.name), "time": f"{case.duration_s:.3f}"}
    element = ET.SubElement(suite, "testcase", place)
    if case.kind != "passed":
        first_line = (case.reason or case.outcome).partition("\n")[0]  # the rest are lines of a server's log
        why = ET.SubElement(element, case.kind, {"type": case.outcome, "message": _text(first_line)})
        why.text = _text("\n".join((f"{case.outcome}: {case.reason}", *case.notes)))
    _add_text(element, "system-out", case.output)
    if case.kind == "passed":
        _add_text(element, "system-err", "\n".join(case.notes))


def _add_text(element: ET.Element, name: str, text: str) -> None:
    if text:
        ET.SubElement(element, name).text = _text(text)


def _text(text: str) -> str:
    """Leave out secrets, and what can't stand in XML."""
    return _NOT_IN_XML.sub("", _TERMINAL.sub("", masked(text)))
