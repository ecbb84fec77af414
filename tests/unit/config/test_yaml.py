# ruff: noqa: E501  messages and files stand here as users see them
"""YAML files → values: the rules of YAML 1.1 as PyYAML has them, positions, and what is refused."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsi import config
from dsi.config import Tree
from dsi.config.files import read_file
from dsi.config.nodes import ListNode, MappingNode, Node, Scalar
from dsi.config.scalars import plain
from dsi.model import Position

Load = Callable[..., Tree]

OLD_RULES = {
    "yes": True,
    "Off": False,
    "ON": True,
    "y": "y",
    "~": None,
    "Null": None,
    "nULL": "nULL",
    "0755": 493,
    "08": "08",
    "0x1F": 31,
    "0b11": 3,
    "-0x10": -16,
    "1_000": 1000,
    "+12": 12,
    "1:30": 90,
    "1:00:00": 3600,
    "01:30": "01:30",
    "1:70": "1:70",
    "1:30.5": 90.5,
    "1.5": 1.5,
    "5.": 5.0,
    "-.5": "-.5",
    "1e3": "1e3",
    "1.5e+3": 1500.0,
    "1.5e3": "1.5e3",
    "-.inf": -math.inf,
    "2020-01-31": "2020-01-31",
    "0.0.0.0": "0.0.0.0",
    "10.2.0.1": "10.2.0.1",
    "=": "=",
}


@pytest.mark.parametrize(("text", "value"), OLD_RULES.items(), ids=list(OLD_RULES))
def test_a_plain_scalar_has_the_value_that_pyyaml_gave_it(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    value = plain(".nan")
    assert value != value


def test_what_stands_in_quotes_or_is_tagged_as_text_is_text(load: Load) -> None:
    tree = load(
        bootstrap="""
        a: "yes"
        b: '0755'
        c: !!str 5
        d: |
          off
        """
    )
    assert [tree.get(f"bootstrap.{key}") for key in "abcd"] == ["yes", "0755", "5", "off\n"]


def test_a_tag_that_names_a_type_of_the_configuration_is_obeyed(load: Load) -> None:
    tree = load(bootstrap='{a: !!int "5", b: !!float 5, c: !!bool "yes", d: !!null ""}')
    assert [tree.get(f"bootstrap.{key}") for key in "abcd"] == [5, 5.0, True, None]


def test_every_value_and_key_knows_its_line_and_column(load: Load) -> None:
    tree = load(
        test_control="""
        run:
          - id: a
            cmd: >
              x
            output_files: [one, two]
        """
    )
    assert tree.position("test_control.run.0.cmd") == Position("test_control.yml", 3, 10)
    assert tree.position("test_control.run.0.output_files.1") == Position("test_control.yml", 5, 25)
    assert tree.position("test_control.run.-1.id") == Position("test_control.yml", 2, 9)
    assert tree.key_position("test_control.run.0.cmd") == Position("test_control.yml", 3, 5)


def test_what_is_not_there_has_the_position_of_what_is_around_it(load: Load) -> None:
    tree = load(test_control="run:\n  - id: a\n")
    assert tree.position("test_control.run.0.cmd.deeper") == Position("test_control.yml", 2, 5)


def test_anchors_and_aliases_work(load: Load) -> None:
    tree = load(
        workload_setup="""
        genny: &it [{on_localhost: "true"}]
        genny_canaries: *it
        """
    )
    assert tree.get("workload_setup.genny_canaries") == [{"on_localhost": "true"}]


def test_merge_keys_bring_in_what_is_not_there_and_the_first_of_several_wins(load: Load) -> None:
    tree = load(
        bootstrap="""
        one: &one {a: 1, b: 1}
        two: &two {b: 2, c: 2}
        both: {<<: [*one, *two], d: 3}
        own: {a: 9, <<: *one}
        """
    )
    assert tree.get("bootstrap.both") == {"a": 1, "b": 1, "c": 2, "d": 3}
    assert tree.get("bootstrap.own") == {"a": 9, "b": 1}


def test_an_empty_file_is_an_empty_mapping(load: Load) -> None:
    assert load(analysis="# nothing\n").get("analysis") == {}


def test_a_file_may_begin_with_a_byte_order_mark_and_have_windows_line_ends(load: Load) -> None:
    assert load(analysis="\ufeffa: 1\r\nb: 2\r\n").get("analysis") == {"a": 1, "b": 2}


def test_a_key_written_twice_is_a_warning_and_the_last_one_counts(load: Load) -> None:
    tree = load(bootstrap="a: 1\nb: 2\na: 3\n")
    assert tree.get("bootstrap.a") == 3
    assert [str(warning) for warning in tree.warnings] == [
        "bootstrap.yml:3:1: a: written twice; the first, at bootstrap.yml:1:1, is not used"
    ]


REFUSED = {
    "a: b: c": "bootstrap.yml:1:5: this is no YAML: mapping values are not allowed here",
    "a: [1, 2": "bootstrap.yml:1:9: this is no YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
    "a: 1\nb:\n\t- 2": "bootstrap.yml:3:1: this is no YAML: while scanning for the next token, "
    "found character '\\t' that cannot start any token",
    "a: 1\n--- \nb: 2": "bootstrap.yml:2:1: one file holds one document: remove what begins with this ---",
    "- a": "bootstrap.yml:1:1: a file of the configuration is a mapping",
    "just text": "bootstrap.yml:1:1: a file of the configuration is a mapping",
    "a: *b": "bootstrap.yml:1:4: a: *b was not defined before",
    "a: &b [*b]": "bootstrap.yml:1:8: a.0: *b contains itself",
    "a: \x07": "bootstrap.yml:1:4: this is no YAML: special characters are not allowed: #x0007",
    "a: {1x: 2}": "bootstrap.yml:1:5: a.1x: keys are text: letters, digits, - and _, beginning with a letter",
    "x.y: 2": "bootstrap.yml:1:1: x.y: keys are text: letters, digits, - and _, beginning with a letter",
    "a: {True: 1}": "bootstrap.yml:1:5: a.True: keys are text: letters, digits, - and _, beginning with a letter; "
    'True is a boolean: write "True"',
    "on: 1": "bootstrap.yml:1:1: on: keys are text: letters, digits, - and _, beginning with a letter; "
    'on is a boolean: write "on"',
    "? [a]\n: 1": "bootstrap.yml:1:3: keys are text: letters, digits, - and _, beginning with a letter; "
    "this is a list or a mapping",
    "a: None": "bootstrap.yml:1:4: a: None is text here: write null",
    "a: !!python/name:os.system x": "bootstrap.yml:1:4: a: values are text, numbers, true, false, null, lists and mappings, "
    "not !!python/name:os.system",
    "a: !!binary aGk=": "bootstrap.yml:1:4: a: values are text, numbers, true, false, null, lists and mappings, not !!binary",
    "a: !mine {b: 1}": "bootstrap.yml:1:4: a: values are text, numbers, true, false, null, lists and mappings, not !mine",
    "a: !!int x": "bootstrap.yml:1:4: a: values are text, numbers, true, false, null, lists and mappings, not !!int",
    f"a: {'9' * 5000}": "bootstrap.yml:1:4: a: values are text, numbers, true, false, null, lists and mappings, "
    "not such a number",
    "a: {<<: 5}": "bootstrap.yml:1:5: a: << takes a mapping, or a list of mappings",
    "a: " + "[" * 200 + "]" * 200: "bootstrap.yml:1:104: a.0.0.0.0: nested more than 100 deep",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=[key[:20] for key in REFUSED])
def test_what_a_configuration_can_not_hold_is_refused_with_its_place(
    refused: Callable[..., list[str]], text: str, message: str
) -> None:
    assert refused(bootstrap=text) == [message]


def test_a_file_that_is_no_utf8_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"a: 1\nb: \xff\n")
    content = read_file(tmp_path / "a.yml", "a.yml")
    assert [str(problem) for problem in content.problems] == ["a.yml:2:4: this is no UTF-8: save the file as UTF-8"]


def test_a_file_that_can_not_be_read_is_a_problem_like_any_other(
    refused: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "analysis.yml").mkdir()
    assert refused() == ["analysis.yml can't be read: Is a directory"]


def test_a_link_that_leads_nowhere_is_no_missing_file(refused: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "analysis.yml").symlink_to("nowhere.yml")
    assert refused() == ["analysis.yml can't be read: No such file or directory"]


def test_all_files_problems_are_reported_at_once(refused: Callable[..., list[str]]) -> None:
    problems = refused(bootstrap="a: [", mongodb_setup="a: None\nb: {'': 1}\n", test_control="x: {")
    assert [problem.partition(":")[0] for problem in problems] == [
        "bootstrap.yml",
        "mongodb_setup.yml",
        "mongodb_setup.yml",
        "test_control.yml",
    ]


def test_keys_that_name_one_host_are_allowed(load: Load) -> None:
    tree = load(test_control="pre_task:\n  - on_mongod.1: uptime\n")
    assert tree.get("test_control.pre_task.0") == {"on_mongod.1": "uptime"}


def test_what_programs_wrote_may_have_any_text_as_a_key(load: Load) -> None:
    tree = load(test_control__out="out: {exit_codes: {1st test: None}}")
    assert tree.get("test_control.out.exit_codes") == {"1st test": "None"}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(list(OLD_RULES)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=12,
)


def value_of(node: Node | None) -> object:
    if isinstance(node, MappingNode):
        return {key: value_of(item) for key, item in node.entries.items()}
    if isinstance(node, ListNode):
        return [value_of(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.value


@given(VALUES.filter(lambda value: value is not None))
def test_what_is_written_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    file = tmp_path_factory.mktemp("dump") / "x.yml"
    file.write_text(config.dump(value), encoding="utf-8", newline="")
    content = read_file(file, "x.yml", check_names=False)
    assert content.problems == []
    assert value_of(content.root) == value
    file.unlink()
    file.parent.rmdir()


def test_longer_text_is_written_as_people_do() -> None:
    assert config.dump({"cmd": "a\nb\n", "at": "1:30", "on": ["yes", True]}) == (
        "cmd: |\n  a\n  b\nat: '1:30'\n'on':\n- 'yes'\n- true\n"
    )
