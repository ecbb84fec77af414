"""When the commands of `during_test` run. Pure: no clock, no I/O."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from dsi.errors import InvalidCommand

T = TypeVar("T")

_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})")


def split_at(raw: Any) -> tuple[int, Any]:
    """Part an entry of `during_test` into when it runs (whole seconds after the test's start) and the command.

    `at` is `hh:mm:ss`, `mm:ss`, or a whole number of seconds; YAML 1.1 has read an unquoted `1:30` as 90 already, which
    is the same.

    Raises:
        InvalidCommand: there is no `at`, or it is none of these.

    """
    if not isinstance(raw, Mapping):
        _refuse("an entry of during_test is a mapping with `at` and one command")
    if "at" not in raw:
        _refuse("an entry of during_test needs `at`: when to run it, hh:mm:ss after the start of the test")
    return _seconds(raw["at"]), {key: value for key, value in raw.items() if key != "at"}


def by_time(entries: Sequence[tuple[int, T]]) -> list[tuple[int, T]]:
    """Order entries by time; those of one time stay in the order written."""
    return sorted(entries, key=lambda entry: entry[0])


def _seconds(at: Any) -> int:
    if isinstance(at, int) and not isinstance(at, bool) and at >= 0:
        return at
    match = _CLOCK.fullmatch(at.strip()) if isinstance(at, str) else None
    if match is None:
        if isinstance(at, str) and at.strip().isdecimal():
            return int(at)
        _refuse(f"at: {at!r} is no time: write hh:mm:ss, mm:ss, or a whole number of seconds", path="at")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if (minutes > 59 and match.group(1)) or seconds > 59:
        _refuse(f"at: {at!r} has more than 59 minutes or seconds", path="at")
    return hours * 3600 + minutes * 60 + seconds


def _refuse(message: str, path: str = "") -> NoReturn:
    raise InvalidCommand(message, path=path)
