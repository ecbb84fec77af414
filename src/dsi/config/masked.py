"""YAML without its secrets: what is left loads, and holds the same but for them; only values and comments are touched.

By its place a value is a secret under the name of one (`password`, `token`), and all text is below `runtime_secret`;
elsewhere by its text, if it isn't a mere word (see `masking`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import events as yaml
from ruamel.yaml.error import YAMLError

from dsi.config.files import NEEDS_ESCAPES, events_of
from dsi.config.models import AUTO_TOKEN
from dsi.config.scalars import plain
from dsi.masking import EVERYWHERE, MASK, Masking, is_secret_name

_SECRETS: Final = "runtime_secret"
_PERHAPS: Final = re.compile(rf"password|token|{_SECRETS}|\\[xuU]", re.IGNORECASE)
"""Where none of it stands, and no secret as it is, nothing need be read: reading is slow."""
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
_COMMENTED_OUT: Final = re.compile(r"((?:password|token)['\"]?\s*[:=]\s*)(\S.*)", re.IGNORECASE)
_ANCHOR_AND_TAG: Final = re.compile(r"(?:[&!]\S*\s+)+")


def masked_yaml(text: str, at: Sequence[str] = (), *, masking: Masking = EVERYWHERE) -> str:
    """Give YAML with `***` in the place of each secret. What is no YAML (a template, say) is masked as any text.

    `at`: the path at which it stands in the tree, where it isn't a whole file. `masking` knows the secrets.
    """
    in_one_line = " ".join(text.split())
    if masking.masked(in_one_line) == in_one_line and not _PERHAPS.search(" ".join([text, *at])):
        return text
    reader = _Reader(masking, at)
    try:
        scalars = list(reader.scalars(text))
        wanted = [scalar.wanted for scalar in scalars]
        for keep_blocks in (True, False):  # in the form of a block where that will do, since people read it
            found = reader.put_together(text, scalars, keep_blocks=keep_blocks)
            again = scalars if found == text else reader.scalars(found)
            if [scalar.value for scalar in again] == wanted:
                return found
    except YAMLError:
        pass
    return masking.masked(text)


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A scalar, where its source begins and ends (anchor and tag with it), and what it is to be."""

    value: str
    wanted: str
    begin: int
    end: int
    is_block: bool


@dataclass(slots=True)
class _Around:
    """A mapping (`next_is_key` None: a list) around a value, and whether all that is in it is secret."""

    secret: bool
    next_is_key: bool | None
    key: str


class _Reader:
    """Finds the scalars of a text, and puts others in their places."""

    def __init__(self, masking: Masking, at: Sequence[str]) -> None:
        self._masking = masking
        self._at = at

    def scalars(self, text: str) -> Iterator[_Scalar]:
        """Give the scalars in their order.

        Raises:
            YAMLError: it is no YAML.
        """
        around = [_Around(_SECRETS in self._at[:1], None, self._at[-1] if self._at else "")]
        for event in events_of(text):
            inner = around[-1]
            if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                secret = inner.secret or (len(around) == 2 and not self._at and inner.key == _SECRETS)
                key = "" if isinstance(event, yaml.MappingStartEvent) else inner.key
                around.append(_Around(secret, isinstance(event, yaml.MappingStartEvent) or None, key))
                continue
            if isinstance(event, yaml.ScalarEvent):
                yield self._scalar(event, inner)
                inner.key = event.value if inner.next_is_key else inner.key
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                around.pop()
            elif not isinstance(event, yaml.AliasEvent):
                continue
            if around[-1].next_is_key is not None:
                around[-1].next_is_key = not around[-1].next_is_key

    def put_together(self, text: str, scalars: Sequence[_Scalar], *, keep_blocks: bool) -> str:
        """Give the text with its scalars as they are to be, and with masked comments."""
        parts: list[str] = []
        done = 0
        for scalar in scalars:
            parts.append(_COMMENT.sub(self._comment, text[done : scalar.begin]))
            parts.append(self._source(text[scalar.begin : scalar.end], scalar, keep_block=keep_blocks))
            done = scalar.end
        return "".join([*parts, _COMMENT.sub(self._comment, text[done:])])

    def _scalar(self, event: Any, around: _Around) -> _Scalar:
        return _Scalar(
            value=event.value,
            wanted=event.value if around.next_is_key else self._wanted(event, around),
            begin=event.start_mark.index,
            end=event.end_mark.index,
            is_block=event.style in ("|", ">"),
        )

    def _wanted(self, event: Any, around: _Around) -> str:
        value: str = event.value
        if not _is_secret(event, around):
            return self._masking.masked_but_words(value)
        # A reference is no secret; the text around one may be.
        return self._masking.masked(value) if "${" in value else MASK

    def _comment(self, found: "re.Match[str]") -> str:
        text = self._masking.masked_but_words(found[0])
        return _COMMENTED_OUT.sub(lambda value: value[1] + self._masking.masked(value[2]), text)

    def _source(self, source: str, scalar: _Scalar, *, keep_block: bool) -> str:
        if scalar.value == scalar.wanted:
            return source
        if scalar.is_block and keep_block and scalar.wanted != MASK:
            return self._masking.masked_but_words(source)
        before = _ANCHOR_AND_TAG.match(source)
        anchors = [word for word in (before[0].split() if before else []) if word.startswith("&")]
        return " ".join([*anchors, _quoted(scalar.wanted)]) + source[len(source.rstrip()) :]


def _is_secret(event: Any, around: _Around) -> bool:
    value = _value(event)
    if value is None or isinstance(value, bool) or value in ("", AUTO_TOKEN):
        return False
    return is_secret_name(around.key) or (around.secret and isinstance(value, str))


def _value(event: Any) -> object:
    try:
        return plain(event.value) if event.implicit[0] else event.value
    except ValueError:  # a number of thousands of digits
        return event.value


def _quoted(text: str) -> str:
    if "\n" not in text and not NEEDS_ESCAPES.search(text):
        return "'" + text.replace("'", "''") + "'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + NEEDS_ESCAPES.sub(lambda found: f"\\U{ord(found[0]):08x}", escaped) + '"'
