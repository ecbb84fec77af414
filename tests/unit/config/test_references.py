# ruff: noqa: E501  messages and files stand here as users see them
"""References: how they are found in text, what they stand for, and what an unresolvable one says."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsi.config.nodes import MappingNode, from_value
from dsi.config.references import Reference, parse, show, whole
from dsi.config.tree import Tree
from dsi.errors import ConfigError

Load = Callable[..., Tree]


def fails(read: Callable[[], object]) -> str:
    """Read what can't be read, and give what the error says."""
    with pytest.raises(ConfigError) as caught:
        read()
    return str(caught.value)


def test_a_reference_is_what_begins_with_a_stage() -> None:
    assert parse("${bootstrap.a} ${HOME} ${x:-1}") == (Reference(("bootstrap.a",)), " ${HOME} ${x:-1}")
    assert parse("${bootstrapped.a} ${config.port}") == ("${bootstrapped.a} ${config.port}",)


def test_every_stage_is_ours() -> None:
    for stage in [
        "bootstrap",
        "runtime",
        "runtime_secret",
        "infrastructure_provisioning",
        "system_setup",
        "workload_setup",
        "mongodb_setup",
        "test_control",
        "analysis",
    ]:
        assert whole(f"${{{stage}.x}}") is not None, stage


def test_references_stand_inside_references_and_inside_shell_text() -> None:
    inner = Reference(("bootstrap.b",))
    assert parse("${bootstrap.a.${bootstrap.b}.c}") == (Reference(("bootstrap.a.", inner, ".c")),)
    assert parse("${x:-${bootstrap.b}}") == ("${x:-", inner, "}")
    assert parse("${x ${bootstrap.b} }}{") == ("${x ", inner, " }}{")


def test_what_is_not_closed_is_text() -> None:
    assert parse("a ${bootstrap.b") == ("a ${bootstrap.b",)
    assert parse("${bootstrap.a ${bootstrap.b}") == ("${bootstrap.a ", Reference(("bootstrap.b",)))


@given(st.text(alphabet="${}bootstrap.a- ", max_size=40) | st.text())
def test_parsing_loses_nothing(text: str) -> None:
    assert show(parse(text)) == text


TREE = {
    "bootstrap": """
        number: 5
        float: 1.5
        truth: true
        nothing: null
        list: [1, {a: 2}, 3]
        mapping: {x: 1, y: ["${bootstrap.number}"]}
        text: hello
        again: ${bootstrap.text}
        key: "True"
        "True": picked
        shell: echo ${HOME} ${x:-${bootstrap.number}}
        stage: bootstrap
        """
}


WHOLE = {
    "${bootstrap.number}": 5,
    "${bootstrap.float}": 1.5,
    "${bootstrap.truth}": True,
    "${bootstrap.nothing}": None,
    "${bootstrap.list}": [1, {"a": 2}, 3],
    "${bootstrap.mapping}": {"x": 1, "y": [5]},
    "${bootstrap.again}": "hello",
    "${bootstrap.list.1.a}": 2,
    "${bootstrap.list.-1}": 3,
    "${bootstrap.list.-2.a}": 2,
    "${bootstrap.${bootstrap.truth}}": "picked",
    "${bootstrap.${bootstrap.${bootstrap.again2}}}": "hello",
    "${${bootstrap.stage}.number}": 5,
    "${${HOME}.number}": "${${HOME}.number}",
    "a ${bootstrap.number} b": "a 5 b",
    "${bootstrap.number} ": "5 ",
    "${bootstrap.truth}${bootstrap.nothing}": "TrueNone",
    "x=${bootstrap.list}": "x=[1, {'a': 2}, 3]",
    "${bootstrap.shell}": "echo ${HOME} ${x:-5}",
    "<${bootstrap.again}>": "<hello>",
    "${HOME} $HOME {} $": "${HOME} $HOME {} $",
}


@pytest.mark.parametrize(("text", "value"), WHOLE.items(), ids=list(WHOLE))
def test_a_whole_reference_keeps_its_type_and_one_inside_text_becomes_text(
    load: Load, text: str, value: object
) -> None:
    tree = load(**TREE, defaults="{bootstrap: {again2: text2, text2: again}}", analysis=f"a: '{text}'\n")
    got = tree.get("analysis.a")
    assert got == value
    assert type(got) is type(value)


