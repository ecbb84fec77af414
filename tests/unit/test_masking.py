"""Secrets in texts: every form in which they are written is masked, and nothing else."""

import json
import shlex
import urllib.parse

import pytest

from dsi.errors import ClusterError, CommandFailed
from dsi.masking import Masking, hide
from dsi.model import Result

SECRET = "s3cr\"et's@:/$\\é{x}"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        shlex.quote(SECRET),
    ],
)
def test_a_secret_is_masked_in_every_form_it_is_written_in(written: str) -> None:
    masking = Masking()
    masking.hide(SECRET)
    found = masking.masked(f"before {written} after")
    assert "s3cr" not in found
    assert found.startswith("before ")
    assert found.endswith(" after")


def test_a_secret_that_begins_like_another_leaves_no_rest() -> None:
    masking = Masking()
    masking.hide("secret")
    masking.hide("secret-two")
    assert masking.masked("secret-two, secret") == "***, ***"


def test_a_very_short_secret_is_masked_in_connection_strings_alone() -> None:
    masking = Masking()
    masking.hide("a")
    assert masking.masked("mongodb://user:a@host/ has a password") == "mongodb://user:***@host/ has a password"


def test_keys_are_kept_in_mappings() -> None:
    masking = Masking()
    masking.hide("password")
    assert masking.masked_value({"password": ["password", {"x": 1}]}) == {"password": ["***", {"x": 1}]}


def test_a_word_is_masked_everywhere_or_in_connection_strings_alone_as_it_is_asked() -> None:
    masking = Masking()
    masking.hide("mongod")
    masking.hide("hunter2hunter2")
    text = "pkill mongod, mongodb://mongod:mongod@host/, hunter2hunter2"
    assert masking.masked(text) == "pkill ***, ***b://***:***@host/, ***"
    assert masking.masked_but_words(text) == "pkill mongod, mongodb://mongod:***@host/, ***"


def test_the_text_of_an_error_has_no_secret_in_it_even_where_it_is_cut() -> None:
    hide("s3cr3t-" * 5)
    assert "s3cr3t" not in str(ClusterError("node", "failed", ["log of " + "s3cr3t-" * 5]))
    result = Result(host="h", command="c", exit_status=1, stdout="", stderr="s3cr3t-" * 5 + "x" * 4070, duration_s=0)
    assert "s3cr3t" not in str(CommandFailed([result]))
