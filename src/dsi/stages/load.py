"""A work directory → its configuration, with what dsi works out itself laid under it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dsi import config
from dsi.config import Tree
from dsi.config.models import AUTO_TOKEN
from dsi.errors import ConfigError
from dsi.masking import hide, is_secret_name
from dsi.model import Problem
from dsi.state import State
from dsi.systems import mongodb
from dsi.systems.mongodb import Secrets

_AUTHENTICATION = "mongodb_setup.authentication"

_SHORTEST_SECRET = 6
"""Shorter texts of `runtime_secret.yml` are words such as `true`, and would be hidden wherever they stand."""

SecretsOf = Callable[[State], Secrets | None]


def load(work_directory: Path, secrets_of: SecretsOf = mongodb.kept_secrets) -> Tree:
    """Read the work directory's files.

    `secrets_of` gives what was made for the work directory, where the configuration needs it. What has not been made
    yet can't be known yet, as an `out` before its stage.

    Raises:
        ConfigError: files that can't be read or put together; all such problems at once.
    """
    state = State(work_directory)

    def password(tree: Tree) -> dict[str, Any]:
        written = _written(tree)
        made = secrets_of(state) if written.get("enabled") and not written.get("password") else None
        return {"password": made.password} if made else {}

    tree = config.load(work_directory)
    _hide_all(tree.get_lenient("runtime_secret"))
    _hide_passwords(tree.get_lenient("mongodb_setup"))
    _hide_token(tree.get_lenient("test_control.dsisocket"))
    tree = tree.with_computed(_AUTHENTICATION, password).with_computed(_AUTHENTICATION, _url)
    tree = tree.with_computed("mongodb_setup.meta", _meta)
    _hide_passwords(_written(tree))
    return tree


def _url(tree: Tree) -> dict[str, Any]:
    written = _written(tree)
    name, password = (written.get(key) for key in ("username", "password"))
    url = {"False": ""}
    if isinstance(name, str) and isinstance(password, str) and not config.is_unknown(password):
        url["True"] = mongodb.login(mongodb.User(name, password))
    return {"url": url}


def _meta(tree: Tree) -> dict[str, Any]:
    setup = config.mongodb_setup(tree)
    if setup.authentication.enabled and not setup.authentication.password:
        path = f"{_AUTHENTICATION}.password"
        message = "none is written, and none made yet: the first stage (`dsi provision`, `dsi run`) makes one"
        raise ConfigError([Problem(path=path, message=message)])
    return mongodb.meta(setup, mongodb.user(setup.authentication, None))


def _written(tree: Tree) -> dict[str, Any]:
    found = tree.get_lenient(_AUTHENTICATION)
    return found if isinstance(found, dict) else {}


def _hide_all(value: Any) -> None:
    """Hide every text and number that is long enough to be a secret: `runtime_secret.yml` is for nothing else."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _hide_all(item)
    if _is_known(value) and len(str(value)) >= _SHORTEST_SECRET:
        hide(str(value))


def _is_known(value: Any) -> bool:
    """Tell whether it is text or a number: one is an error as a password, and no less a secret."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and not config.is_unknown(value)


def _hide_token(dsisocket: Any) -> None:
    token = dsisocket.get("token") if isinstance(dsisocket, dict) else None
    if _is_known(token) and token not in ("", AUTO_TOKEN):
        hide(str(token))


def _hide_passwords(value: Any) -> None:
    """Keep passwords out of logs, errors and reports, whoever wrote them and wherever they are referred to."""
    if isinstance(value, list):
        for item in value:
            _hide_passwords(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if is_secret_name(key) and _is_known(item) and item != "":
                hide(str(item))
            _hide_passwords(item)
