"""One tree out of many files: which layer wins, and how overrides reach in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsi.config import Tree
from dsi.config.layers import Merge
from dsi.config.nodes import ListNode, MappingNode, Node, Scalar, from_value
from dsi.errors import ConfigError
from dsi.model import Problem

Load = Callable[..., Tree]


def test_overrides_win_over_the_file_which_wins_over_defaults_which_win_over_the_products(load: Load) -> None:
    tree = load(
        defaults="{test_control: {task_name: 3, a: 3, b: 3, c: 3}}",
        test_control="{task_name: 2, a: 2, b: 2}",
        overrides="{test_control: {task_name: 1, a: 1}}",
    )
    assert [tree.get(f"test_control.{key}") for key in ("task_name", "a", "b", "c")] == [1, 1, 2, 3]
    assert tree.get("test_control.timeouts.no_output_ms") == 5_400_000


def test_mappings_merge_key_by_key(load: Load) -> None:
    tree = load(mongodb_setup="mongod_config_file: {net: {port: 27018}, storage: {engine: inMemory}}")
    assert tree.get("mongodb_setup.mongod_config_file.net") == {"port": 27018, "bindIp": "0.0.0.0"}
    assert tree.get("mongodb_setup.mongod_config_file.storage") == {"dbPath": "data/dbs", "engine": "inMemory"}


def test_a_list_of_the_file_replaces_the_default_list(load: Load) -> None:
    tree = load(defaults="{test_control: {pre_task: [a, b, c]}}", test_control="{pre_task: [d], between_tests: []}")
    assert tree.get("test_control.pre_task") == ["d"]
    assert tree.get("test_control.between_tests") == []


def test_an_out_file_stands_under_out(load: Load) -> None:
    tree = load(infrastructure_provisioning__out="out: {mongod: [{public_ip: 10.0.0.1}]}")
    assert tree.get("infrastructure_provisioning.out.mongod.0.public_ip") == "10.0.0.1"
    assert str(tree.position("infrastructure_provisioning.out.mongod")) == "infrastructure_provisioning.out.yml:1:15"


def test_an_out_file_written_by_hand_may_lack_the_key_out(load: Load) -> None:
    tree = load(infrastructure_provisioning__out="mongod: [{public_ip: 10.0.0.1}]")
    assert tree.get("infrastructure_provisioning.out.mongod.0.public_ip") == "10.0.0.1"


def test_what_a_stage_writes_is_read_back_and_nothing_else_of_it_is_touched(load: Load, tmp_path: Path) -> None:
    tree = load(test_control="task_name: x")
    tree.write_out("test_control", {"exit_codes": {"1 a": 0, "b": "yes"}})
    assert load().get("test_control.out") == {"exit_codes": {"1 a": 0, "b": "yes"}}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["test_control.out.yml", "test_control.yml"]
    assert (tmp_path / "test_control.yml").read_text() == "task_name: x"


def test_an_override_reaches_into_list_elements_by_position(load: Load) -> None:
    tree = load(
        mongodb_setup="topology: [{id: a, x: 1}, {id: b, x: 1}, {id: c, x: 1}]",
        overrides="mongodb_setup: {topology: [null, null, {x: 2}]}",
    )
    assert tree.get("mongodb_setup.topology") == [{"id": "a", "x": 1}, {"id": "b", "x": 1}, {"id": "c", "x": 2}]


def test_an_override_of_a_leaf_in_a_list_replaces_it(load: Load) -> None:
    tree = load(bootstrap="a: [1, 2, 3]", overrides="bootstrap: {a: [null, 9]}")
    assert tree.get("bootstrap.a") == [1, 9, 3]


def test_elements_of_an_override_past_the_end_are_appended(load: Load) -> None:
    tree = load(bootstrap="a: [1]", overrides="bootstrap: {a: [null, 2, {b: 3, c: null}]}")
    assert tree.get("bootstrap.a") == [1, 2, {"b": 3}]


def test_null_in_overrides_overrides_nothing(load: Load) -> None:
    tree = load(
        bootstrap="{a: 1, b: {c: 2}, d: [3]}", overrides="bootstrap: {a: null, b: null, d: null, e: null, f: {g: ~}}"
    )
    assert [tree.get(f"bootstrap.{key}") for key in "abd"] == [1, {"c": 2}, [3]]
    assert not tree.has("bootstrap.e")
    assert tree.get("bootstrap.f") == {}


def test_overrides_never_delete(load: Load) -> None:
    tree = load(bootstrap="{a: {b: 1}, c: [1, 2]}", overrides="bootstrap: {a: {}, c: []}")
    assert tree.get("bootstrap.a") == {"b": 1}
    assert tree.get("bootstrap.c") == [1, 2]


def test_null_in_the_file_hides_a_default(load: Load) -> None:
    assert load(test_control="between_tests:\n").get("test_control.between_tests") is None


def test_an_empty_text_hides_a_default(load: Load) -> None:
    tree = load(defaults="{mongodb_setup: {journal_dir: /x}}", mongodb_setup='journal_dir: ""')
    assert tree.get("mongodb_setup.journal_dir") == ""


def test_an_override_of_another_kind_is_an_error_that_names_both_positions(refused: Callable[..., list[str]]) -> None:
    problems = refused(
        bootstrap="a: {b: 1}\nc: [1]\nd: 1\ne: {f: [x]}\n",
        overrides="bootstrap:\n  a: 1\n  c: text\n  d: {x: 1}\n  e: {f: {g: 1}}\n",
    )
    assert problems == [
        "overrides.yml:2:6: bootstrap.a: a number can't override a mapping (bootstrap.yml:1:4)",
        "overrides.yml:3:6: bootstrap.c: text can't override a list (bootstrap.yml:2:4)",
        "overrides.yml:4:6: bootstrap.d: a mapping can't override a number (bootstrap.yml:3:4)",
        "overrides.yml:5:10: bootstrap.e.f: a mapping can't override a list (bootstrap.yml:4:8)",
    ]


def test_an_override_may_give_another_type_of_scalar(load: Load) -> None:
    assert load(bootstrap="a: 1", overrides="bootstrap: {a: text}").get("bootstrap.a") == "text"


def test_an_override_may_fill_an_empty_default_with_a_list(load: Load) -> None:
    tree = load(overrides="infrastructure_provisioning: {numactl_prefix: [numactl, --interleave=all]}")
    assert tree.get("infrastructure_provisioning.numactl_prefix") == ["numactl", "--interleave=all"]


def test_an_override_of_part_of_what_a_reference_stands_for_is_laid_over_it(load: Load) -> None:
    tree = load(
        bootstrap="{general: {port: 1, ip: x}, some: [1, 2], own: '${bootstrap.general}', list: '${bootstrap.some}'}",
        overrides="bootstrap: {own: {port: 2}, list: [null, 3]}",
    )
    assert tree.get("bootstrap.own") == {"port": 2, "ip": "x"}
    assert tree.get("bootstrap.own.ip") == "x"
    assert tree.get("bootstrap.list") == [1, 3]
    assert tree.get("bootstrap.general") == {"port": 1, "ip": "x"}


def test_a_file_that_says_more_than_a_default_reference_is_laid_over_what_it_stands_for(load: Load) -> None:
    tree = load(mongodb_setup="mongos_config_file: {net: {maxIncomingConnections: 5}}")
    net = {"port": 27017, "bindIp": "0.0.0.0", "maxIncomingConnections": 5}
    assert tree.get("mongodb_setup.mongos_config_file.net") == net


def test_a_reference_on_top_replaces(load: Load) -> None:
    tree = load(
        bootstrap="net: {port: 1}",
        mongodb_setup="mongod_config_file: {net: '${bootstrap.net}'}",
        overrides="mongodb_setup: {mongod_config_file: {storage: '${bootstrap.net}'}}",
    )
    assert tree.get("mongodb_setup.mongod_config_file.net") == {"port": 1}
    assert tree.get("mongodb_setup.mongod_config_file.storage") == {"port": 1}


def test_an_override_that_does_not_fit_what_a_reference_stands_for_is_an_error_when_it_is_read(load: Load) -> None:
    tree = load(bootstrap="{a: 5, b: '${bootstrap.a}'}", overrides="bootstrap: {b: {c: 1}}")
    with pytest.raises(ConfigError) as caught:
        tree.get("bootstrap.b")
    assert str(caught.value) == "overrides.yml:1:16: bootstrap.b: a mapping can't override a number (bootstrap.yml:1:5)"


# --- properties --------------------------------------------------------------------------------

KEYS = st.sampled_from("abcd")
VALUES = st.recursive(
    st.integers() | st.just("text") | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=4)


def merged(over: object, under: object, *, override: bool) -> tuple[object, list[Problem]]:
    problems: list[Problem] = []
    node = Merge(override, problems).merge(from_value(over), from_value(under))
    return value_of(node), problems


def value_of(node: Node) -> object:
    if isinstance(node, MappingNode):
        return {key: value_of(item) for key, item in node.entries.items()}
    if isinstance(node, ListNode):
        return [value_of(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.value


def leaves(value: object, at: tuple[object, ...] = ()) -> dict[tuple[object, ...], object]:
    """Everything that isn't a mapping, by path."""
    if isinstance(value, dict):
        return {path: leaf for key, item in value.items() for path, leaf in leaves(item, (*at, key)).items()}
    return {at: value}


@given(MAPPINGS, MAPPINGS)
def test_every_leaf_of_the_upper_layer_is_in_the_result(over: object, under: object) -> None:
    result = leaves(merged(over, under, override=False)[0])
    assert leaves(over).items() <= result.items() or not over


@given(MAPPINGS)
def test_nothing_laid_over_something_and_something_over_nothing_are_that_thing(value: object) -> None:
    for override in (True, False):
        assert merged({}, value, override=override)[0] == value
    assert merged(value, {}, override=False)[0] == value
    assert merged(value, value, override=False)[0] == value


@given(MAPPINGS, MAPPINGS)
def test_an_override_keeps_every_key_and_every_element(over: object, under: object) -> None:
    result, problems = merged(over, under, override=True)
    if not problems:
        assert_kept(under, result)


def assert_kept(under: object, result: object) -> None:
    if isinstance(under, dict) and isinstance(result, dict):
        assert under.keys() <= result.keys()
        for key, value in under.items():
            assert_kept(value, result[key])
    elif isinstance(under, list):
        assert isinstance(result, list)
        assert len(result) >= len(under)
        for before, after in zip(under, result, strict=False):
            assert_kept(before, after)
