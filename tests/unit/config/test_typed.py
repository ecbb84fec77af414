# ruff: noqa: E501  messages and files stand here as users see them
"""Typed models: what is read, and how a wrong type or range is said."""

from collections.abc import Callable

import pytest

from dsi import config
from dsi.config import Tree
from dsi.config.models import ReplicaSet, Standalone, TestControl
from dsi.errors import ConfigError

Load = Callable[..., Tree]


def problems(read: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read()
    return [str(problem) for problem in caught.value.problems]


def test_without_any_file_everything_has_its_default(load: Load) -> None:
    tree = load()
    task = config.test_control(tree)
    assert task == TestControl(task_name="default_task_name", output_file=task.output_file)
    provisioning = config.provisioning(tree)
    assert provisioning.provider == "local"
    assert provisioning.tfvars.mongod_count == 1
    assert provisioning.tfvars.ssh_user is None
    assert provisioning.out is None
    setup = config.mongodb_setup(tree)
    assert setup.topology == []
    assert setup.mongodb_binary_archive is None


SAID_BY_THE_FILE_ALONE = {
    "task_name",
    "output_file",
    "tfvars",
    "mongod_config_file",
    "mongos_config_file",
    "configsvr_config_file",
    "rs_conf",
    "numactl_prefix",
    "authentication",
}


def test_the_models_own_defaults_are_the_products(load: Load) -> None:
    tree = load()
    for read in (config.test_control(tree), config.mongodb_setup(tree), config.provisioning(tree)):
        for name in set(type(read).model_fields) - SAID_BY_THE_FILE_ALONE:
            assert getattr(read, name) == getattr(type(read)(), name), name


def test_clusters_are_typed_and_resolved(load: Load) -> None:
    tree = load(
        infrastructure_provisioning__out="out: {mongod: [{public_ip: a, private_ip: b, more: 1}], workload_client: []}",
        mongodb_setup="""
            topology:
              - id: rs0
                cluster_type: replset
                mongod:
                  - id: n0
                    public_ip: ${infrastructure_provisioning.out.mongod.0.public_ip}
                    rs_conf_member: {priority: 5}
                    clean_db_dir: false
              - {cluster_type: standalone, public_ip: c, unknown: "${bootstrap.nowhere}"}
            """,
    )
    replica_set, standalone = config.mongodb_setup(tree).topology
    assert isinstance(replica_set, ReplicaSet)
    assert replica_set.mongod[0].public_ip == "a"
    assert replica_set.mongod[0].config_file["net"]["port"] == 27017
    assert replica_set.mongod[0].clean_db_dir is False
    assert isinstance(standalone, Standalone)
    hosts = config.provisioning(tree).out
    assert hosts is not None
    assert hosts.mongod[0].private_ip == "b"


def test_the_hosts_that_have_other_disks_count_too(load: Load) -> None:
    tree = load(
        infrastructure_provisioning="tfvars: {mongod_instance_count: 0, mongod_ebs_instance_count: 3, "
        "mongod_seeded_ebs_instance_count: 1}"
    )
    assert config.provisioning(tree).tfvars.mongod_count == 4


def test_keys_that_dsi_does_not_know_are_not_read(load: Load) -> None:
    tree = load(
        test_control="{mine: '${bootstrap.nowhere}', run: [{id: a, type: ycsb, cmd: x, mine: '${bootstrap.nowhere}'}]}"
    )
    assert config.test_control(tree).run[0].cmd == "x"
    assert config.check(tree) == []


def test_null_is_as_good_as_leaving_it_out(load: Load) -> None:
    tree = load(test_control="run:\ntimeouts: {no_output_ms: null}\npre_task:\n", mongodb_setup="topology:\n")
    assert config.test_control(tree).run == []
    assert config.test_control(tree).timeouts.no_output_ms == 5_400_000
    assert config.check(tree) == []


def test_everything_that_is_wrong_is_said_at_once_with_its_place(load: Load) -> None:
    tree = load(
        test_control="""
            run:
              - id: a
                type: ycsb
                cmd: 5
                output_files: x
              - {id: b, type: fio}
              - 7
            timeouts: {no_output_ms: soon}
            test_delay_seconds: -1
            dsisocket: {port: 70000, enabled: maybe}
            """
    )
    assert problems(lambda: config.test_control(tree)) == [
        "test_control.yml:4:10: run.0.cmd: must be text, not a number (5): put it in quotes",
        'test_control.yml:5:19: run.0.output_files: must be a list, not text "x"',
        "test_control.yml:6:5: run.1.cmd: cmd is missing",
        "test_control.yml:7:5: run.2: must be a mapping, not a number (7)",
        'test_control.yml:8:26: timeouts.no_output_ms: must be a whole number, not text "soon"',
        "test_control.yml:9:21: test_delay_seconds: must be at least 0, not -1",
        'test_control.yml:10:35: dsisocket.enabled: must be true or false, not text "maybe"',
        "test_control.yml:10:19: dsisocket.port: must be at most 65535, not 70000",
    ]


def test_a_wrong_topology_says_what_is_allowed(load: Load) -> None:
    tree = load(
        mongodb_setup="""
            topology:
              - {cluster_type: replicaset, mongod: []}
              - {id: x}
              - {cluster_type: replset, mongod: []}
              - {cluster_type: standalone}
            """,
        infrastructure_provisioning="{provider: locl, numactl_prefix: {a: 1}}",
    )
    assert problems(lambda: config.mongodb_setup(tree)) == [
        (
            'mongodb_setup.yml:2:20: topology.0.cluster_type: no cluster_type "replicaset" (did you mean "replset"?)\n'
            "  known: standalone, replset, sharded_cluster"
        ),
        "mongodb_setup.yml:3:5: topology.1.cluster_type: cluster_type is missing",
        "mongodb_setup.yml:4:37: topology.2.mongod: must not be empty",
        "mongodb_setup.yml:5:5: topology.3.public_ip: public_ip is missing",
    ]
    assert problems(lambda: config.provisioning(tree)) == [
        (
            'infrastructure_provisioning.yml:1:12: provider: no provider "locl" (did you mean "local"?)\n'
            "  known: local, static, terraform"
        ),
        "infrastructure_provisioning.yml:1:34: numactl_prefix: must be text or a list, not a mapping",
    ]


def test_a_wrong_value_says_through_which_reference_or_override_it_came(load: Load) -> None:
    tree = load(
        bootstrap="port: {a: 1}",
        test_control="dsisocket: {port: '${bootstrap.port.a}x'}\ntimeouts: {no_output_ms: '${bootstrap.port}'}\ntest_delay_seconds: 1",
        overrides="test_control: {test_delay_seconds: often}",
    )
    assert problems(lambda: config.test_control(tree)) == [
        (
            "test_control.yml:2:26: timeouts.no_output_ms: must be a whole number, not a mapping\n"
            "  from test_control.timeouts.no_output_ms (test_control.yml:2:26): ${bootstrap.port}\n"
            "  the value stands at bootstrap.yml:1:7"
        ),
        (
            'overrides.yml:1:36: test_control.test_delay_seconds: must be a number, not text "often"\n'
            "  overrides test_control.yml:3:21"
        ),
        'test_control.yml:1:19: dsisocket.port: must be a whole number, not text "1x"',
    ]


def test_numbers_in_quotes_and_out_of_text_are_numbers(load: Load) -> None:
    tree = load(bootstrap="n: 27", test_control="dsisocket: {port: '${bootstrap.n}018'}\ntest_delay_seconds: '1.5'")
    assert config.test_control(tree).dsisocket.port == 27018
    assert config.test_control(tree).test_delay_seconds == 1.5


def test_a_lenient_reader_gets_what_is_known_and_right(load: Load) -> None:
    tree = load(
        infrastructure_provisioning="""
            tfvars: {mongod_instance_count: 3, workload_instance_count: many}
            hosts: {mongod: [{public_ip: a}, {private_ip: b}, {public_ip: "${mongodb_setup.out.x}"}]}
            """
    )
    provisioning = config.provisioning(tree, lenient=True)
    assert provisioning.tfvars.mongod_count == 3
    assert provisioning.tfvars.workload_instance_count == 1
    assert [host.public_ip for host in provisioning.hosts.mongod] == ["a", "${mongodb_setup.out.x}"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("numactl --interleave=all  --cpunodebind=1", ("numactl", "--interleave=all", "--cpunodebind=1")),
        ("[numactl, --interleave=all]", ("numactl", "--interleave=all")),
        ('["", ""]', ()),
        ('""', ()),
        ("null", ()),
    ],
)
def test_what_is_put_before_the_servers_is_text_or_a_list_and_empty_is_none(
    load: Load, written: str, words: tuple[str, ...]
) -> None:
    tree = load(infrastructure_provisioning=f"numactl_prefix: {written}")
    assert config.provisioning(tree).server_prefix == words
