"""The copies of the configuration in reports/: they load, and have no secrets; nothing depends on them."""

from pathlib import Path

import pytest
from tests.integration.work_directory import STANDALONE, WorkDirectory, hosts

from dsi.config import load
from dsi.systems.mongodb import embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

OVERRIDES = "mongodb_setup:\n  authentication:\n    password: hunter2hunter2\n"
DEFAULTS = "mongodb_setup:\n  authentication: {enabled: true, username: username, password: password}\n"
TASK = "run:\n  - {id: quick, type: shell, cmd: 'true'}\n"


@pytest.mark.parametrize(("name", "text"), [("overrides", OVERRIDES), ("defaults", DEFAULTS)])
def test_a_run_with_a_password_in_its_files_is_analyzed_also_from_its_reports_alone(
    tmp_path: Path, name: str, text: str
) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=TASK,
        **{name: text},
    )
    assert work.dsi("run").stderr.splitlines()[-1].startswith("analysis: 0 errors, ")
    work.dsi("analyze", "reports")
    copied = load(tmp_path / "reports")
    authentication = copied.get("mongodb_setup.authentication")
    assert authentication["password"] == "***"
    assert copied.get("test_control.run.0.cmd") == "true"
    assert copied.get("mongodb_setup.mongod_config_file") == load(tmp_path).get("mongodb_setup.mongod_config_file")


def test_the_analysis_at_the_end_of_a_run_needs_no_copy_that_can_be_read(tmp_path: Path) -> None:
    task = "run:\n  - {id: quick, type: shell, cmd: 'true'}\npost_task:\n"
    task += "  - on_localhost: \"echo '{' > reports/bootstrap.yml; echo '{' > reports/analysis.yml\"\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(1), mongodb_setup=STANDALONE, test_control=task)
    assert work.dsi("run").stderr.splitlines()[-1].startswith("analysis: 0 errors, ")
    work.dsi("analyze")
    assert "analysis.yml" in work.dsi("analyze", "reports", exit_status=2).stderr
