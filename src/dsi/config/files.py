"""One YAML file → nodes with positions, with everything that is wrong in its form. The only user of the YAML library.

The library's scanner is used, but not its constructor: values are PyYAML's (see `scalars`), which the users' files were
written for, and each knows its line and column.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml import events as yaml
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.representer import SafeRepresenter

from dsi.config.nodes import ListNode, MappingNode, Node, Plain, Scalar
from dsi.config.scalars import plain
from dsi.errors import ConfigError
from dsi.model import Position, Problem

MAX_DEPTH: Final = 100
"""Deeper nesting is refused: nobody writes it, and it would end in a RecursionError."""

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*|on_[A-Za-z][A-Za-z0-9_-]*\.[0-9]+")
_KEY_RULE = "keys are text: letters, digits, - and _, beginning with a letter"
_VALUE_RULE = "values are text, numbers, true, false, null, lists and mappings"
NEEDS_ESCAPES = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""Line ends other than \\n, and what YAML doesn't allow as it is."""
_TAG: Final = "tag:yaml.org,2002:"


@dataclass
class FileContent:
    """What a file holds. `root` is None where it couldn't be read to its end."""

    name: str
    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def read_file(path: Path, name: str, *, check_names: bool = True) -> FileContent:
    """Read one file; an empty one is an empty mapping.

    Args:
        path: where it is.
        name: what positions call it.
        check_names: whether keys must be well-formed, and text mustn't be `None`. Not so in what programs wrote.
    """
    content = FileContent(name)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        lines = problem.object[: problem.start].split(b"\n")
        where = Position(name, len(lines), len(lines[-1]) + 1)
        content.problems.append(Problem(message="this is no UTF-8: save the file as UTF-8", position=where))
        return content
    except OSError as problem:
        content.problems.append(Problem(message=f"{name} can't be read: {problem.strerror}"))
        return content
    try:
        content.root = _Composer(content, events_of(text), check_names).document()
    except YAMLError as problem:
        content.problems.append(_syntax_problem(problem, name, text))
    except ConfigError as problem:
        content.problems += problem.problems
    return content


def events_of(text: str) -> Iterator[Any]:
    """Give the library's events of a text.

    Raises:
        YAMLError: while they are taken: it is no YAML.
    """
    parser = YAML(typ="safe", pure=True)
    parser.version = "1.1"
    events: Iterator[Any] = parser.parse(text)
    return events


def dump(value: Any) -> str:
    """Write a mapping or list of plain Python values as YAML that means the same to readers of YAML 1.1 and of 1.2.

    Anything else is written too, for people to read.
    """
    writer = YAML(typ="safe", pure=True)
    writer.version = "1.1"
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared None, meant so
    writer.width = 4096
    writer.Representer = _Representer
    stream = io.StringIO()
    writer.dump(value, stream)
    # Without the marks of a document's beginning and end, which a file of one document can do without.
    text = stream.getvalue().removeprefix("%YAML 1.1\n---")[1:]
    return text.removesuffix("...\n") if text.endswith("\n...\n") else text


class _Representer(SafeRepresenter):
    """Writes longer texts as people do."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what occurs twice two times: readers in other languages needn't know anchors."""
        return True


def _represent_text(representer: SafeRepresenter, text: str) -> Any:
    style = '"' if NEEDS_ESCAPES.search(text) else "|" if "\n" in text else None
    return representer.represent_scalar(f"{_TAG}str", text, style=style)


_Representer.add_representer(str, _represent_text)


def _syntax_problem(problem: YAMLError, name: str, text: str) -> Problem:
    if isinstance(problem, MarkedYAMLError) and problem.problem_mark is not None:
        mark = problem.problem_mark
        message = ", ".join(part for part in (problem.context, problem.problem) if part)
        return Problem(message=f"this is no YAML: {message}", position=Position(name, mark.line + 1, mark.column + 1))
    # The reader's own error: a character that YAML doesn't allow; `position` counts characters.
    before = text[: getattr(problem, "position", 0)].split("\n")
    reason = f"{getattr(problem, 'reason', problem)}: #x{getattr(problem, 'character', 0):04x}"
    return Problem(message=f"this is no YAML: {reason}", position=Position(name, len(before), len(before[-1]) + 1))


