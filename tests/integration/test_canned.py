"""The canned configurations: each is what it says, loads, and comes up on local hosts."""

from pathlib import Path

import pytest
from tests.integration.test_cli import free_port
from tests.integration.work_directory import WorkDirectory

from dsi.stages.bootstrap import STAGES, about, bootstrap, names
from dsi.stages.load import load
from dsi.stages.validate import check
from dsi.systems.mongodb import embedded_mongod

HOSTS = {
    "standalone": "single",
    "single-replica": "single",
    "replica": "replica",
    "replica-auth": "replica",
    "replica-tls": "replica",
    "shard-lite": "shard-lite",
    "shard": "shard",
}
"""The clusters, each with the hosts that it needs."""

NEEDS_MONGOS = {"shard-lite", "shard"}
"""No package index has a mongos; `test_sharded_security.py` brings shard-lite up behind a fake."""

SMALL = "mongodb_setup: {mongod_config_file: {storage: {wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}}}"


def work_directory(folder: Path, cluster: str) -> WorkDirectory:
    chosen = f"infrastructure_provisioning: {HOSTS[cluster]}\nmongodb_setup: {cluster}\ntest_control: smoke\n"
    return WorkDirectory(
        folder, bootstrap=chosen, overrides=f"{SMALL}\ntest_control: {{dsisocket: {{port: {free_port()}}}}}\n"
    )


def test_no_canned_cluster_is_forgotten_here() -> None:
    assert names("mongodb_setup") == set(HOSTS)
    assert names("infrastructure_provisioning") == set(HOSTS.values())


@pytest.mark.parametrize("cluster", HOSTS)
def test_a_canned_cluster_fits_its_canned_hosts_without_a_warning(tmp_path: Path, cluster: str) -> None:
    work_directory(tmp_path, cluster)
    bootstrap(tmp_path)
    assert check(load(tmp_path)) == []


@pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")
@pytest.mark.parametrize("cluster", [cluster for cluster in HOSTS if cluster not in NEEDS_MONGOS])
def test_a_canned_cluster_comes_up(tmp_path: Path, cluster: str) -> None:
    work = work_directory(tmp_path, cluster)
    work.dsi("run")
    assert "hello\nexit_status: 0" in work.read("reports/smoke/test_output.log")


def test_the_list_has_every_canned_configuration_and_what_it_is(tmp_path: Path) -> None:
    shown = WorkDirectory(tmp_path).dsi("bootstrap", "--list").stdout.splitlines()
    for stage in STAGES:
        for name in names(stage):
            assert about(stage, name)
            assert any(line.split() == [name, *about(stage, name).split()] for line in shown)
    assert list(tmp_path.iterdir()) == []
