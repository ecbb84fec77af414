import re
from typing import Any

import pytest

from dsi.commands import Allowed, Scope, check_words, known_words
from dsi.errors import InvalidCommand

SCOPE = Scope(ids=frozenset({"rs0"}), counts={"mongod": 1, "workload_client": 1})


@pytest.mark.parametrize(
    ("words", "raw"),
    [
        (None, {"restart_mongodb": {}}),
        (["restart_mongodb"], {"restart_mongodb": {}}),
        (["on_mongod"], {"on_mongod": {"exec": "true", "upload_files": []}}),
        (["exec"], {"on_mongod": {"exec": "true"}}),
        (["exec"], {"on_localhost": "true"}),
        (["exec", "upload_files"], {"on_mongod": {"exec": "true", "upload_files": []}}),
        (["exec"], {"on_mongod": {"exec": "true"}, "expect_down": ["rs0"]}),
    ],
)
def test_a_command_passes_if_its_key_or_every_verb_under_it_is_listed(words: list[str] | None, raw: Any) -> None:
    Allowed(words).insist(raw)


@pytest.mark.parametrize(
    ("words", "raw", "refused"),
    [
        ([], {"restart_mongodb": {}}, "restart_mongodb"),
        (["exec"], {"restart_mongodb": {}}, "restart_mongodb"),
        (["restart_mongodb"], {"on_mongod": "true"}, "on_mongod: exec"),
        (["on_mongod.0"], {"on_mongod": {"exec": "true"}}, "on_mongod: exec"),
        (["on_mongod"], {"on_md": {"exec": "true"}}, "on_md: exec"),
        (["exec"], {"on_md.0": {"exec": "true", "upload_files": []}}, "on_md.0: upload_files"),
        ([], {"on_wc": {"exec": "true", "upload_files": []}}, "on_wc: exec, upload_files"),
        (["clean_logs"], {"restart_mongodb": {"clean_logs": True}}, "restart_mongodb"),
    ],
)
def test_what_is_not_listed_is_refused_by_name_as_it_was_written(words: list[str], raw: Any, refused: str) -> None:
    with pytest.raises(InvalidCommand, match=f"^{re.escape(refused)}: not allowed here") as caught:
        Allowed(words).insist(raw)
    assert caught.value.allowed == tuple(sorted(words))


def test_a_word_that_is_none_is_refused_with_what_was_meant() -> None:
    check_words(["exec", "restart_mongodb", "on_mongod", "on_mongod.0", "on_rs0", "on_localhost"], SCOPE)
    for word, meant in [("exce", '"exec"'), ("on_mongood", '"on_mongod"'), ("restart", "restart_mongodb")]:
        with pytest.raises(InvalidCommand) as caught:
            check_words([word], SCOPE)
        assert meant in f"{caught.value} {caught.value.allowed}"


def test_the_names_of_what_is_allowed_have_single_hosts_and_other_spellings_where_those_are_listed() -> None:
    known = known_words(SCOPE)
    assert Allowed(None).names(known) == known
    words = ["on_mongod.0", "on_wc", "on_mongod", "restart_mongodb"]
    assert Allowed(words).names(known) == ["restart_mongodb", "on_mongod", "on_mongod.0", "on_wc"]
