# ruff: noqa: E501  messages and files stand here as users see them
"""Everything that `check` finds, and what it lets pass."""

from collections.abc import Callable

import pytest

from dsi import config
from dsi.config import Tree
from dsi.errors import ConfigError

Load = Callable[..., Tree]


def found(tree: Tree) -> list[str]:
    return [str(problem) for problem in config.check(tree)]


def test_the_products_defaults_are_free_of_problems(load: Load) -> None:
    assert found(load()) == []


def test_a_test_type_without_a_parser_is_found(load: Load) -> None:
    tree = load(test_control="run:\n- id: a\n  cmd: x\n  type: ycbs\n")
    assert found(tree) == [
        (
            'test_control.yml:4:9: run.0.type: no result parser "ycbs" (did you mean "ycsb"?)\n'
            "  known: cpu_noise, fio, genny, genny_canaries, iperf, k6, linkbench, linkbench2, locust, "
            "mongoshell (shell), sysbench, tpcc, ycsb"
        )
    ]


@pytest.mark.parametrize("name", ["shell", "mongoshell", "ycsb", "locust", "k6", "cpu_noise", "linkbench2"])
def test_the_types_of_the_original_are_known_and_newer_ones(load: Load, name: str) -> None:
    assert found(load(test_control=f"run: [{{id: a, cmd: x, type: {name}}}]")) == []


def test_a_test_needs_an_id_a_type_and_a_cmd(load: Load) -> None:
    assert found(load(test_control="run:\n  - skip_validate: true\n")) == [
        "test_control.yml:2:5: run.0.id: id is missing",
        "test_control.yml:2:5: run.0.type: type is missing",
        "test_control.yml:2:5: run.0.cmd: cmd is missing",
    ]


def test_a_background_task_is_named_as_a_file_can_be_and_is_a_command(load: Load) -> None:
    for name in ("a/b", "..", "''"):
        with pytest.raises(ConfigError, match=r"test_control.yml:1:\d+"):
            load(test_control=f"run: [{{id: a, type: ycsb, cmd: x, background_tasks: {{iostat: x, {name}: top}}}}]")
    tree = load(test_control="run: [{id: a, type: ycsb, cmd: x, background_tasks: [iostat 1]}]")
    assert found(tree) == ["test_control.yml:1:53: run.0.background_tasks: must be a mapping, not a list"]


def test_so_many_background_tasks_that_cmd_could_find_no_session_are_refused(load: Load) -> None:
    names = ", ".join(f"t{number}: sleep 1" for number in range(6))
    (problem,) = found(load(test_control=f"run: [{{id: a, type: ycsb, cmd: x, background_tasks: {{{names}}}}}]"))
    assert "there are 6 background tasks, and at most 5 can run beside cmd" in problem


# --- ids ---------------------------------------------------------------------------------------


def test_an_id_used_twice_in_a_file_is_found_wherever_it_stands(load: Load) -> None:
    tree = load(
        mongodb_setup="topology:\n- id: a\n  cluster_type: replset\n  mongod:\n  - {id: a, public_ip: x}\nmine: {id: a}\n",
        test_control="run: [{id: a, type: ycsb, cmd: x}]",
    )
    assert found(tree) == [
        (
            'mongodb_setup.yml:5:10: topology.0.mongod.0.id: the id "a" is used already, at mongodb_setup.yml:2:7: '
            "each id is unique in its file"
        ),
        'mongodb_setup.yml:6:12: mine.id: the id "a" is used already, at mongodb_setup.yml:2:7: each id is unique in its file',
    ]


def test_ids_are_compared_as_they_are_once_references_are_resolved(load: Load) -> None:
    tree = load(
        bootstrap="test_name: big",
        test_control="run: [{id: '${bootstrap.test_name}', type: genny, cmd: x}, {id: big, type: ycsb, cmd: x}]",
    )
    assert found(tree)[0].startswith('test_control.yml:1:65: run.1.id: the id "big" is used already')


RESERVED = "pre_task during_test upon_error post_provisioning workload_setup on_x on_mongod mongod md wc all_hosts localhost atlas"


@pytest.mark.parametrize("word", [*RESERVED.split(), "mongod.0", "wc.12"])
def test_an_id_is_no_reserved_word(load: Load, word: str) -> None:
    tree = load(test_control=f"run: [{{id: {word}, type: ycsb, cmd: x}}]")
    assert found(tree) == [
        f'test_control.yml:1:12: run.0.id: "{word}" is a reserved word (a hook, a target, or on_…): choose another id'
    ]


