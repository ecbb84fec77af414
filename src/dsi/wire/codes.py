"""The one table of what a reply can say; that of docs/dsisocket.md is made from it."""

import enum


class Code(enum.Enum):
    """Every status that a reply can have: number, meaning, and whether the command definitely did not happen.

    "A definite error means that the requested operation definitely did not (and never will) happen" (Maelstrom).
    """

    OK = (0, "The command succeeded on every host.", False)
    JSON_ERROR = (1, "The line is no JSON. The message is that of Python's `json`; its columns count characters.", True)
    EXECUTION_ERROR = (2, "It is JSON, but no valid command (nothing was run), or the command failed.", False)
    TIMEOUT = (
        3,
        "It took longer than its `timeout`, and was ended on the hosts. What it had done by then stays.",
        False,
    )
    CANCELLED = (4, "It was ended by `cancel`, or by the end of the test. What it had done by then stays.", False)
    UNAUTHORIZED = (5, "The connection has not shown the token. Nothing was run.", True)
    UNKNOWN = (6, "It was begun; how it ended can't be known, since dsi or a host went away in between.", False)

    def __init__(self, number: int, meaning: str, definite: bool) -> None:
        self.number = number
        self.meaning = meaning
        self.definite = definite


def codes_table() -> str:
    """Write the table of codes in Markdown, as it stands in docs/dsisocket.md."""
    rows = [
        "| `status_code` | `status` | meaning | the command definitely did not happen |",
        "| --- | --- | --- | --- |",
    ]
    rows += [
        f"| {code.number} | `{code.name}` | {code.meaning} | {'yes' if code.definite else 'no'} |" for code in Code
    ]
    return "\n".join(rows) + "\n"
