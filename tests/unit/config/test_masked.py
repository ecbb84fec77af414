"""YAML whose secrets are masked: it loads, and is what it was but for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsi import config
from dsi.config import masked_yaml
from dsi.config.files import read_file
from dsi.config.nodes import ListNode, MappingNode, Node, Scalar
from dsi.masking import Masking

ORIGINALS_DEFAULTS = """\
# The original's own, in short.
mongodb_setup:
  authentication:
    enabled: true
    username: username
    password: password   # as the username is username
  mongod_config_file:
    net: {ssl: {mode: requireSSL, PEMKeyFile: member.pem, PEMKeyPassword: server-perf}}
  meta:
    mongodb_url: mongodb://username:password@10.2.0.1/?authSource=admin
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], Any]:
    """Give what the product reads of a text."""

    def load(text: str) -> Any:
        (tmp_path / "file.yml").write_text(text)
        content = read_file(tmp_path / "file.yml", "file.yml")
        assert content.root is not None, content.problems
        assert content.problems == []
        return value_of(content.root)

    return load


def value_of(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [value_of(item) for item in node.items]
    assert isinstance(node, MappingNode)
    return {key: value_of(item) for key, item in node.entries.items()}


def knowing(*secrets: str) -> Masking:
    masking = Masking()
    for secret in secrets:
        masking.hide(secret)
    return masking


def test_the_originals_defaults_are_what_they_were_but_for_their_secrets(loaded: Callable[[str], Any]) -> None:
    found = masked_yaml(ORIGINALS_DEFAULTS, masking=knowing("password", "server-perf"))
    setup = loaded(ORIGINALS_DEFAULTS)["mongodb_setup"]
    setup["authentication"]["password"] = "***"
    setup["mongod_config_file"]["net"]["ssl"]["PEMKeyPassword"] = "***"
    setup["meta"]["mongodb_url"] = "mongodb://username:***@10.2.0.1/?authSource=admin"
    assert loaded(found) == {"mongodb_setup": setup}
    assert "password: '***'   # as the username is username\n" in found
    assert "server-perf" not in found


def test_a_password_that_is_a_word_garbles_neither_keys_nor_other_values(loaded: Callable[[str], Any]) -> None:
    text = (
        "mongod_config_file: {a: mongod, b: [pkill mongod]}\non_mongod: {exec: mongod --version}\n"
        "password: mongod\nurl: mongodb://u:mongod@h/\n# mongod's own\n"
    )
    masking = knowing("mongod")
    found = masked_yaml(text, masking=masking)
    assert loaded(found) == {**loaded(text), "password": "***", "url": "mongodb://u:***@h/"}
    assert found.endswith("# mongod's own\n")
    assert masking.masked("mongod") == "***", "in logs it may be the password"


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("password: hunter2hunter2", {"password": "***"}),
        ("password: 'hunter2hunter2'", {"password": "***"}),
        ('password: "\\x68unter2hunter2"', {"password": "***"}),
        ("password: &it hunter2hunter2\nagain: *it", {"password": "***", "again": "***"}),
        ("password: !!str hunter2hunter2", {"password": "***"}),
        ("password: 12345678", {"password": "***"}),
        ("password: abc", {"password": "***"}),
        ("password:\n  hunter2hunter2\nnext: 1", {"password": "***", "next": 1}),
        ("password: |\n  hunter2hunter2\nnext: 1", {"password": "***", "next": 1}),
        ("keyPassword: [hunter2hunter2, abc]", {"keyPassword": ["***", "***"]}),
        ("password:\nusername: u", {"password": None, "username": "u"}),
        ("password: ''\nenabledPassword: true", {"password": "", "enabledPassword": True}),
        ("password: ${runtime_secret.password}", {"password": "${runtime_secret.password}"}),
        ("password: ${runtime.x}hunter2hunter2", {"password": "${runtime.x}***"}),
        ("token: auto", {"token": "auto"}),
        ("token: root", {"token": "***"}),
        ("runtime_secret: {a: {b: [xyz, 27017]}}", {"runtime_secret": {"a": {"b": ["***", 27017]}}}),
        ("cmd: echo hunter2hunter2, it's", {"cmd": "echo ***, it's"}),
        ("cmd: hunter2hunter2", {"cmd": "***"}),
        ("cmd: |\n  a\n    hunter2hunter2\n  b\n", {"cmd": "a\n  ***\nb\n"}),
        ("cmd: >-\n  a two\n  words b\n", {"cmd": "a *** b"}),
        ('cmd: "a\\n two words\\u2028 \U0001f600"', {"cmd": "a\n ***\u2028 \U0001f600"}),
        ("list:\n- hunter2hunter2\n- {x: hunter2hunter2}", {"list": ["***", {"x": "***"}]}),
        ("hunter2hunter2: kept", {"hunter2hunter2": "kept"}),
    ],
)
def test_each_form_of_a_secret_is_masked_and_loads(loaded: Callable[[str], Any], written: str, masked: Any) -> None:
    found = masked_yaml(written, masking=knowing("hunter2hunter2", "two words"))
    assert loaded(found) == masked


def test_comments_lose_their_secrets_also_one_that_is_a_word_where_it_stands_as_a_password() -> None:
    text = "a: 1 # hunter2hunter2\n#password: mongod\n# PEMKeyPassword = 'mongod'\nb: 'x # mongod'\n# of mongod\n"
    assert masked_yaml(text, masking=knowing("hunter2hunter2", "mongod")) == (
        "a: 1 # ***\n#password: ***\n# PEMKeyPassword = '***'\nb: 'x # mongod'\n# of mongod\n"
    )


def test_a_block_stays_a_block() -> None:
    text = "cmd: |  # how\n  ./load --password hunter2hunter2\n  ./more\n# end\nnext: 1\n"
    assert masked_yaml(text, masking=knowing("hunter2hunter2")) == text.replace("hunter2hunter2", "***")


def test_what_is_no_yaml_is_masked_as_any_text() -> None:
    text = "{% for x in y %}\npassword: hunter2hunter2\n"
    assert masked_yaml(text, masking=knowing("hunter2hunter2")) == text.replace("hunter2hunter2", "***")


def test_a_part_of_the_tree_is_masked_by_where_it_stands() -> None:
    masking = knowing("password")
    at = ["mongodb_setup", "authentication", "password"]
    assert masked_yaml(config.dump("password"), at, masking=masking) == "'***'\n"
    assert masked_yaml(config.dump({"a": "b"}), ["runtime_secret"], masking=masking) == "a: '***'\n"