@pytest.mark.parametrize("word", ["mongod0", "my_pre_task", "only", "rs0", "mongod.x"])
def test_an_id_may_resemble_a_reserved_word(load: Load, word: str) -> None:
    assert found(load(test_control=f"run: [{{id: {word}, type: ycsb, cmd: x}}]")) == []


def test_an_id_is_text(load: Load) -> None:
    problems = found(load(mongodb_setup="mine: [{id: 5}, {id: [a]}]"))
    assert problems == [
        "mongodb_setup.yml:1:13: mine.0.id: an id is text, not a number: put it in quotes (5)",
        "mongodb_setup.yml:1:22: mine.1.id: an id is text, not a list",
    ]


# --- references --------------------------------------------------------------------------------

REPLICA_SET = """
    topology:
      - cluster_type: replset
        mongod:
          - public_ip: ${infrastructure_provisioning.out.mongod.0.public_ip}
            private_ip: ${infrastructure_provisioning.out.mongod.0.private_ip}
    meta:
      hosts: ${mongodb_setup.topology.0.mongod.0.private_ip}:27017
      port: 27017
    """


def test_before_provisioning_what_refers_to_its_out_passes(load: Load) -> None:
    tree = load(
        mongodb_setup=REPLICA_SET,
        infrastructure_provisioning="hosts: {mongod: '${infrastructure_provisioning.out.mongod}'}",
        test_control="""
            run:
              - id: ${infrastructure_provisioning.out.name}
                type: ${infrastructure_provisioning.out.type}
                cmd: ping ${mongodb_setup.meta.hosts}
                skip_validate: ${infrastructure_provisioning.out.skip}
                background_tasks: {a: "${infrastructure_provisioning.out.skip}"}
                pre_test: [{on_mongod: "ping ${mongodb_setup.meta.hosts}"}]
            dsisocket: {port: "${infrastructure_provisioning.out.port}", bind_addr: "${infrastructure_provisioning.out.a}"}
            timeouts: "${infrastructure_provisioning.out.timeouts}"
            pre_task: "${infrastructure_provisioning.out.pre_task}"
            """,
    )
    assert found(tree) == []


def test_after_provisioning_what_is_not_in_its_out_is_a_problem(load: Load) -> None:
    tree = load(mongodb_setup=REPLICA_SET, infrastructure_provisioning__out="out: {mongod: []}")
    problems = found(tree)
    assert problems[0] == (
        "mongodb_setup.yml:4:20: topology.0.mongod.0.public_ip: ${infrastructure_provisioning.out.mongod.0.public_ip} "
        'stands for nothing: infrastructure_provisioning.out.mongod is a list of 0: it has no element "0"'
    )
    assert len(problems) == 2


def test_a_reference_to_nothing_is_found_in_what_will_be_read(load: Load) -> None:
    tree = load(
        test_control="""
            pre_task: [{on_mongod: "${bootstrap.x1}"}]
            run: [{id: a, type: ycsb, cmd: "${bootstrap.x2}", during_test: "${bootstrap.x3}"}]
            mine: ${bootstrap.x4}
            """,
        workload_setup="{ycsb: [{on_mongod: '${bootstrap.x5}'}], fio: [{on_mongod: '${bootstrap.x6}'}], mine: '${bootstrap.x7}'}",
    )
    problems = found(tree)
    assert [next(n for n in range(1, 8) if f"x{n}" in problem) for problem in problems] == [5, 1, 2, 3]


def test_a_hook_is_a_list(load: Load) -> None:
    tree = load(
        mongodb_setup="pre_task: {on_mongod: x}", test_control="run: [{id: a, type: ycsb, cmd: x, post_test: uptime}]"
    )
    assert found(tree) == [
        "mongodb_setup.yml:1:11: pre_task: a hook is a list of commands, not a mapping",
        "test_control.yml:1:46: run.0.post_test: a hook is a list of commands, not text",
    ]


def test_problems_come_in_the_order_of_the_files_and_each_once(load: Load) -> None:
    tree = load(
        test_control="run: 5\ntimeouts: 6",
        mongodb_setup="clean_logs: 7\ntopology: 8",
        infrastructure_provisioning="provider: 9",
        overrides="test_control: {dsisocket: {port: x}}",
    )
    assert [problem.partition(":")[0] for problem in found(tree)] == [
        "infrastructure_provisioning.yml",
        "mongodb_setup.yml",
        "mongodb_setup.yml",
        "test_control.yml",
        "test_control.yml",
        "overrides.yml",
    ]


def test_what_is_wrong_in_one_place_is_said_once_however_many_nodes_read_it(load: Load) -> None:
    tree = load(
        mongodb_setup="""
            mongod_config_file: {storage: {engine: "${bootstrap.engine}"}}
            topology: [{cluster_type: replset, mongod: [{public_ip: a}, {public_ip: b}]}]
            meta: {storageEngine: x}
            """
    )
    assert [problem.path for problem in config.check(tree)] == ["mongod_config_file.storage.engine"]


