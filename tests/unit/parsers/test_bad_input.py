"""Output is whatever a program, a terminal, a crash or another program has made of it."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.parsers.reading import GOLDEN, golden, in_perf_json, said

from dsi.errors import NoResults
from dsi.parsers import KNOWN_TYPES, MOST_METRICS, PARSERS, Lines, Measured, Output, parse_output, text_lines
from dsi.parsers.lines import MAX_LINE_BYTES
from dsi.parsers.numbers import number

ALL_GOLDEN = sorted(path for path in GOLDEN.iterdir())
PIECES = sorted(
    {line for path in ALL_GOLDEN for line in path.read_text().splitlines() if len(line) < 400}
    | {"{", "}", "[", "]", '"a": {', ">>> ", ">>> a : 1", "[READ], x, y", "\x1b[31m", "nan", "1e999", "-", ",,,,,"}
)


def test_every_type_has_a_parser_that_says_what_it_looks_for() -> None:
    assert tuple(PARSERS) == KNOWN_TYPES
    assert all(parser.looked_for for parser in PARSERS.values())


def test_no_result_is_an_error_that_says_what_was_looked_for_and_where() -> None:
    output = Output("t", text_lines("test_output.log", "hello\n"), [text_lines("a.csv", "")], missing=["b.csv"])
    with pytest.raises(NoResults) as failure:
        parse_output("ycsb", output)
    assert str(failure.value) == (
        "no result of type ycsb in b.csv (missing), a.csv, test_output.log: looked for YCSB's summary, "
        "lines like `[OVERALL], Throughput(ops/sec), VALUE`"
    )


def test_a_shell_test_may_measure_nothing_but_not_something_unreadable() -> None:
    assert said("shell", "hello\n") == Measured()
    with pytest.raises(NoResults, match=r"could not be read: test_output.log, line 2: 'nan' is no number"):
        said("shell", "hello\n>>> insert : nan 4\n")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (">>> insert : nan 4", "'nan' is no number"),
        (">>> insert : inf 4", "'inf' is no number"),
        (">>> insert : 1_000 4", "'1_000' is no number"),
        (">>> insert : 1,5 4", "'1,5' is no number"),
        (">>> insert : 1e999 4", "'1e999' is too large"),
        (">>> insert : 12", "insert has no value and number of threads: is the line cut off?"),
        (">>> insert : 12 many", "'many' is no number of threads"),
        (">>> insert : 12 0", "'0' is no number of threads"),
    ],
)
def test_a_result_that_cant_be_read_is_said_and_the_others_are_kept(line: str, why: str) -> None:
    measured = said("mongoshell", f">>> good : 1 1\n{line}\n")
    assert [metric.name for metric in measured.metrics] == ["good"]
    assert measured.passed_over == [f"test_output.log, line 2: {why}"]


@pytest.mark.parametrize(
    "text",
    [
        b">>> insert : 5 2\r\n",
        b"\x1b[32m>>> insert\x1b[0m : \x1b[1;31m5\x1b[0m 2\x1b[K\n",
        b"\xff\xfe caf\xe9\n>>> insert : 5 2\n",
        b"\xef\xbb\xbf>>> insert : 5 2",
        b" 10 %\r 99 %\r>>> insert : 5 2\n",
        b"\x00\x00\n>>> insert : 5 2 [INFO] another program's words\n",
        b">>>\tinsert\t:   5\t2\n",
        b"rs0 [direct: primary] test> >>> insert : 5 2\n",
        b"  >>> insert : +5. 2\n\nexit_status: 0 'success'\n",
    ],
)
def test_what_terminals_and_encodings_do_to_a_line_is_undone(text: bytes) -> None:
    assert in_perf_json(said("mongoshell", text)) == {("insert", 2, "ops_per_sec"): 5}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("kind", "name"), [("ycsb", "ycsb.log"), ("fio", "fio.json")])
def test_what_powershell_has_written_as_utf_16_is_read(kind: str, name: str, encoding: str) -> None:
    text = (GOLDEN / name).read_text()
    content = (text if encoding == "utf-16" else "\ufeff" + text).encode(encoding)
    assert said(kind, content).metrics == golden(kind, name).metrics


def test_a_summary_of_ycsb_without_its_throughput_is_said() -> None:
    whole = (GOLDEN / "ycsb.log").read_text()
    lost = "".join(line for line in whole.splitlines(keepends=True) if "47494.9" not in line)
    measured = said("ycsb", lost)
    assert [metric.value for metric in measured.metrics if metric.key == "ops_per_sec"] == [51000.5]
    assert (
        "test_output.log, line 25: the summary that ends here has no `[OVERALL], Throughput(ops/sec)`"
        in (measured.passed_over[-1])
    )


def test_json_is_found_among_the_lines_of_others_also_inside_it() -> None:
    lines = (GOLDEN / "fio.json").read_text().splitlines()
    noise = ["2026-03-01 WARN { slow ] query", "[INFO] still here", ""]
    mixed = "\n".join(["{", "not JSON: {", *noise, *lines[:100], *noise, *lines[100:], *noise])
    measured = said("fio", mixed)
    assert measured.metrics == golden("fio", None, "fio.json").metrics
    assert measured.passed_over == ["test_output.log, line 1: the JSON that begins here has no end"]


@pytest.mark.parametrize(("kind", "name"), [("fio", "fio.json"), ("iperf", "iperf3.json"), ("k6", "k6_export.json")])
def test_json_that_is_cut_off_does_not_take_the_next_with_it(kind: str, name: str) -> None:
    """The first run was killed, wherever it was, and the second went well."""
    whole = (GOLDEN / name).read_text()
    metrics = golden(kind, None, name).metrics
    for cut in [len(whole) * share // 24 for share in range(1, 24)]:
        for noise in ("\n", "\n}\n", "\nretrying\n"):
            measured = said(kind, whole[:cut] + noise + whole + noise)
            assert measured.metrics == metrics
            said_so = "test_output.log, line 1: the JSON that begins here "
            assert "}" in noise or measured.passed_over[0].startswith(said_so)  # with a bracket it may be whole
    measured = said(kind, whole[: len(whole) // 2] + "\n" + whole + whole)
    assert measured.metrics == [*metrics, *metrics]


def test_json_in_one_line_that_is_cut_off_does_not_take_the_next_with_it() -> None:
    whole = json.dumps(json.loads((GOLDEN / "k6_export.json").read_text()))
    metrics = golden("k6", None, "k6_export.json").metrics
    for cut in [*range(1, 200), len(whole) // 2, len(whole) - 1]:
        assert said("k6", f"{whole[:cut]}\n{whole}\n").metrics == metrics


def test_json_that_is_cut_off_or_too_deep_is_said() -> None:
    whole = (GOLDEN / "iperf3.json").read_bytes()
    with pytest.raises(NoResults, match="line 1: the JSON that begins here has no end"):
        said("iperf", whole[: len(whole) // 2])
    with pytest.raises(NoResults, match="JSON of more than 200 levels is not read"):
        said("iperf", "[" * 100_000 + "]" * 100_000)
    with pytest.raises(NoResults, match="iperf3 says: unable to connect"):
        said("iperf", '{"start": {}, "intervals": [], "end": {}, "error": "unable to connect: refused"}')


def test_a_run_of_iperf_that_was_cut_off_is_no_result() -> None:
    rows = "\n".join(f"[  1] {begin}.0000-{begin + 1}.0000 sec  1.0 GBytes  8.6 Gbits/sec" for begin in range(5))
    with pytest.raises(NoResults, match="iperf's total is missing: it went on for 5 s, and was cut off"):
        said("iperf", rows)


def test_the_same_run_printed_twice_is_two_values() -> None:
    once = golden("ycsb", "ycsb.log")
    twice = said("ycsb", (GOLDEN / "ycsb.log").read_bytes() * 2)
    assert twice.metrics == [*once.metrics, *once.metrics]


def test_results_in_a_file_and_in_the_log_are_one() -> None:
    text = (GOLDEN / "iperf3.json").read_bytes()
    assert said("iperf", text, text).metrics == said("iperf", text).metrics


def test_there_is_an_end_to_how_many_results_are_read() -> None:
    measured = said("mongoshell", ">>> a : 1 1\n" * (MOST_METRICS + 1))
    assert len(measured.metrics) == MOST_METRICS
    assert measured.passed_over == ["there are more than 100,000 results; the rest is not read"]


def test_much_that_cant_be_read_is_counted() -> None:
    measured = said("mongoshell", ">>> a : 1 1\n" + ">>> a : x 1\n" * 1000)
    assert (len(measured.passed_over), measured.passed_over[-1]) == (11, "… and 990 more")


@pytest.mark.parametrize("kind", sorted(set(KNOWN_TYPES) - {"cpu_noise", "linkbench2", "shell"}))
def test_output_of_any_length_is_read_in_little_memory(kind: str) -> None:
    """90 MB in blocks: lines of other kinds, and one line of 80 MB."""

    def blocks() -> Iterator[bytes]:
        for _ in range(10):
            yield b"2026-03-01 12:00:00 doing something, and then something else: 12.5\n" * 15_000
        for _ in range(80):
            yield b"x" * (1 << 20)
        yield b"\n>>> insert : 5 2\n"

    tracemalloc.start()
    try:
        with suppress(NoResults):
            assert len(parse_output(kind, Output("t", Lines("test_output.log", blocks))).metrics) == 1
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=40), max_size=60), st.sampled_from(["\n", "\r\n", " ", "\r"])
)
def test_no_text_makes_a_parser_raise_anything_but_that_there_is_no_result(pieces: list[str], end: str) -> None:
    text = end.join(pieces)
    for kind in set(KNOWN_TYPES) - {"linkbench2", "cpu_noise"}:
        for log, files in ((text, []), ("", [text_lines("file", text)])):
            try:
                measured = parse_output(kind, Output("t", text_lines("log", log), files))
            except NoResults:
                continue
            assert all(abs(metric.value) < 1e301 and metric.threads > 0 for metric in measured.metrics)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ALL_GOLDEN), st.data())
def test_golden_files_with_a_hole_or_another_byte_make_none_raise_either(path: object, data: st.DataObject) -> None:
    content = bytearray((GOLDEN / str(path)).read_bytes())
    begin = data.draw(st.integers(0, len(content) - 1))
    content[begin : begin + data.draw(st.integers(0, 200))] = data.draw(st.binary(max_size=10))
    for kind in set(KNOWN_TYPES) - {"linkbench2", "cpu_noise"}:
        for log, files in ((bytes(content), []), (b"", [text_lines("file", bytes(content))])):
            try:
                parse_output(kind, Output("t", text_lines("log", log), files))
            except NoResults:
                continue


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 50), min_size=1))
def test_how_the_bytes_come_in_blocks_changes_nothing(content: bytes, sizes: list[int]) -> None:
    content = content.replace(b"\x00", b"\n").replace(b"\x01", b"\r\n")

    def blocks() -> Iterator[bytes]:
        begin = 0
        while begin < len(content):
            size = sizes[begin % len(sizes)]
            yield content[begin : begin + size]
            begin += size

    assert list(Lines("x", blocks)) == list(text_lines("x", content))


@pytest.mark.parametrize(
    "line",
    [
        ">>> " + " " * 2_000_000,
        "[" * 2_000_000,
        '{"' + "\\" * 2_000_000,
        "{" + "1" * 2_000_000 + "x",
        "[SUM]" + " " * 2_000_000,
        "A" * 2_000_000 + " count = ",
        "TpmC for 1 thr " + "WH: " * 500_000,
        "All users spawned: " + "(1 total users" * 150_000 + " total users)",
        "  NEW_ORDER" + " " * 2_000_000,
        "Executed" + " a" * 1_000_000,
        " " * 2_000_000 + "...: 1",
        "a...: 1" + " " * 2_000_000 + "x",
        "a...: " + "1" * 2_000_000,
        '"metric"' * 250_000,
        "\x1b[" + ";" * 2_000_000,
        "\x1b]" + "x" * 2_000_000,
    ],
)
def test_no_line_takes_more_time_than_its_length(line: str) -> None:
    """Each takes milliseconds; an expression that tries again and again would take hours."""
    for kind in set(KNOWN_TYPES) - {"cpu_noise", "linkbench2", "shell"}:
        with pytest.raises(NoResults):
            said(kind, line)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e299, max_value=1e299))
def test_every_float_that_python_writes_is_read_back(value: float) -> None:
    assert number(repr(value)) == value


@given(st.integers(-(10**15), 10**15))
def test_thousands_separators_are_read(value: int) -> None:
    assert number(f"{value:,}") == value
