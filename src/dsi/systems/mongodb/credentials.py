"""Who may do what: the user that workloads are, and the key by which the servers of a work directory know each other.

The key is dsi's own way in, too. Who has it is `__system`, the servers' own user, which may do everything, from a
server's first moment on: on a standalone, on a member of no set yet, on an arbiter (which has no users), from any
address. So clusters start with authorization on, and once.
"""

import secrets
from dataclasses import dataclass, field

from dsi.config import models
from dsi.errors import Preflight
from dsi.masking import hide
from dsi.state import State

_NAME = "secrets"
"""The name under which the state keeps what was made: `.dsi/secrets.json`, which only its owner can read."""

_PASSWORD_BYTES = 16
_KEY_BYTES = 64


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is made for a work directory: a password, for where the configuration has none, and the servers' key.

    Both are hexadecimal digits, which mean nothing special in any connection string, shell or key file.
    """

    password: str = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """The user (role root) that workloads and `exec_mongo_shell` are."""

    name: str
    password: str = field(repr=False)


def kept(state: State) -> Secrets | None:
    """Give what was made for the work directory; None if nothing was yet.

    Raises:
        StateError: the file can't be read.
    """
    found = state.read(_NAME)
    if found is None:
        return None
    for secret in found.values():
        hide(secret)
    return Secrets(**found)


def make(state: State) -> Secrets:
    """Give what was made for the work directory; the first time, make it."""
    found = kept(state)
    if found is None:
        state.write(_NAME, {"password": secrets.token_hex(_PASSWORD_BYTES), "key": secrets.token_hex(_KEY_BYTES)})
        found = kept(state)
        assert found is not None, "it was written just now"
    return found


def user(authentication: models.Authentication, made: Secrets | None) -> User | None:
    """Give the user of the clusters; None where anybody may do everything.

    Raises:
        Preflight: no username; or no password, neither written nor made.
    """
    if not authentication.enabled:
        return None
    password = authentication.password or (made and made.password)
    if not authentication.username or not password:
        raise Preflight("mongodb_setup.authentication: enabled: true needs a username and a password")
    hide(password)
    return User(authentication.username, password)