def test_a_path_leads_through_references(load: Load) -> None:
    tree = load(bootstrap="{a: {b: {c: 1}}, d: '${bootstrap.a}', e: ['${bootstrap.d.b}']}")
    assert tree.get("bootstrap.d.b.c") == 1
    assert tree.get("bootstrap.e.0.c") == 1
    assert tree.get("bootstrap.e.0") == {"c": 1}


def test_a_reference_that_nobody_reads_may_stay_unresolvable(load: Load) -> None:
    tree = load(bootstrap="{a: '${bootstrap.nowhere}', b: 1}")
    assert tree.get("bootstrap.b") == 1
    assert tree.has("bootstrap.a")


def test_what_a_key_stands_for_is_read_anew_by_the_one_who_asks(load: Load) -> None:
    tree = load(bootstrap="{a: {x: [1]}}")
    tree.get("bootstrap.a")["x"].append(2)
    assert tree.get("bootstrap.a") == {"x": [1]}


def test_an_unresolvable_reference_names_what_was_read_the_reference_and_the_chain(load: Load) -> None:
    tree = load(
        test_control="run:\n  - cmd: x ${test_control.level.a}\nlevel:\n  a: ${test_control.hosts}!\nhosts: ${bootstrap.hots}\n",
        bootstrap="hosts: x\n",
    )
    assert fails(lambda: tree.get("test_control.run")) == (
        'test_control.yml:2:10: run.0.cmd: ${bootstrap.hots} stands for nothing: bootstrap has no key "hots" '
        '(did you mean "hosts"?)\n'
        "  from test_control.run.0.cmd (test_control.yml:2:10): ${test_control.level.a}\n"
        "  from test_control.level.a (test_control.yml:4:6): ${test_control.hosts}\n"
        "  from test_control.hosts (test_control.yml:5:8): ${bootstrap.hots}"
    )


def test_all_unresolvable_references_of_a_value_are_named_at_once(load: Load) -> None:
    tree = load(bootstrap="a: {b: '${bootstrap.x1}', c: ['${bootstrap.x2}', 'is ${bootstrap.x3}']}")
    text = fails(lambda: tree.get("bootstrap.a"))
    assert [name in text for name in ("x1", "x2", "x3")] == [True] * 3


ELSEWHERE = {
    "${bootstrap.list.7}": 'bootstrap.list is a list of 2: it has no element "7"',
    "${bootstrap.list.-3}": 'bootstrap.list is a list of 2: it has no element "-3"',
    "${bootstrap.list.x}": 'bootstrap.list is a list of 2: it has no element "x"',
    "${bootstrap.text.x}": 'bootstrap.text is text: it has no key "x"',
    "${bootstrap.number.0}": 'bootstrap.number is a number: it has no key "0"',
    "${bootstrap.${X}}": 'bootstrap has no key "${X}"',
    "${bootstrap.}": 'bootstrap has no key ""',
    "${infrastructure_provisioning.out.mongod.0}": (
        'infrastructure_provisioning has no key "out": infrastructure_provisioning.out.yml is written by that stage'
    ),
}


@pytest.mark.parametrize(("text", "why"), ELSEWHERE.items(), ids=list(ELSEWHERE))
def test_an_unresolvable_reference_says_where_the_path_ends(load: Load, text: str, why: str) -> None:
    tree = load(bootstrap="{list: [1, 2], text: a, number: 1}", analysis=f"a: '{text}'")
    assert fails(lambda: tree.get("analysis.a")) == f"analysis.yml:1:4: a: {text} stands for nothing: {why}"


def test_a_circle_is_an_error_that_shows_the_circle(load: Load) -> None:
    tree = load(bootstrap="{a: 'x ${bootstrap.b}', b: '${bootstrap.c}', c: ['${bootstrap.a}']}")
    text = fails(lambda: tree.get("bootstrap.a"))
    assert "the references go round in a circle: bootstrap.b → bootstrap.c → bootstrap.a → bootstrap.b" in text


