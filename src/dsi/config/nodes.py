"""What a configuration is made of once it has been read: values that know where they were written."""

from dataclasses import dataclass, field

from dsi.model import Position

Plain = str | int | float | bool | None
Path = tuple[str, ...]
"""A place in the tree: `("mongodb_setup", "topology", "0", "id")`."""


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """Text, a number, true or false, or null. `replaced`: where the value stands that this one overrides."""

    value: Plain
    position: Position | None = None
    replaced: Position | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MappingNode:
    """A mapping; `keys` says where each key was written."""

    entries: "dict[str, Node]"
    position: Position | None = None
    replaced: Position | None = None
    keys: dict[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A list."""

    items: "tuple[Node, ...]"
    position: Position | None = None
    replaced: Position | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Layered:
    """Two layers of which one is a reference: put together when they are read, since what it is is known only then."""

    over: "Node"
    under: "Node"
    override: bool = False

    @property
    def position(self) -> Position | None:
        """Where the upper one was written."""
        return self.over.position or self.under.position


Node = Scalar | MappingNode | ListNode | Layered
Concrete = Scalar | MappingNode | ListNode


def kind(node: Concrete) -> str:
    """Say what it is: `text`, `a mapping` …"""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    return kind_of_value(node.value)


def kind_of_value(value: object) -> str:
    """Say what a plain value is."""
    for types, name in (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "text"),
        (dict, "a mapping"),
        (list, "a list"),
    ):
        if isinstance(value, types):
            return name
    return "null"


def from_value(value: object) -> Concrete:
    """Make nodes of a plain Python value; they have no position."""
    if isinstance(value, dict):
        return MappingNode({str(key): from_value(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return ListNode(tuple(from_value(item) for item in value))
    assert value is None or isinstance(value, str | int | float | bool), f"no configuration value: {value!r}"
    return Scalar(value)


def split(path: str) -> Path:
    """`a.b.0` → its parts."""
    return tuple(path.split(".")) if path else ()


def join(path: Path) -> str:
    """Give the path as people write it."""
    return ".".join(path)
