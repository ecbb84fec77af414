"""Numbers as benchmarks write them."""

import math
import re
from typing import Any, Final

LARGEST: Final = 1e300
"""What is larger is no measurement, and the sum of two such would be infinite."""

_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_LONGEST = 100


def number(text: str) -> float:
    """Read `12`, `1.5`, `1e6`, `12,345.6`.

    Raises:
        ValueError: it is no number, or not a finite one (`nan`, `inf`); says so in few words.
    """
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if len(text) > _LONGEST or not (_PLAIN.fullmatch(text) or _THOUSANDS.fullmatch(text)):
        raise ValueError(f"{shown!r} is no number")
    value = float(text.replace(",", ""))
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"{shown!r} is too large")
    return value


def number_in(mapping: Any, *keys: str) -> float:
    """Give the number at this place of a JSON document.

    Raises:
        ValueError: there is none; says where.
    """
    value = mapping
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    place = ".".join(keys)
    if isinstance(value, str):
        return number(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LARGEST or math.isnan(value):
        raise ValueError(f"{place} is no number" if value is not None else f"there is no {place}")
    return float(value)


def count(text: str) -> int:
    """Read a number of threads.

    Raises:
        ValueError: it is no whole number from 1.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise ValueError(f"{text[:_LONGEST]!r} is no number of threads")
    return int(text)
