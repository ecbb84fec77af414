from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dsi.config.models import Dsisocket
from dsi.errors import ConfigError
from dsi.masking import masked
from dsi.stages.load import load
from dsi.stages.validate import insist
from dsi.systems.mongodb import make_secrets


def settings_in(folder: Path, text: str) -> Path:
    (folder / "test_control.yml").write_text(f"run: []\ndsisocket: {{enabled: true, {text}}}\n")
    return folder


@pytest.mark.parametrize("unset", ["", None])
def test_an_empty_token_is_none(unset: Any) -> None:
    assert Dsisocket(token=unset).token is None


def test_a_token_that_is_too_short_to_be_masked_is_refused_and_none_is_shown() -> None:
    with pytest.raises(ValidationError, match="at least 4"):
        Dsisocket(token="abc")
    assert "s3cret" not in repr(Dsisocket(token="s3cret"))


def test_a_token_of_the_files_is_masked_from_then_on_and_the_word_auto_is_not(tmp_path: Path) -> None:
    load(settings_in(tmp_path, "token: t0ken-0f-the-files"), make_secrets)
    assert masked("it is t0ken-0f-the-files") == "it is ***"
    load(settings_in(tmp_path, "token: auto"), make_secrets)
    assert masked("automatic") == "automatic"


@pytest.mark.parametrize(
    ("allow", "words"),
    [("[exce]", '"exec"'), ("[on_mongood]", '"on_mongod"'), ("exec", "allow"), ("[on_mongod.7]", "no host mongod.7")],
)
def test_a_word_that_allows_nothing_is_an_error_of_the_configuration(tmp_path: Path, allow: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        insist(load(settings_in(tmp_path, f"allow: {allow}"), make_secrets))
    assert words in str(caught.value)
    assert "test_control.yml" in str(caught.value)


def test_words_that_there_are_are_no_error(tmp_path: Path) -> None:
    insist(load(settings_in(tmp_path, "allow: [exec, on_mongod, on_localhost, restart_mongodb]"), make_secrets))
