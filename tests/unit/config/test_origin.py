"""Where a value comes from: layers, references, overrides."""

from collections.abc import Callable

from dsi.config import Tree
from dsi.model import Position

Load = Callable[..., Tree]


def test_the_origin_of_a_value_is_its_layer_and_place(load: Load) -> None:
    tree = load(
        defaults="{bootstrap: {d: 1}}",
        bootstrap="a: 1\nb: 2",
        overrides="bootstrap: {b: 3}",
        infrastructure_provisioning__out="out: {x: 1}",
    )
    found = {path: tree.origin(path) for path in ("bootstrap.a", "bootstrap.b", "bootstrap.d", "bootstrap.platform")}
    assert [origin.layer for origin in found.values()] == ["file", "overrides", "defaults", "product defaults"]
    assert found["bootstrap.a"].position == Position("bootstrap.yml", 1, 4)
    assert found["bootstrap.b"].replaced == Position("bootstrap.yml", 2, 4)
    assert tree.origin("infrastructure_provisioning.out.x").layer == "out"


def test_the_origin_shows_every_reference_on_the_way(load: Load) -> None:
    tree = load(
        bootstrap="engine: wiredTiger",
        mongodb_setup="mongod_config_file: {storage: {engine: '${bootstrap.engine}'}}",
        overrides="bootstrap: {engine: inMemory}",
    )
    assert str(tree.origin("mongodb_setup.meta.storageEngine")) == (
        "overrides.yml:1:21 (overrides)\n"
        "  by ${mongodb_setup.mongod_config_file.storage.engine} at "
        f"{tree.position('mongodb_setup.meta.storageEngine')} (mongodb_setup.meta.storageEngine)\n"
        "  by ${bootstrap.engine} at mongodb_setup.yml:1:40 (mongodb_setup.mongod_config_file.storage.engine)\n"
        "  overrides bootstrap.yml:1:9"
    )


def test_the_origin_of_text_shows_the_references_inside_it(load: Load) -> None:
    tree = load(bootstrap="a: 'x ${bootstrap.b}'\nb: y")
    origin = tree.origin("bootstrap.a")
    assert origin.position == Position("bootstrap.yml", 1, 4)
    assert [step.reference for step in origin.references] == ["${bootstrap.b}"]


def test_what_dsi_worked_out_has_no_place(load: Load) -> None:
    tree = load().with_computed("mongodb_setup.meta", lambda _: {"hosts": "x:1"})
    assert str(tree.origin("mongodb_setup.meta.hosts")) == "- (worked out by dsi)"


def test_a_problem_shows_its_path_as_in_its_file_and_whole_elsewhere(load: Load) -> None:
    tree = load(test_control="task_name: 1", overrides="test_control: {a: 1}")
    assert str(tree.problem("test_control.task_name", "is wrong")) == "test_control.yml:1:12: task_name: is wrong"
    assert str(tree.problem("test_control.a", "is wrong")) == "overrides.yml:1:19: test_control.a: is wrong"


def test_the_origin_of_a_mapping_is_that_of_each_leaf(load: Load) -> None:
    tree = load(
        mongodb_setup="mongod_config_file: {net: {port: 5}}", overrides="mongodb_setup: {rs_conf: {members: [1]}}"
    )
    net = tree.origin("mongodb_setup.mongos_config_file.net")
    assert [(path, part.layer) for path, part in net.parts] == [("port", "file"), ("bindIp", "product defaults")]
    lines = str(tree.origin("mongodb_setup.rs_conf")).splitlines()
    assert lines[0].endswith("(product defaults)")
    assert lines[1] == "members.0: overrides.yml:1:37 (overrides)"
