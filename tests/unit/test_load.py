"""What dsi works out itself and lays under the files: the password, the URL, the table `meta`."""

from pathlib import Path

import pytest

from dsi.errors import ConfigError
from dsi.masking import masked
from dsi.stages.load import load
from dsi.stages.validate import check
from dsi.state import State
from dsi.systems.mongodb import kept_secrets, make_secrets

ALONE = "topology: [{cluster_type: standalone, public_ip: h}]\n"
PICKED = "${mongodb_setup.authentication.url.${mongodb_setup.authentication.enabled}}"


def test_a_password_is_made_once_for_the_work_directory_and_everything_refers_to_it(tmp_path: Path) -> None:
    (tmp_path / "mongodb_setup.yml").write_text(f"{ALONE}mine: '{PICKED}'\n")
    tree = load(tmp_path, make_secrets)
    password = tree.get("mongodb_setup.authentication.password")
    assert len(password) == 32
    assert tree.get("mongodb_setup.mine") == f"username:{password}@"
    assert tree.get("mongodb_setup.meta.mongodb_url") == f"mongodb://username:{password}@h:27017/?authSource=admin"
    assert load(tmp_path).get("mongodb_setup.authentication.password") == password


def test_looking_makes_no_password_and_what_needs_one_is_not_known_yet(tmp_path: Path) -> None:
    (tmp_path / "mongodb_setup.yml").write_text(f"{ALONE}pre_cluster_start: [{{on_all_hosts: 'echo {PICKED}'}}]\n")
    (tmp_path / "test_control.yml").write_text("pre_task: [{on_all_hosts: 'x ${mongodb_setup.meta.mongodb_url}'}]\n")
    tree = load(tmp_path)
    assert [str(problem) for problem in check(tree) if not problem.warning] == []
    with pytest.raises(ConfigError, match="none made yet: the first stage"):
        tree.get("mongodb_setup.meta.mongodb_url")
    assert kept_secrets(State(tmp_path)) is None


def test_a_written_password_is_taken_literally_and_no_reference_in_it_is_followed_twice(tmp_path: Path) -> None:
    (tmp_path / "runtime_secret.yml").write_text("password: 'p@ss:w$rd${x}'\n")
    authentication = "authentication: {username: me, password: '${runtime_secret.password}'}\n"
    (tmp_path / "mongodb_setup.yml").write_text(f"{ALONE}{authentication}mine: '{PICKED}'\n")
    tree = load(tmp_path)
    assert tree.get("mongodb_setup.authentication.password") == "p@ss:w$rd${x}"
    assert tree.get("mongodb_setup.mine") == "me:p%40ss%3Aw%24rd%24%7Bx%7D@"


def test_without_authentication_there_is_neither_password_nor_user(tmp_path: Path) -> None:
    (tmp_path / "mongodb_setup.yml").write_text(f"{ALONE}authentication: {{enabled: false}}\nmine: 'x{PICKED}'\n")
    tree = load(tmp_path, make_secrets)
    assert tree.get("mongodb_setup.mine") == "x"
    assert tree.get("mongodb_setup.meta.mongodb_url") == "mongodb://h:27017/"
    assert kept_secrets(State(tmp_path)) is None


@pytest.mark.parametrize(
    ("provisioning", "given"),
    [
        (
            "tfvars: {mongod_instance_count: 1}\n",
            "infrastructure_provisioning.tfvars.*_instance_count gives 1 of mongod",
        ),
        (
            "provider: static\nhosts: {mongod: [{public_ip: h}]}\n",
            "infrastructure_provisioning.hosts gives 1 of mongod",
        ),
        ("tfvars: {mongod_instance_count: 2}\n", None),
    ],
)
def test_a_reference_to_a_host_that_provisioning_will_not_give_is_an_error_at_its_place(
    tmp_path: Path, provisioning: str, given: str | None
) -> None:
    (tmp_path / "infrastructure_provisioning.yml").write_text(provisioning)
    nodes = "\n".join(
        f"  - {{cluster_type: standalone, public_ip: '${{infrastructure_provisioning.out.mongod.{number}.public_ip}}'}}"
        for number in (0, 1)
    )
    (tmp_path / "mongodb_setup.yml").write_text(f"topology:\n{nodes}\n")
    errors = [str(problem) for problem in check(load(tmp_path)) if not problem.warning]
    if given is None:
        assert errors == []
    else:
        (error,) = errors
        assert error.startswith("mongodb_setup.yml:3:")
        assert f"there is no host mongod.1: {given}" in error


