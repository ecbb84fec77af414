"""`junit.xml`, read back as a CI system reads it."""

from xml.etree import ElementTree as ET

from dsi.report.junit import Case, junit_xml

CASES = [
    Case(name="good", kind="passed", outcome="passed", duration_s=1.5, output="out <&>", notes=["a note"]),
    Case(name="bad", kind="failure", outcome="failed (workload)", reason="exit status 7", notes=["x"], duration_s=2),
    Case(name="lost", kind="error", outcome="infrastructure error", reason="mongod.0: gone\n  its log"),
    Case(name="rest", kind="skipped", outcome="not run", reason="an error stopped the task before"),
]


def read(cases: list[Case]) -> ET.Element:
    return ET.fromstring(junit_xml("a task", cases, start_s=0, remarks=["stopped"]).encode())


def test_each_test_is_a_case_with_its_outcome_where_ci_systems_look_for_it() -> None:
    good, bad, lost, rest = read(CASES).findall("testsuite/testcase")
    assert (good.attrib, [child.tag for child in good]) == (
        {"classname": "a task", "name": "good", "time": "1.500"},
        ["system-out", "system-err"],
    )
    assert good.findtext("system-out") == "out <&>"
    (failure,), (error,), (skipped,) = bad, lost, rest
    assert (failure.tag, failure.attrib) == ("failure", {"type": "failed (workload)", "message": "exit status 7"})
    assert failure.text == "failed (workload): exit status 7\nx"
    assert (error.tag, error.get("type"), error.get("message")) == ("error", "infrastructure error", "mongod.0: gone")
    assert error.text == "infrastructure error: mongod.0: gone\n  its log"
    assert (skipped.tag, skipped.get("message")) == ("skipped", "an error stopped the task before")


def test_the_suite_has_the_counts_and_what_is_to_be_said_of_the_whole() -> None:
    (suite,) = read(CASES)
    counts = {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time", "timestamp")}
    assert counts == {
        "name": "a task",
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
        "time": "3.500",
        "timestamp": "1970-01-01T00:00:00",
    }
    assert suite.findtext("system-err") == "stopped"


def test_what_a_program_may_write_and_xml_may_not_have_is_left_out() -> None:
    everything = "".join(map(chr, range(0x300))) + "\ud800\ufffe\uffff\U0001f600]]>"
    coloured = "\x1b[1;31mred\x1b[0m"
    case = Case(name=everything, kind="failure", outcome="timed out", reason=coloured + everything, output=everything)
    element = read([case])[0][0]
    for text in (element.get("name"), element[0].text, element.findtext("system-out")):
        assert text is not None
        assert text.endswith("\U0001f600]]>")
        assert not any(ord(char) < 0x20 and char not in "\t\n" for char in text.replace("\r", ""))
    assert str(element[0].get("message")).startswith("red")
