"""Two layers of a configuration → one.

A mapping is merged key by key; anything else on top replaces what is below. Only overrides reach into
lists, by position.
A reference on top is a leaf like any other; a mapping on top of a reference is laid over what the reference stands for.
"""

from dataclasses import dataclass, replace

from dsi.config import references
from dsi.config.nodes import Concrete, Layered, ListNode, MappingNode, Node, Path, Scalar, join, kind
from dsi.model import Problem


@dataclass(frozen=True)
class Merge:
    """How to merge. `problems` collects overrides that don't fit what they override."""

    override: bool
    problems: list[Problem]

    def merge(self, over: Node, under: Node, at: Path = ()) -> Node:
        """Lay one node over another, both at this path."""
        if self.override and _is_null(over):
            return under
        if _is_open(over) or _is_open(under):
            return self._with_reference(over, under, at)
        assert not isinstance(over, Layered)
        assert not isinstance(under, Layered)
        if isinstance(over, MappingNode) and isinstance(under, MappingNode):
            return self._mappings(over, under, at)
        if not self.override:
            return over
        if isinstance(over, ListNode) and isinstance(under, ListNode):
            return self._lists(over, under, at)
        self._check_fit(over, under, at)
        return without_nulls(replace(over, replaced=under.position))

    def _with_reference(self, over: Node, under: Node, at: Path) -> Node:
        merges = isinstance(over, MappingNode | Layered) or (self.override and isinstance(over, ListNode))
        if merges and not (isinstance(under, Scalar) and not _is_open(under)):
            return Layered(over, under, self.override)
        if isinstance(over, Scalar) and self.override:
            return replace(over, replaced=under.position)
        return over

    def _mappings(self, over: MappingNode, under: MappingNode, at: Path) -> MappingNode:
        entries = dict(under.entries)
        for key, value in over.entries.items():
            if key in entries:
                entries[key] = self.merge(value, entries[key], (*at, key))
            elif not (self.override and _is_null(value)):
                entries[key] = without_nulls(value) if self.override else value
        first, second = (under, over) if self.override else (over, under)
        return MappingNode(entries, first.position or second.position, keys=under.keys | over.keys)

    def _lists(self, over: ListNode, under: ListNode, at: Path) -> ListNode:
        items = list(under.items)
        for index, value in enumerate(over.items):
            if index < len(under.items):
                items[index] = self.merge(value, items[index], (*at, str(index)))
            elif not _is_null(value):
                items.append(without_nulls(value))
        return ListNode(tuple(items), under.position)

    def _check_fit(self, over: Concrete, under: Concrete, at: Path) -> None:
        if isinstance(over, Scalar) and isinstance(under, Scalar):
            return
        if isinstance(under, Scalar) and under.value in (None, ""):
            return  # an empty default stands for "none", whatever belongs there
        self.problems.append(
            Problem(
                message=f"{kind(over)} can't override {kind(under)} ({under.position})",
                path=join(at),
                position=over.position,
            )
        )


def without_nulls(node: Node) -> Node:
    """Leave out what an override doesn't override where there is nothing below it."""
    if isinstance(node, MappingNode):
        entries = {key: without_nulls(value) for key, value in node.entries.items() if not _is_null(value)}
        return replace(node, entries=entries)
    if isinstance(node, ListNode):
        return replace(node, items=tuple(without_nulls(item) for item in node.items if not _is_null(item)))
    return node


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _is_open(node: Node) -> bool:
    """Tell whether what it is will be known only when it is read."""
    if isinstance(node, Scalar):
        return isinstance(node.value, str) and references.whole(node.value) is not None
    return isinstance(node, Layered)