CIRCLES = [
    "{a: '${bootstrap.a}'}",
    "{a: '${bootstrap.a.b}'}",
    "{a: {b: '${bootstrap.a}'}}",
    "{a: {b: '${bootstrap.a.b.c}'}}",
    "{a: ['${bootstrap.a.-1}']}",
    "{a: 'x${bootstrap.${bootstrap.a}}'}",
    "{a: {b: 'x ${bootstrap.a.c}', c: 'x ${bootstrap.a.b}'}}",
]


@pytest.mark.parametrize("text", CIRCLES)
def test_every_circle_is_found(load: Load, text: str) -> None:
    tree = load(bootstrap=text)
    assert "go round in a circle" in fails(lambda: tree.get("bootstrap.a"))


def test_a_path_that_passes_one_place_twice_is_no_circle(load: Load) -> None:
    tree = load(bootstrap="{x: {c: '${bootstrap.a.d}', d: 7}, a: '${bootstrap.x}', e: '${bootstrap.a.c}'}")
    assert tree.get("bootstrap.e") == 7


def test_endless_chains_are_refused(load: Load) -> None:
    lines = [f"a{n}: ${{bootstrap.a{n + 1}}}" for n in range(60)]
    tree = load(bootstrap="\n".join([*lines, "a60: 1"]))
    assert tree.get("bootstrap.a20") == 1
    assert "more than 50 references in a row" in fails(lambda: tree.get("bootstrap.a0"))


def test_a_key_that_is_nowhere_is_an_error_that_names_the_path_and_the_files(load: Load) -> None:
    tree = load(test_control="timeouts: {no_output_ms: 1}", bootstrap="a: 1")
    assert fails(lambda: tree.get("test_control.timeouts.no_outptu_ms")) == (
        'test_control.yml:1:11: timeouts.no_outptu_ms: test_control.timeouts has no key "no_outptu_ms" '
        '(did you mean "no_output_ms"?); read were bootstrap.yml, test_control.yml'
    )


LEAVES = st.sampled_from([1, 2.5, True, None, "text", "a ${HOME}"])


@given(st.lists(LEAVES, min_size=1, max_size=5), st.data())
def test_a_chain_of_references_gives_what_stands_at_its_end(leaves: list[object], data: st.DataObject) -> None:
    values: dict[str, object] = {f"v{n}": leaf for n, leaf in enumerate(leaves)}
    ends: dict[str, object] = dict(values)
    for n in range(data.draw(st.integers(0, 8))):
        target = data.draw(st.sampled_from(sorted(values)))
        values[f"r{n}"], ends[f"r{n}"] = f"${{bootstrap.{target}}}", ends[target]
    root = from_value({"bootstrap": values})
    assert isinstance(root, MappingNode)
    assert Tree(root, work_directory=Path()).get("bootstrap") == ends


def test_what_nests_too_deep_to_follow_is_an_error_of_the_configuration(load: Load) -> None:
    deep = "[" * 90
    lines = [f"a{n}: {deep}'${{bootstrap.a{n + 1}}}'{']' * 90}" for n in range(40)]
    tree = load(bootstrap="\n".join([*lines, "a40: 1"]))
    assert "references within references" in fails(lambda: tree.get("bootstrap.a0"))


NAMES = st.sampled_from(["a", "b", "c", "d"])
PATHS = st.lists(st.sampled_from(["a", "b", "c", "d", "0", "-1"]), min_size=1, max_size=3).map(
    lambda parts: "${bootstrap." + ".".join(parts) + "}"
)
TEXTS = PATHS | st.builds("x {} {}".format, PATHS, PATHS) | st.builds("${{bootstrap.{}}}".format, PATHS) | LEAVES
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        TEXTS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2), max_leaves=5
    ),
)


@given(TREES)
def test_any_references_whatever_give_a_value_or_an_error_of_the_configuration(values: dict[str, object]) -> None:
    root = from_value({"bootstrap": values})
    assert isinstance(root, MappingNode)
    tree = Tree(root, work_directory=Path())
    for key in values:
        reading = tree.reading(lenient=True)
        reading.value(("bootstrap", key))
        try:
            got = tree.get(f"bootstrap.{key}")
        except ConfigError:
            assert reading.problems
        else:
            assert not reading.problems
            assert "${bootstrap" not in str(got)
