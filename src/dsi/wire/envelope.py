"""What stands beside a command in its object: all that level 2 adds, and all of it asked for by the client."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dsi.errors import InvalidCommand
from dsi.suggest import closest

Id = str | int
"""A client's own name for a command: text, or a whole number."""

MAX_ID_CHARS: Final = 256
"""Of ids and retry_ids: an id comes back in every line about its command. A UUID has 36."""

MAX_MARK_CHARS: Final = 1024

KEYS: Final[Mapping[str, str]] = {
    "id": f"Text (at most {MAX_ID_CHARS} characters) or a whole number of 64 bits. "
    "The reply begins with it, and has `results`.",
    "stream": "`true`: output comes as it appears, before the reply. Needs an `id`.",
    "timeout": "Seconds, or text like `1m30s`, from the command's start. Past it the command is ended on the hosts.",
    "retry_id": f"Text (at most {MAX_ID_CHARS} characters). In one test it is never started twice: "
    "asked for again, it gives the first outcome.",
}
"""What may stand beside a command. The tables of docs/dsisocket.md are made from here."""

CONTROLS: Final[Mapping[str, str]] = {
    "cancel": "Ends the command with this id that runs or waits: this connection's first, else the only one elsewhere.",
    "mark": "Writes a named instant into `reports/timeline.jsonl`.",
    "describe": "Gives a `description`: protocol level, test, hosts, nodes with their present roles, commands allowed.",
    "auth": "Shows the token. Where none is configured this is `OK`, too. With an `id`, `description.journal` names "
    "this test's [retry_ids](#never-twice-retry_id).",
}
"""Commands that dsi itself answers, at once."""

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)
_MAX_TIMEOUT_S = 366 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A command and what the client wants around it. `control` is its key where it is one of `CONTROLS`."""

    command: Mapping[str, Any]
    id: Id | None = None
    stream: bool = False
    timeout_s: float | None = None
    retry_id: str | None = None

    @property
    def control(self) -> str | None:
        """The key of a command that dsi itself answers, else None."""
        key = next(iter(self.command), None)
        return key if len(self.command) == 1 and key in CONTROLS else None


def open_envelope(value: Any) -> Envelope:
    """Part a JSON object into the command and what stands beside it.

    Raises:
        InvalidCommand: what is beside the command is wrong; the command itself is looked at elsewhere.
    """
    if not isinstance(value, dict):
        raise InvalidCommand('a command is a JSON object with one key, like {"on_workload_client": {"exec": "uptime"}}')
    beside = {key: value[key] for key in KEYS if key in value}
    command = {key: item for key, item in value.items() if key not in KEYS}
    _insist_on_known_keys(command)
    envelope = Envelope(
        command=command,
        id=read_id(value),
        stream=_read(beside, "stream", _stream) or False,
        timeout_s=_read(beside, "timeout", _timeout_s),
        retry_id=_read(beside, "retry_id", _retry_id),
    )
    if envelope.stream and envelope.id is None:
        raise InvalidCommand("stream needs an id: each line of the stream begins with it", path="stream")
    if envelope.control is not None:
        _check_control(envelope.control, envelope.command[envelope.control], beside)
    return envelope


def read_id(value: Any) -> Id | None:
    """Give the id that stands in a JSON value; None where there is none.

    Raises:
        InvalidCommand: it can be none.
    """
    return _id(value["id"], "id") if isinstance(value, dict) and "id" in value else None


def insist_on_unicode(value: Any, text: str) -> None:
    """Refuse half a surrogate pair: `json` reads it from an escape, and no host, log or file can be given it.

    Raises:
        InvalidCommand
    """
    if "\\u" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as problem:
        half = ascii(problem.object[problem.start])
        raise InvalidCommand(f"{half} is half a surrogate pair: write both halves, or the character") from problem


def keys_table() -> str:
    """Write the table of the keys beside a command in Markdown, as it stands in docs/dsisocket.md."""
    return _table("key", KEYS)


def controls_table() -> str:
    """Write the table of the commands that dsi itself answers in Markdown, as it stands in docs/dsisocket.md."""
    return _table("command", CONTROLS)


def _table(head: str, rows: Mapping[str, str]) -> str:
    return (
        "\n".join([f"| {head} | |", "| --- | --- |", *(f"| `{key}` | {text} |" for key, text in rows.items())]) + "\n"
    )


def _insist_on_known_keys(command: Mapping[str, Any]) -> None:
    """Where there is more than one command, one may be a misspelt key; else the command's own check will say it."""
    if len(command) < 2:
        return
    for key in command:
        near = closest(key, KEYS)
        if near is not None and not key.startswith("on_"):
            message = f'no key "{key}" can stand beside a command (did you mean "{near}"?)'
            raise InvalidCommand(message, path=key, allowed=list(KEYS))


def _read(beside: Mapping[str, Any], key: str, read: Callable[[Any], Any]) -> Any:
    return read(beside[key]) if key in beside else None


def _id(value: Any, path: str) -> Id:
    is_text = isinstance(value, str) and len(value) <= MAX_ID_CHARS
    is_number = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    if not is_text and not is_number:
        raise InvalidCommand(
            f"{path} is text of at most {MAX_ID_CHARS} characters, or a whole number of 64 bits", path=path
        )
    return value  # type: ignore[no-any-return]


def _stream(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidCommand("stream is true or false", path="stream")
    return value


def _timeout_s(value: Any) -> float:
    seconds = _seconds_of(value)
    if seconds is None or not 0 < seconds <= _MAX_TIMEOUT_S:  # a comparison with NaN is false
        given = json.dumps(value)[:100]
        raise InvalidCommand(
            f'timeout: {given} is no time to wait: write seconds (90), or text like "1m30s", more than 0 and '
            "at most a year",
            path="timeout",
        )
    return seconds


def _seconds_of(value: Any) -> float | None:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if not value or match is None or len(value) > MAX_ID_CHARS:
            return None
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _MAX_TIMEOUT_S else math.inf


def _retry_id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS:
        raise InvalidCommand(f"retry_id is text of 1 to {MAX_ID_CHARS} characters", path="retry_id")
    return value


def _check_control(key: str, argument: Any, beside: Mapping[str, Any]) -> None:
    strange = next((name for name in beside if name != "id"), None)
    if strange is not None:
        raise InvalidCommand(f"{strange} can't stand beside {key}: it is answered at once", path=strange)
    match key:
        case "cancel":
            _id(argument, "cancel")
        case "mark" if not isinstance(argument, str) or not 0 < len(argument) <= MAX_MARK_CHARS:
            raise InvalidCommand(f"mark is text of 1 to {MAX_MARK_CHARS} characters", path=key)
        case "describe" if argument not in ({}, None):
            raise InvalidCommand("describe takes an empty object: {}", path=key)
        case "auth" if not isinstance(argument, str):
            raise InvalidCommand("auth is the token, as text", path=key)
