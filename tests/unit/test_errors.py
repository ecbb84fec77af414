import pytest

from dsi.errors import (
    ClusterError,
    CommandFailed,
    CommandTimeout,
    HostUnreachable,
    Preflight,
    SeveralFailed,
    describe_failures,
    raise_together,
)
from dsi.model import Result


def failed(host: str = "mongod.0", stderr: str = "", command: str = "cmd", exit_status: int = 1) -> Result:
    return Result(host=host, command=command, exit_status=exit_status, stderr=stderr)


def test_a_failed_command_says_host_status_and_its_last_lines_on_one_line() -> None:
    assert str(CommandFailed([failed(stderr="a\nb\n", exit_status=3)])) == r"mongod.0: exit status 3: a\nb"


def test_a_command_that_said_nothing_stands_in_the_place_of_its_words() -> None:
    assert str(CommandFailed([failed(command="pkill mongod")])) == "mongod.0: exit status 1: pkill mongod"


def test_failures_of_several_hosts_are_joined() -> None:
    results = [failed("mongod.0", "x"), failed("mongod.1", "y", exit_status=2)]
    assert describe_failures(results) == "mongod.0: exit status 1: x; mongod.1: exit status 2: y"


def test_a_message_has_at_most_4_kib_and_every_host_in_it() -> None:
    text = describe_failures([failed(f"mongod.{index}", "é" * 10_000 + f"end{index}") for index in range(9)])
    assert len(text.encode()) <= 4096
    assert all(f"mongod.{index}: exit status 1: " in text and f"end{index}" in text for index in range(9))


def test_a_time_limit_is_said_with_the_last_words() -> None:
    assert "took longer than 2 s" in str(CommandTimeout(failed(stderr="stuck"), 2))


def test_the_last_lines_of_a_nodes_log_are_in_the_error() -> None:
    message = str(ClusterError("rs0.primary", "exit status 48", ["a", "b"]))
    assert message.splitlines()[0] == "rs0.primary: exit status 48"
    assert message.endswith("    a\n    b")


def test_failures_of_one_kind_are_raised_as_one_and_of_several_kinds_with_all_in_it() -> None:
    raise_together([])
    with pytest.raises(CommandFailed, match=r"mongod\.0.*mongod\.1"):
        raise_together([CommandFailed([failed("mongod.0")]), CommandFailed([failed("mongod.1")])])
    with pytest.raises(SeveralFailed, match=r"mongod\.0.*mongod\.1: no route"):
        raise_together([CommandFailed([failed("mongod.0")]), HostUnreachable("mongod.1", "no route")])


def test_what_several_say_alike_is_said_once() -> None:
    with pytest.raises(Preflight, match=r"^there is no ca\.pem$"):
        raise_together([Preflight("there is no ca.pem"), Preflight("there is no ca.pem")])


def test_each_of_several_failures_begins_a_line_where_one_has_lines_of_a_log() -> None:
    with pytest.raises(SeveralFailed) as caught:
        raise_together([ClusterError("a", "is down", ["log of a"]), ClusterError("b", "is down")])
    assert str(caught.value).splitlines()[::3] == ["a: is down", "b: is down"]