# --- spelling ----------------------------------------------------------------------------------


def test_a_misspelt_key_is_a_warning_that_says_what_was_meant(load: Load) -> None:
    tree = load(
        test_control="""
            run:
              - {id: a, type: ycsb, cmd: x, output_file: [y], pre_tests: [], mine: 1}
            timouts: {no_output_ms: 1}
            pretask: []
            thread_levels: {run: 1}
            """,
        mongodb_setup="{topolgy: [], authentication: {enable: true}, shutdown_options: {timeoutSec: 1}}",
        infrastructure_provisioning="tfvars: {mongod_instance_cuont: 3}",
        overrides="{tset_control: {}, mongodb_setup: {clean_db_dirs: true}}",
    )
    warnings = [problem for problem in config.check(tree) if problem.warning]
    assert [(problem.path, problem.message.split('"')[1]) for problem in warnings] == [
        ("tfvars.mongod_instance_cuont", "mongod_instance_count"),
        ("topolgy", "topology"),
        ("authentication.enable", "enabled"),
        ("shutdown_options.timeoutSec", "timeoutSecs"),
        ("run.0.output_file", "output_files"),
        ("run.0.pre_tests", "pre_test"),
        ("timouts", "timeouts"),
        ("pretask", "pre_task"),
        ("tset_control", "test_control"),
        ("mongodb_setup.clean_db_dirs", "clean_db_dir"),
    ]
    assert str(warnings[0]) == (
        "infrastructure_provisioning.yml:1:10: tfvars.mongod_instance_cuont: dsi does not know this key "
        '(did you mean "mongod_instance_count"?)'
    )


def test_keys_of_ones_own_and_of_the_original_are_no_misspellings(load: Load) -> None:
    tree = load(
        test_control="{run: [], output_file: {a: b}, url: {}, canaries: none, thread_levels: {}, tests: 1, task: x}",
        mongodb_setup="""
            network_delays: {clusters: []}
            validate: {primaries: []}
            meta: {is_replset: true, hosts: x, host: y}
            topology:
              - {cluster_type: sharded_cluster, id: c, configsvr_type: csrs, configsvr: [], mongos: [], shard: []}
            """,
        infrastructure_provisioning="{post_provisioning_steps: {}, disks: x, tfvars: {mongod_ebs_instance_count: 1, mongod_ebs_size: 2}}",
        analysis="check: []",
        workload_setup="{ycbs: []}",
        runtime="{task_id: x, id: y}",
    )
    assert found(tree) == []


# --- hooks -------------------------------------------------------------------------------------


def test_hooks_gives_every_command_with_its_path_and_value(load: Load) -> None:
    tree = load(
        infrastructure_provisioning="{post_provisioning: '${infrastructure_provisioning.steps}', steps: [{on_mongod: a}]}",
        workload_setup="{ycsb: [{on_localhost: b}], fio: [c], mine: [d], local_repos: {x: y}}",
        mongodb_setup="{pre_cluster_start: [e], post_test: [], upon_error: null, during_test: [{at: 1:30, on_mongod: f}]}",
        test_control="{pre_task: [g, h], between_tests: [], run: [{id: x, type: ycsb, cmd: y, pre_test: [i]}, {type: mine}]}",
    )
    assert list(config.hooks(tree)) == [
        ("infrastructure_provisioning.post_provisioning.0", {"on_mongod": "a"}),
        ("workload_setup.ycsb.0", {"on_localhost": "b"}),
        ("workload_setup.mine.0", "d"),
        ("workload_setup.fio.0", "c"),
        ("mongodb_setup.pre_cluster_start.0", "e"),
        ("mongodb_setup.during_test.0", {"at": 90, "on_mongod": "f"}),
        ("test_control.pre_task.0", "g"),
        ("test_control.pre_task.1", "h"),
        ("test_control.run.0.pre_test.0", "i"),
    ]


def test_lenient_hooks_have_an_unknown_in_place_of_what_is_not_there_yet(load: Load) -> None:
    tree = load(
        test_control="pre_task: [{on_mongod: {exec: 'x ${infrastructure_provisioning.out.a}', n: '${bootstrap.b}'}}]"
    )
    commands = dict(config.hooks(tree, lenient=True))
    verbs = commands["test_control.pre_task.0"]["on_mongod"]
    assert verbs == {"exec": "x ${infrastructure_provisioning.out.a}", "n": "${bootstrap.b}"}
    assert all(config.is_unknown(value) for value in verbs.values())
