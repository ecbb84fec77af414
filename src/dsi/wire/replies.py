"""What dsi answers → bytes: replies, and the events of a stream. One line of ASCII each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from dsi.errors import MAX_MESSAGE_BYTES
from dsi.wire.codes import Code
from dsi.wire.envelope import Id

OK_MESSAGE: Final = "I think the command might have succeeded."
"""What the original document promises for each success."""

Event = Literal["output", "waiting"]

EVENTS: Final[Mapping[Event, str]] = {
    "output": "`host` wrote `data` to `stream` (`stdout` or `stderr`). All of it comes, in the order of each stream.",
    "waiting": "The command waits until another, `for`, no longer changes the cluster; once for each before it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a command.

    `results` has one mapping per host (host, exit_code, stdout, stderr, duration_s); `detail` is what an error has
    more to say than fits its message; `description` is the answer to `describe`, and to `auth`.
    """

    code: Code
    message: str = OK_MESSAGE
    results: Sequence[Mapping[str, Any]] = ()
    detail: str | None = None
    description: Mapping[str, Any] | None = None


def encode_reply(outcome: Outcome, id_: Id | None = None) -> bytes:
    r"""Write one reply: one line of ASCII (other characters as `\uXXXX`, so that any terminal and locale can show it).

    The message's newlines are shown as `\n`; of more than `MAX_MESSAGE_BYTES` the beginning is kept. Without an id it
    has the form of level 1.
    """
    reply: dict[str, Any] = {} if id_ is None else {"id": id_}
    reply |= {"status_code": outcome.code.number, "status": outcome.code.name, "message": shown(outcome.message)}
    if id_ is not None:
        reply["results"] = list(outcome.results)
        if outcome.detail is not None:
            reply["detail"] = outcome.detail
    if outcome.description is not None:
        reply["description"] = outcome.description
    return _line(reply)


def encode_event(id_: Id, event: Event, **fields: Any) -> bytes:
    """Write one event of a command's stream."""
    return _line({"id": id_, "event": event, **fields})


def shown(message: str) -> str:
    r"""Give a message as a reply shows it: newlines as `\n`, at most `MAX_MESSAGE_BYTES`."""
    return message.replace("\n", "\\n").encode(errors="backslashreplace")[:MAX_MESSAGE_BYTES].decode(errors="ignore")


def events_table() -> str:
    """Write the table of events in Markdown, as it stands in docs/dsisocket.md."""
    rows = ["| `event` | meaning |", "| --- | --- |", *(f"| `{event}` | {text} |" for event, text in EVENTS.items())]
    return "\n".join(rows) + "\n"


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
