"""Secrets, kept out of whatever dsi writes for people: logs, errors, the timeline, the copies in `reports/`.

The one thing of this process that is known everywhere: who writes a log line can't know what others put into it, and
what is a secret once stays one.
"""

import json
import re
import urllib.parse

MIN_LENGTH = 4
"""A shorter secret is hidden in connection strings alone: elsewhere half of every text would go with it."""

_MASK = "***"


class Masking:
    """Knows secrets, and masks them."""

    def __init__(self) -> None:
        self._forms: set[str] = set()  # regular expressions

    def hide(self, secret: str) -> None:
        """Have this text masked from now on, also as it looks in URLs, JSON, YAML, Python and shell text."""
        quoted = urllib.parse.quote(secret, safe="")
        if len(secret) < MIN_LENGTH:
            self._forms.add(f"(?<=:){re.escape(quoted)}(?=@)")
            return
        shell, yaml, python = secret.replace("'", "'\"'\"'"), secret.replace("'", "''"), repr(secret)[1:-1]
        urls = quoted, urllib.parse.quote_plus(secret), urllib.parse.quote(secret)
        jsons = (json.dumps(secret, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False))
        self._forms.update(map(re.escape, (secret, shell, yaml, python, *urls, *jsons)))

    def masked(self, text: str) -> str:
        """Give a text with `***` in the place of each secret."""
        return self._masked(text)

    def masked_yaml(self, text: str) -> str:
        """The same for YAML: a key that looks like a secret is none (`password: password`)."""
        return self._masked(text, followed_by=r"(?!:\s)")

    def masked_value(self, value: object) -> object:
        """The same for all text in mappings and lists; keys stay."""
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, dict):
            return {key: self.masked_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.masked_value(item) for item in value]
        return value

    def _masked(self, text: str, followed_by: str = "") -> str:
        if not self._forms:
            return text
        # The longest first: else a secret that begins like another would leave its end behind.
        forms = "|".join(sorted(self._forms, key=lambda form: (-len(form), form)))
        return re.sub(f"(?:{forms}){followed_by}", _MASK, text)


_everywhere = Masking()
hide = _everywhere.hide
masked = _everywhere.masked
masked_yaml = _everywhere.masked_yaml
masked_value = _everywhere.masked_value
