import pytest

from dsi.commands import Scope, parse
from dsi.errors import InvalidCommand
from dsi.model import Role

COUNTS: dict[Role, int] = {"mongod": 3, "workload_client": 1}
SCOPE = Scope(ids=frozenset({"rs0", "primary"}), replica_sets=frozenset({"rs0"}), counts=COUNTS)


def refusal(raw: object, scope: Scope = SCOPE) -> InvalidCommand:
    with pytest.raises(InvalidCommand) as caught:
        parse(raw, scope)
    return caught.value


@pytest.mark.parametrize(
    "raw",
    [
        {"on_workload_client": {"exec": "true"}},
        {"on_mongod": "uptime"},
        {"on_md": {"exec": "a", "upload_files": [{"source": "x", "target": "y"}]}},
        {"on_mongod.2": "uptime"},
        {"on_wc.0": "uptime"},
        {"on_all_servers": "uptime"},
        {"on_all_hosts": "uptime"},
        {"on_localhost": "uptime"},
        {"on_rs0": "uptime"},
        {"on_primary": {"exec_mongo_shell": {"script": "db.hello()"}}},
        {"on_atlas": "uptime"},
        {"on_mongos": {"retrieve_files": [{"source": "a", "target": "b/c"}]}},
        {"on_wc": {"checkout_repos": [{"source": "u", "target": "d", "branch": "main", "verbose": True}]}},
        {"restart_mongodb": {"clean_logs": True, "clean_db_dir": False}},
        {"restart_mongodb": None},
        {"restart_mongodb": {"nodes": ["rs0"]}},
        {"restart_mongodb": {"nodes": ["rs0:primary", "rs0:secondaries", "primary"], "mode": "crash"}},
        {"restart_mongodb": {"mode": "rolling", "clean_logs": True}},
        {"on_mongod.0": "pkill -9 mongod", "expect_down": ["primary"]},
        {"expect_down": ["rs0:secondaries"], "on_rs0": {"exec": "pkill -9 mongod"}},
    ],
)
def test_every_specified_form_is_a_command(raw: object) -> None:
    assert parse(raw, SCOPE)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"on_mongod": {"exec": "echo a\0b"}}, "on_mongod.exec"),
        ({"on_mongod": "echo a\0b"}, "on_mongod"),
        ({"on_wc": {"upload_files": [{"source": "a", "target": "b\0"}]}}, "on_wc.upload_files.0.target"),
        ({"on_rs0": {"exec": "true"}, "expect_down": ["primary\0"]}, "expect_down.0"),
        ({"on_mongod": {"ex\0ec": "true"}}, ""),
    ],
)
def test_a_nul_character_is_refused_wherever_it_stands(raw: object, path: str) -> None:
    """Bash would leave it out, and run another text than the one that was asked for."""
    problem = refusal(raw)
    assert "NUL character" in str(problem)
    assert problem.path == path