class _Composer:
    """Makes nodes of the library's events."""

    def __init__(self, content: FileContent, events: Iterator[Any], check_names: bool) -> None:
        self._content = content
        self._events = events
        self._check_names = check_names
        self._anchors: dict[str, Node | None] = {}

    def document(self) -> Node:
        """Give the file's one document."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._problem(event, "", "one file holds one document: remove what begins with this ---")
                    return root
            elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
                root = self._node(event, ())
        if root is None or (isinstance(root, Scalar) and root.value is None):
            return MappingNode({}, Position(self._content.name, 1, 1))
        return root

    def _node(self, event: Any, at: tuple[str, ...]) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, at)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node: Node = Scalar(self._scalar(event, at), self._position(event))
        elif len(at) > MAX_DEPTH:
            raise ConfigError([self._make(event, at[:5], f"nested more than {MAX_DEPTH} deep")])
        elif isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, "seq", at)
            node = ListNode(tuple(self._items(at)), self._position(event))
        else:
            self._check_tag(event, "map", at)
            node = self._mapping(event, at)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, at: tuple[str, ...]) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            known = event.anchor in self._anchors
            self._problem(event, at, f"*{event.anchor} " + ("contains itself" if known else "was not defined before"))
            return Scalar(None, self._position(event))
        return node

    def _items(self, at: tuple[str, ...]) -> Iterator[Node]:
        index = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, (*at, str(index)))
            index += 1

    def _mapping(self, start: Any, at: tuple[str, ...]) -> MappingNode:
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        merged: list[MappingNode] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if _is_merge(event):
                merged += self._merged(event, at)
                continue
            key = self._key(event, at)
            value = self._node(next(self._events), (*at, key))
            if key in entries:
                self._warn(event, (*at, key), f"written twice; the first, at {keys[key]}, is not used")
            entries[key], keys[key] = value, self._position(event)
        for base in merged:
            entries = base.entries | entries
            keys = base.keys | keys
        return MappingNode(entries, self._position(start), keys=keys)

    def _merged(self, event: Any, at: tuple[str, ...]) -> list[MappingNode]:
        """Give what `<<` brings in, the strongest first; its own keys are stronger still."""
        node = self._node(next(self._events), at)
        found = node.items if isinstance(node, ListNode) else (node,)
        bases = [base for base in found if isinstance(base, MappingNode)]
        if len(bases) != len(found):
            self._problem(event, at, "<< takes a mapping, or a list of mappings")
        return bases

    def _key(self, event: Any, at: tuple[str, ...]) -> str:
        node = self._node(event, (*at, "?"))
        if not isinstance(node, Scalar):
            self._problem(event, at, f"{_KEY_RULE}; this is a list or a mapping")
            return "?"
        if isinstance(node.value, str):
            if self._check_names and not _KEY.fullmatch(node.value):
                self._problem(event, (*at, node.value), _KEY_RULE)
            return node.value
        written = str(getattr(event, "value", node.value))
        if self._check_names:
            self._problem(event, (*at, written), f'{_KEY_RULE}; {written} is {_word(node.value)}: write "{written}"')
        return written

    def _scalar(self, event: Any, at: tuple[str, ...]) -> Plain:
        tag = str(event.tag or "")
        try:
            if tag.startswith(_TAG):
                value = _tagged(tag.removeprefix(_TAG), event.value)
            elif tag not in ("", "!"):
                raise ValueError
            else:
                value = plain(event.value) if event.implicit[0] else event.value
        except ValueError:
            self._problem(event, at, f"{_VALUE_RULE}, not {tag.replace(_TAG, '!!') or 'such a number'}")
            return None
        if value == "None" and self._check_names:
            self._problem(event, at, "None is text here: write null")
        return value

    def _check_tag(self, event: Any, name: str, at: tuple[str, ...]) -> None:
        tag = str(event.tag or "!")
        if tag not in ("!", _TAG + name):
            self._problem(event, at, f"{_VALUE_RULE}, not {tag.replace(_TAG, '!!')}")

    def _position(self, event: Any) -> Position:
        return Position(self._content.name, event.start_mark.line + 1, event.start_mark.column + 1)

    def _make(self, event: Any, at: tuple[str, ...] | str, message: str, *, warning: bool = False) -> Problem:
        return Problem(message=message, path=".".join(at), position=self._position(event), warning=warning)

    def _problem(self, event: Any, at: tuple[str, ...] | str, message: str) -> None:
        self._content.problems.append(self._make(event, at, message))

    def _warn(self, event: Any, at: tuple[str, ...], message: str) -> None:
        self._content.warnings.append(self._make(event, at, message, warning=True))


def _is_merge(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and bool(event.implicit[0])


def _tagged(name: str, text: str) -> Plain:
    if name == "str":
        return text
    value = plain(text)
    types: dict[str, tuple[type, ...]] = {"int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),)}
    if (
        name not in types
        or not isinstance(value, types[name])
        or (name in ("int", "float") and isinstance(value, bool))
    ):
        raise ValueError(text)
    return float(value) if name == "float" and value is not None else value


def _word(value: Plain) -> str:
    return "a boolean" if isinstance(value, bool) else "null" if value is None else "a number"
