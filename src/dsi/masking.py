"""Secrets, kept out of whatever dsi writes for people: logs, errors, the timeline, the copies in `reports/`.

The one thing of this process that is known everywhere: who writes a log line can't know what others put into it, and
what is a secret once stays one.
"""

import json
import re
import urllib.parse

MIN_LENGTH = 4
"""A shorter secret is hidden in connection strings alone: elsewhere half of every text would go with it."""

MASK = "***"

_WORDS = frozenset(
    [
        "admin",
        "cluster",
        "config",
        "configsvr",
        "default",
        "localhost",
        "mongo",
        "mongod",
        "mongodb",
        "mongos",
        "mongosh",
        "none",
        "pass",
        "passwd",
        "password",
        "primary",
        "replica",
        "root",
        "secondary",
        "secret",
        "server",
        "shard",
        "standalone",
        "test",
        "token",
        "true",
        "user",
        "username",
        "workload",
    ]
)
"""Words of any configuration. As a password each is what everybody tries first: hiding it elsewhere hides nothing."""


def is_secret_name(key: str) -> bool:
    """Tell whether what a configuration has under such a key is a secret.

    Also `certificateKeyFilePassword`, `PEMKeyPassword`, and whatever else servers have.
    """
    return key.lower().endswith("password") or key.lower() == "token"


class Masking:
    """Knows secrets, and masks them."""

    def __init__(self) -> None:
        self._forms: set[str] = set()  # regular expressions
        self._words: set[str] = set()  # the same, for secrets that are words

    def hide(self, secret: str) -> None:
        """Have this text masked from now on, also as it looks in URLs, JSON, YAML, Python and shell text."""
        quoted = urllib.parse.quote(secret, safe="")
        if len(secret) < MIN_LENGTH or secret.lower() in _WORDS:
            self._forms.add(f"(?<=:){re.escape(quoted)}(?=@)")
            if len(secret) >= MIN_LENGTH:
                self._words.add(re.escape(secret))
            return
        shell, yaml, python = secret.replace("'", "'\"'\"'"), secret.replace("'", "''"), repr(secret)[1:-1]
        urls = quoted, urllib.parse.quote_plus(secret), urllib.parse.quote(secret)
        jsons = (json.dumps(secret, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False))
        self._forms.update(map(re.escape, (secret, shell, yaml, python, *urls, *jsons)))

    def masked(self, text: str) -> str:
        """Give a text with `***` in the place of each secret."""
        return _without(self._forms | self._words, text)

    def masked_but_words(self, text: str) -> str:
        """The same, but a secret such as `mongod` is masked in connection strings alone: else it is a mere word."""
        return _without(self._forms, text)

    def masked_value(self, value: object) -> object:
        """The same for all text in mappings and lists; keys stay."""
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, dict):
            return {key: self.masked_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.masked_value(item) for item in value]
        return value


def _without(forms: set[str], text: str) -> str:
    if not forms:
        return text
    # The longest first: else a secret that begins like another would leave its end behind.
    return re.sub("|".join(sorted(forms, key=lambda form: (-len(form), form))), MASK, text)


EVERYWHERE = Masking()
hide = EVERYWHERE.hide
masked = EVERYWHERE.masked
masked_value = EVERYWHERE.masked_value