def test_an_unknown_verb_answers_exactly_what_level_1_fixes_and_the_log_gets_more() -> None:
    problem = refusal({"on_workload_client": {"exce": "true"}})
    assert str(problem) == "Invalid command type"
    assert 'did you mean "exec"' in problem.detail
    assert problem.path == "on_workload_client.exce"
    assert "upload_files" in problem.allowed


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (5, "this is a number"),
        ([], "this is a list"),
        (None, "this is nothing"),
        ({}, "this has 0"),
        ({"on_mongod": "a", "on_mongos": "b"}, "this has 2: on_mongod, on_mongos"),
        ({"restart_mongod": {}}, 'did you mean "restart_mongodb"?'),
        ({"on_mongodb": "a"}, 'did you mean "on_mongod"?'),
        ({"on_servers": "a"}, "write on_all_servers"),
        ({"on_host": "a"}, "write on_<id>"),
        ({"on_mongod": {"download_files": []}}, "write retrieve_files"),
        ({"on_mongod.3": "a"}, "no host mongod.3"),
        ({"on_mongod": {}}, "this is an empty mapping"),
        ({"on_mongod": None}, "this is nothing"),
        ({"on_mongod": {"exec": 5}}, "not a number"),
        ({"on_mongod": {"upload_files": {"source": "a"}}}, "not a mapping"),
        ({"on_mongod": {"upload_files": [{"source": "a"}]}}, "0.target: is missing"),
        ({"on_mongod": {"upload_files": [{"source": "a", "tagret": "b"}]}}, "no such key"),
        ({"on_mongod": {"retrieve_files": [{"source": "a", "target": "/etc/passwd"}]}}, "below the reports folder"),
        ({"on_mongod": {"retrieve_files": [{"source": "a", "target": "x/../../y"}]}}, "below the reports folder"),
        ({"restart_mongodb": {"clean_db_dri": True}}, 'did you mean "clean_db_dir"?'),
        ({"restart_mongodb": {"clean_db_dir": "yes"}}, "not text"),
        ({"restart_mongodb": True}, "restart_mongodb: takes a mapping, not true or false"),
        ({"restart_mongodb": {"nodes": ["rs1"]}}, 'did you mean "rs0"?'),
        ({"restart_mongodb": {"nodes": []}}, "nodes is empty"),
        ({"restart_mongodb": {"nodes": ["rs0"], "clean_db_dir": True}}, "is refused"),
        ({"restart_mongodb": {"nodes": ["rs1:primary"]}}, 'has the id "rs1" (did you mean "rs0"?)'),
        ({"restart_mongodb": {"nodes": ["rs0:primry"]}}, 'no role "primry" (did you mean "rs0:primary"?)'),
        ({"restart_mongodb": {"nodes": ["primary:primary"]}}, '"primary" is no replica set'),
        ({"restart_mongodb": {"mode": "roling"}}, 'mode: there is no "roling" (did you mean "rolling"?)'),
        ({"restart_mongodb": {"mode": "crash", "clean_db_dir": True}}, "nothing to recover"),
        ({"restart_mongodb": {"mode": "rolling", "clean_db_dir": True}}, "is refused"),
        ({"on_mongod": "a", "expect_down": ["primry"]}, 'did you mean "primary"?'),
        ({"on_mongod": "a", "expect_down": "primary"}, "expect_down is a list of ids"),
        ({"on_mongod": "a", "on_wc": "b", "expect_down": ["primary"]}, "this has 2: on_mongod, on_wc"),
        ({"expect_down": ["primary"]}, "this has 0"),
        ({"on_mongod": {"exec": "a", "expect_down": ["primary"]}}, "beside the target, not under it: {on_mongod: …,"),
        ({"network_delays": {"delay_ms": 5}}, "not supported yet"),
        ({"on_mongod": {"network_delays": {}}}, "not supported yet"),
    ],
)
def test_what_is_no_command_is_refused_with_what_is_wrong(raw: object, says: str) -> None:
    assert says in refusal(raw).detail


def test_the_keys_that_there_are_stand_beside_one_that_there_is_not_and_nowhere_else() -> None:
    assert "mode" in refusal({"restart_mongodb": {"mod": "crash"}}).allowed
    assert not refusal({"restart_mongodb": {"mode": "crash", "clean_db_dir": True}}).allowed


def test_hosts_are_not_counted_before_they_are_known() -> None:
    assert parse({"on_mongod.17": "true"}, Scope())


def test_a_restart_is_refused_where_there_is_no_cluster_yet() -> None:
    assert "started later" in str(refusal({"restart_mongodb": {}}, Scope(has_clusters=False)))


def test_nothing_is_expected_to_go_down_where_there_is_no_cluster_yet() -> None:
    raw = {"on_mongod": "true", "expect_down": ["rs0"]}
    assert "started later" in str(refusal(raw, Scope(ids=frozenset({"rs0"}), has_clusters=False)))


def test_atlas_is_refused_only_where_it_is_configured() -> None:
    assert "not supported" in str(refusal({"on_atlas": "true"}, Scope(has_atlas=True)))
