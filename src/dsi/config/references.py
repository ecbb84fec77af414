"""Text with `${…}` in it → its parts. Pure: what a reference stands for is found by `resolve`.

Shell text is full of `${…}` of its own. Ours are those whose path begins with the name of a stage; the rest is text.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

STAGES: Final = (
    "bootstrap",
    "runtime",
    "runtime_secret",
    "infrastructure_provisioning",
    "system_setup",
    "workload_setup",
    "mongodb_setup",
    "test_control",
    "analysis",
)
"""The names of the files, and the first part of every path, in the order of the lifecycle."""

_TOKENS = re.compile(r"(\$\{|\})")


@dataclass(frozen=True, slots=True)
class Reference:
    """`${…}`; its parts are the path, which may hold references itself."""

    parts: "Template"


Template = tuple[str | Reference, ...]
"""Text and references in turn; no two texts beside each other."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """Find the references. `${HOME}` and what isn't closed stay text, but a reference inside them is found.

    >>> parse("a ${HOME} ${bootstrap.platform}")
    ('a ${HOME} ', Reference(parts=('bootstrap.platform',)))
    """
    if "${" not in text:
        return (text,)
    open_braces: list[list[str | Reference]] = [[]]
    for piece in _TOKENS.split(text):
        if piece == "${":
            open_braces.append([])
        elif piece == "}" and len(open_braces) > 1:
            parts = _joined(open_braces.pop())
            open_braces[-1] += [Reference(parts)] if _may_be_ours(parts) else ["${", *parts, "}"]
        else:
            open_braces[-1].append(piece)
    while len(open_braces) > 1:
        unclosed = open_braces.pop()
        open_braces[-1] += ["${", *unclosed]
    return _joined(open_braces[0])


def whole(text: str) -> Reference | None:
    """Give the reference if it is all there is in the text."""
    template = parse(text)
    return template[0] if len(template) == 1 and isinstance(template[0], Reference) else None


def is_ours(path: str) -> bool:
    """Tell whether a path whose references are resolved is one of the tree."""
    return path.partition(".")[0] in STAGES


def show(template: Template) -> str:
    """Give the text that was parsed."""
    return "".join(part if isinstance(part, str) else f"${{{show(part.parts)}}}" for part in template)


def _may_be_ours(parts: Template) -> bool:
    """A path that begins with a reference is known only when that is resolved."""
    head = parts[0] if parts else ""
    return isinstance(head, Reference) or is_ours(head)


def _joined(parts: list[str | Reference]) -> Template:
    joined: list[str | Reference] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined) or ("",)