MISSING = "${infrastructure_provisioning.out.mongod.2.public_ip}"
LOOKUP = f"my_lookup: {{three: [{{public_ip: '{MISSING}'}}]}}"


def test_a_reference_to_a_missing_host_that_nobody_reads_passes(tmp_path: Path) -> None:
    (tmp_path / "infrastructure_provisioning.yml").write_text("tfvars: {mongod_instance_count: 1}\n")
    (tmp_path / "defaults.yml").write_text(
        f"mongodb_setup: {{{LOOKUP}}}\nworkload_setup: {{unused: [{{on_workload_client: 'echo {MISSING}'}}]}}\n"
        f"test_control: {{hosts: ['{MISSING}']}}\n"
    )
    (tmp_path / "mongodb_setup.yml").write_text(f"{ALONE}more_{LOOKUP}\n")
    assert [str(problem) for problem in check(load(tmp_path)) if not problem.warning] == []


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("mongodb_setup", "{topology: [{cluster_type: standalone, public_ip: '%s'}]}", "topology.0.public_ip"),
        (
            "mongodb_setup",
            "{topology: [{cluster_type: replset, mongod: '${mongodb_setup.three}'}]}",
            "mongodb_setup.topology.0.mongod.0.public_ip",
        ),
        ("overrides", "{mongodb_setup: {topology: [{public_ip: '%s'}]}}", "mongodb_setup.topology.0.public_ip"),
        ("mongodb_setup", "{pre_cluster_start: [{on_all_hosts: 'ping %s'}]}", "pre_cluster_start.0.on_all_hosts"),
        ("test_control", "{run: [{id: a, type: shell, cmd: 'ping %s'}]}", "run.0.cmd"),
        (
            "test_control",
            "{run: [{id: a, type: shell, cmd: 'x ${mongodb_setup.three.0.public_ip}'}]}",
            "run.0.cmd",
        ),
        (
            "test_control",
            "{run: [{id: a, type: shell, cmd: b, post_test: [{on_wc: 'x %s'}]}]}",
            "run.0.post_test.0.on_wc",
        ),
    ],
)
@pytest.mark.parametrize("number", [1, -2])
def test_a_reference_to_a_missing_host_is_an_error_wherever_it_is_read_also_through_a_lookup_table(
    tmp_path: Path, name: str, text: str, place: str, number: int
) -> None:
    missing = f"${{infrastructure_provisioning.out.mongod.{number}.public_ip}}"
    (tmp_path / "infrastructure_provisioning.yml").write_text("tfvars: {mongod_instance_count: 1}\n")
    (tmp_path / "defaults.yml").write_text(f"mongodb_setup: {{three: [{{public_ip: '{missing}'}}]}}\n")
    (tmp_path / "mongodb_setup.yml").write_text(ALONE)
    (tmp_path / f"{name}.yml").write_text(text.replace("%s", missing))
    (error,) = [str(problem) for problem in check(load(tmp_path)) if not problem.warning]
    assert error.startswith("defaults.yml:1:" if "mongod:" in text else f"{name}.yml:1:")
    assert f" {place}: there is no host mongod.{number}: " in error
    assert ("from mongodb_setup.three.0.public_ip (defaults.yml:1:" in error) == ("three.0" in text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mongodb_setup", "{authentication: {password: %s}}"),
        ("mongodb_setup", "{client_tls: {certificateKeyFilePassword: %s}}"),
        ("mongodb_setup", "{mongod_config_file: {net: {tls: {certificateKeyFilePassword: %s}}}}"),
        ("test_control", "{dsisocket: {token: %s}}"),
        ("runtime_secret", "{mine: %s}"),
    ],
)
@pytest.mark.parametrize("number", ["81726354", "8172635.4", "0x4df0f52"])
def test_a_secret_that_is_a_number_is_shown_in_no_error_and_masked_from_then_on(
    tmp_path: Path, name: str, text: str, number: str
) -> None:
    (tmp_path / f"{name}.yml").write_text(text % number)
    (tmp_path / "analysis.yml").write_text("ignore: ${runtime_secret.mine}\n" if name == "runtime_secret" else "")
    tree = load(tmp_path)
    problems = [problem.message for problem in check(tree) if not problem.warning]
    value = {"0x4df0f52": "81727314"}.get(number, number)
    assert not [message for message in problems if number in masked(message) or value in masked(message)]
    assert masked(f"it is {value}") == "it is ***"
    if "password" in text or "token" in text:
        assert "must be text, not a number: put it in quotes" in problems
