"""Plain scalars as YAML 1.1 has them, in the dialect of PyYAML, for which the users' files were written.

It differs from the YAML 1.1 types (https://yaml.org/type/) in small things that files have come to depend on: `y` and
`n` are text, a float needs a dot, and the sign of its exponent.
"""

import re
from typing import Final

from dsi.config.nodes import Plain

_WORDS: Final[dict[str, Plain]] = {
    **{form: True for word in ("yes", "true", "on") for form in (word, word.capitalize(), word.upper())},
    **{form: False for word in ("no", "false", "off") for form in (word, word.capitalize(), word.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_INT = re.compile(
    r"[-+]?(?:(?P<binary>0b[01_]+)|(?P<hex>0x[0-9a-fA-F_]+)|(?P<octal>0[0-7_]+)"
    r"|(?P<sixty>[1-9][0-9_]*(?::[0-5]?[0-9])+)|0|[1-9][0-9_]*)"
)
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|(?P<sixty>[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)"
    r"|\.(?P<infinite>inf|Inf|INF))|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\.(?P<nan>nan|NaN|NAN)"
)


def plain(text: str) -> Plain:
    """Give the value of a scalar that stands without quotes: `off` → False, `0755` → 493, `1:30` → 90.

    Dates stay text: a configuration has none.

    Raises:
        ValueError: a number with more digits than Python reads.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    if match := _INT.fullmatch(text):
        return _integer(text, match)
    if match := _FLOAT.fullmatch(text):
        return _float(text, match)
    return text


def _integer(text: str, match: re.Match[str]) -> int:
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").replace("_", "")
    if match["binary"]:
        return sign * int(digits, 2)
    if match["hex"]:
        return sign * int(digits, 16)
    if match["octal"]:
        return sign * int(digits, 8)
    if match["sixty"]:
        return sign * int(_sexagesimal(digits))
    return sign * int(digits)


def _float(text: str, match: re.Match[str]) -> float:
    sign = -1.0 if text[0] == "-" else 1.0
    digits = text.lstrip("+-").replace("_", "")
    if match["nan"]:
        return float("nan")
    if match["infinite"]:
        return sign * float("inf")
    if match["sixty"]:
        return sign * _sexagesimal(digits)
    return sign * float(digits)


def _sexagesimal(digits: str) -> float:
    total: float = 0
    for part in digits.split(":"):
        total = total * 60 + (float(part) if "." in part else int(part))
    return total
