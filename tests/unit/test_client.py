"""The file that is copied onto workload clients, as far as it can be looked at without a server."""

import ast
import doctest
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from dsi import client
from dsi.client import Reply
from dsi.wire import Code

FILE = Path(client.__file__)


def test_its_examples_are_true() -> None:
    tried = doctest.testmod(client)
    assert tried.failed == 0
    assert tried.attempted >= 4


def test_it_is_python_3_8() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 8))


def is_python(path: str | None) -> bool:
    """Tell whether it runs: a version manager has stand-ins for those that aren't chosen."""
    return path is not None and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0


OTHER_PYTHONS = [path for path in (shutil.which(f"python3.{minor}") for minor in range(8, 15)) if is_python(path)]


@pytest.mark.parametrize("python", [sys.executable, *OTHER_PYTHONS])
def test_a_copy_runs_where_there_is_nothing_but_python(tmp_path: Path, python: str) -> None:
    copy = tmp_path / "dsi_client.py"
    copy.write_bytes(FILE.read_bytes())
    code = (  # -I -S: neither our environment nor any installed package
        "import sys; sys.path.insert(0, '.'); import dsi_client; dsi_client.DsiSocket('127.0.0.1:1').close();"
        "assert not [name for name in sys.modules if name == 'dsi' or name.startswith('dsi.')]"
    )
    subprocess.run([python, "-I", "-S", "-c", code], cwd=tmp_path, check=True)


def test_every_code_of_the_protocol_is_an_exception_of_its_own_and_as_definite() -> None:
    for code in Code:
        reply = Reply(code.number, code.name, "why")
        if code is Code.OK:
            assert reply.check() is reply
            continue
        with pytest.raises(client.CommandError, match=f"{code.name}: why") as caught:
            reply.check()
        assert type(caught.value) is not client.CommandError
        assert caught.value.definite == code.definite
        assert caught.value.reply is reply


def test_a_code_of_a_newer_dsi_is_an_error_too() -> None:
    with pytest.raises(client.CommandError):
        Reply(77, "NEW", "why").check()


def test_a_reply_of_a_newer_dsi_is_read() -> None:
    reply = Reply.read(
        {"status_code": 0, "status": "OK", "message": "", "results": [{"host": "h", "exit_code": 0, "x": 1}]}
    )
    assert reply.results == (client.HostResult("h", 0),)


@pytest.mark.parametrize("timeout", [90, "1m30s"])
def test_a_reply_is_waited_for_no_longer_than_its_timeout_and_a_while_however_that_is_written(timeout: object) -> None:
    ask = client._Ask({"on_mongod": {"exec": "true"}}, {"timeout": timeout}, retry=True, patience_s=1)
    assert ask.wait_s == 90 + client.LATE_S


@pytest.mark.parametrize("timeout", [0, -30, -31, float("nan"), float("inf"), 1e10, 10**400, "9999999h"])
def test_a_timeout_that_dsi_refuses_leaves_time_for_its_answer(timeout: object) -> None:
    ask = client._Ask({"on_mongod": {"exec": "true"}}, {"timeout": timeout}, retry=True, patience_s=1)
    assert ask.wait_s is None


def test_it_is_tried_again_at_once_then_more_and_more_slowly() -> None:
    pauses = list(islice(client._pauses(), 12))
    assert pauses[0] == 0
    assert 0.1 <= pauses[1] <= 0.125
    assert 2 <= pauses[-1] <= 2.5


@pytest.mark.parametrize("address", ["", "localhost", ":", "127.0.0.1:port"])
def test_a_wrong_address_is_told_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        client.DsiSocket(address)


def test_where_no_test_runs_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DSI_SOCKET", raising=False)
    with pytest.raises(client.NotConnected, match=r"dsisocket: \{enabled: true\}"):
        client.DsiSocket.from_env()


def test_what_is_no_address_in_the_environment_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For `dsi-send` too: an uncaught error's exit status, 1, would say that the line was no JSON."""
    monkeypatch.setenv("DSI_SOCKET", "127.0.0.1:99999")
    assert client.main(["{}"]) == client.NO_REPLY
    assert capsys.readouterr().err.startswith("dsi-send: DSI_SOCKET: an address has the form HOST:PORT")
