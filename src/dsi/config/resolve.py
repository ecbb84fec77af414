"""Paths and references → values, when they are read.

In a lenient reading what will exist later (an `out` before its stage has run) is `Unknown`; what is wrong is `Unknown`
too, and stands in `problems`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dsi.config import references
from dsi.config.assemble import PLACES, complete
from dsi.config.layers import Merge
from dsi.config.nodes import (
    Concrete,
    Layered,
    ListNode,
    MappingNode,
    Node,
    Path,
    Scalar,
    from_value,
    join,
    kind,
    split,
)
from dsi.config.references import Reference
from dsi.errors import ConfigError
from dsi.model import Position, Problem
from dsi.suggest import did_you_mean

MAX_REFERENCES: Final = 50
"""A longer chain of references is refused: it would end in a RecursionError."""

LATER: Final = ("mongodb_setup.authentication.password", "mongodb_setup.authentication.url.True")
"""Besides every stage's `out`: what dsi itself makes when a stage runs."""


class Unknown(str):
    """A value that can't be known yet; as text, what stands in its place in the file."""

    __slots__ = ()


class _Resolved(str):
    """Text in which nothing is left to resolve, whatever it looks like."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One reference on the way to a value: where it stands, and what it says."""

    path: str
    reference: str
    position: Position | None
    target: str


Chain = tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Computed:
    """What dsi works out itself at a path, laid under what the files say there."""

    path: Path
    compute: Callable[[], Any]
    cache: list[Node] = field(default_factory=list)
    failed: list[ConfigError] = field(default_factory=list)

    def node(self) -> Node:
        """Give it, worked out the first time.

        Raises:
            ConfigError: what it is worked out from isn't there.
        """
        if self.failed:
            raise self.failed[0]
        if not self.cache:
            try:
                self.cache.append(from_value(self.compute()))
            except ConfigError as problem:
                self.failed.append(problem)
                raise
        return self.cache[0]


class NotThere(LookupError):
    """No such key or element. `path` is the one that was asked for, `known` what there is instead."""

    def __init__(self, path: Path, message: str) -> None:
        self.path = path
        self.message = message
        super().__init__(message)


class _Failed(Exception):
    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems


class _Later(Exception):
    pass


@dataclass
class Reading:
    """Reads values of a tree. `trail` collects every reference that was followed, `problems` what is wrong.

    `later`: the ways, reference by reference, that ended at what will exist later.
    """

    root: MappingNode
    computed: tuple[Computed, ...]
    cache: dict[tuple[int, Path], tuple[Node, Concrete]]
    lenient: bool = False
    asked: str = ""
    problems: list[Problem] = field(default_factory=list)
    trail: list[Step] = field(default_factory=list)
    later: list[Chain] = field(default_factory=list)

    def value(self, path: Path) -> Any:
        """Give what stands at a path, references resolved, as plain Python values.

        Raises:
            NotThere: nothing does.
        """
        return self._guarded(path, lambda: self._deep(*self._find(path, ())))

    def node(self, path: Path) -> Concrete | None:
        """Give the mapping, list or scalar at a path, its elements unresolved; None if that can't be known.

        Raises:
            NotThere
        """
        found = self._guarded(path, lambda: self._concrete(*self._find(path, ()))[0])
        return found if isinstance(found, Concrete) else None

    def find(self, path: Path) -> None:
        """Walk to a path, and leave what stands there unresolved.

        Raises:
            NotThere
        """
        self._guarded(path, lambda: self._find(path, ()))

    def _guarded(self, path: Path, read: Callable[[], Any]) -> Any:
        self.asked = join(path)
        try:
            return read()
        except _Later:
            return Unknown(join(path))
        except _Failed as problem:
            self.problems += problem.problems
        except RecursionError:
            message = "too many references within references within mappings to follow"
            self.problems.append(Problem(message=message, path=join(path)))
        return Unknown(join(path))

    def _find(self, path: Path, chain: Chain) -> tuple[Node, Path, Chain]:
        """Walk from the root. What is on the way is looked through; what is at the end is given as it is."""
        node: Node = self.root
        at: Path = ()
        for part in path:
            found, at, _ = self._concrete(node, at, chain, towards=part)
            node, name = self._child(found, part, at, path)
            at = (*at, name)
        return node, at, chain

    def _child(self, node: Concrete, part: str, at: Path, path: Path) -> tuple[Node, str]:
        if isinstance(node, MappingNode):
            if part in node.entries:
                return node.entries[part], part
            where = f"{join(at)} has" if at else "there is"
            why = f": {at[0]}.out.yml is written by that stage" if part == "out" and len(at) == 1 else ""
            raise NotThere(path, f'{where} no key "{part}"{why or did_you_mean(part, node.entries)}')
        if isinstance(node, ListNode):
            index = _index(part, len(node.items))
            if index is not None:
                return node.items[index], str(index)
            raise NotThere(path, f'{join(at)} is a list of {len(node.items)}: it has no element "{part}"')
        if isinstance(node.value, Unknown):
            raise _Later
        raise NotThere(path, f'{join(at)} is {kind(node)}: it has no key "{part}"')

    def _concrete(self, node: Node, at: Path, chain: Chain, towards: str | None = None) -> tuple[Concrete, Path, Chain]:
        """Give what a node stands for, references followed and layers put together; where that is; how one gets there.

        `towards` is the key that will be looked up next: what dsi computes is worked out only if the files lack it.
        """
        if isinstance(node, Layered):
            found: Concrete = self._layered(node, at, chain)
        elif isinstance(node, Scalar):
            found, there, chain = self._followed(node, at, chain)
            if not self._is_special(at):
                return found, there, chain
        else:
            found = node
        if isinstance(found, MappingNode):
            found = self._completed(found, at, chain, towards)
        return found, at, chain

    def _followed(self, node: Scalar, at: Path, chain: Chain) -> tuple[Concrete, Path, Chain]:
        whole = references.whole(node.value) if isinstance(node.value, str) else None
        if whole is None:
            return node, at, chain
        target = self._path_of(whole, node, at, chain)
        if target is None:
            return Scalar(_Resolved(self._text(node, at, chain)), node.position), at, chain
        return self._concrete(*self._reach(target, self._step(node, at, whole, target, chain)))

    def _is_special(self, at: Path) -> bool:
        """Tell whether something is put together at this path, whatever the reference there stands for."""
        return at[:2] in PLACES or any(computed.path == at for computed in self.computed)

    def _layered(self, node: Layered, at: Path, chain: Chain) -> Concrete:
        known = self.cache.get((id(node), ()))
        if known is None:
            over, under = (self._concrete(layer, at, chain)[0] for layer in (node.over, node.under))
            problems: list[Problem] = []
            merged = Merge(node.override, problems).merge(over, under, at)
            if problems:
                raise _Failed(tuple(problems))
            known = self.cache[id(node), ()] = (node, self._concrete(merged, at, chain)[0])
        return known[1]

    def _completed(self, node: MappingNode, at: Path, chain: Chain, towards: str | None) -> MappingNode:
        for computed in self.computed:
            if computed.path == at and (towards is None or not _is_leaf(node.entries.get(towards))):
                node = self._with_computed(node, computed)
        if at[:2] not in PLACES:
            return node
        known = self.cache.get((id(node), at))
        if known is None:
            whole = complete(node, at, lambda part: self._text_at(part, (*at, "cluster_type"), chain))
            known = self.cache[id(node), at] = (node, whole)
        assert isinstance(known[1], MappingNode)
        return known[1]

    def _with_computed(self, node: MappingNode, computed: Computed) -> MappingNode:
        try:
            under = computed.node()
        except ConfigError as problem:
            raise (_Later if self.lenient else _Failed(problem.problems)) from problem
        merged = Merge(override=False, problems=[]).merge(node, under)
        return merged if isinstance(merged, MappingNode) else node

    def _text_at(self, node: Node, at: Path, chain: Chain) -> str | None:
        found = self._concrete(node, at, chain)[0]
        return found.value if isinstance(found, Scalar) and isinstance(found.value, str) else None

    def _reach(self, target: Path, chain: Chain) -> tuple[Node, Path, Chain]:
        step = chain[-1]
        try:
            return self._find(target, chain)
        except NotThere as problem:
            if self.lenient and self._comes_later(target):
                self.later.append(chain)
                raise _Later from problem
            message = f"{step.reference} stands for nothing: {problem.message}"
            raise _Failed((self._failure(message, chain),)) from problem

    def _comes_later(self, target: Path) -> bool:
        if join(target) in LATER:
            return True
        stage = self.root.entries.get(target[0])
        return (
            len(target) > 1 and target[1] == "out" and not (isinstance(stage, MappingNode) and "out" in stage.entries)
        )

    def _path_of(self, reference: Reference, node: Scalar, at: Path, chain: Chain) -> Path | None:
        """Give the path that a reference names once those in it are resolved; None if it isn't ours."""
        path = "".join(
            part if isinstance(part, str) else self._embedded(part, node, at, chain) for part in reference.parts
        )
        return split(path) if references.is_ours(path) else None

    def _step(self, node: Scalar, at: Path, reference: Reference, target: Path, chain: Chain) -> Chain:
        step = Step(join(at), references.show((reference,)), node.position, join(target))
        longer = (*chain, step)
        seen = [earlier.target for earlier in chain]
        if step.target in seen:
            circle = " → ".join([*seen[seen.index(step.target) :], step.target])
            raise _Failed((self._failure(f"the references go round in a circle: {circle}", longer),))
        if len(longer) > MAX_REFERENCES:
            raise _Failed((self._failure(f"more than {MAX_REFERENCES} references in a row", longer),))
        self.trail.append(step)
        return longer

    def _failure(self, message: str, chain: Chain) -> Problem:
        """Make a problem of a reference. Its place is the one that was read, or within that."""
        problem = problem_of(message, chain)
        within = f"{problem.path}.".startswith(f"{self.asked}.")
        return problem if within else replace(problem, path=self.asked)

    def _embedded(self, reference: Reference, node: Scalar, at: Path, chain: Chain) -> str:
        """Give the text of a reference inside other text."""
        target = self._path_of(reference, node, at, chain)
        if target is None:
            return self._not_ours(reference, node, at, chain)
        followed = self._step(node, at, reference, target, chain)
        before = len(self.problems)
        value = self._deep(*self._reach(target, followed))
        if len(self.problems) > before:
            failed = tuple(self.problems[before:])
            del self.problems[before:]
            raise _Failed(failed)
        if _holds_unknown(value):
            raise _Later
        return str(value)

    def _not_ours(self, reference: Reference, node: Scalar, at: Path, chain: Chain) -> str:
        parts = (part if isinstance(part, str) else self._embedded(part, node, at, chain) for part in reference.parts)
        return f"${{{''.join(parts)}}}"

    def _text(self, node: Scalar, at: Path, chain: Chain) -> str:
        assert isinstance(node.value, str)
        return "".join(
            part if isinstance(part, str) else self._embedded(part, node, at, chain)
            for part in references.parse(node.value)
        )

    def _deep(self, node: Node, at: Path, chain: Chain) -> Any:
        """Give the plain value with everything in it resolved; what fails is Unknown, and noted."""
        try:
            found, at, chain = self._concrete(node, at, chain)
            if isinstance(found, Scalar):
                return self._plain(found, at, chain)
        except _Later:
            return Unknown(_shown(node))
        except _Failed as problem:
            self.problems += problem.problems
            return Unknown(_shown(node))
        if isinstance(found, ListNode):
            return [self._deep(item, (*at, str(index)), chain) for index, item in enumerate(found.items)]
        return {key: self._deep(item, (*at, key), chain) for key, item in found.entries.items()}

    def _plain(self, found: Scalar, at: Path, chain: Chain) -> Any:
        if isinstance(found.value, _Resolved):
            return str(found.value)
        if not isinstance(found.value, str) or isinstance(found.value, Unknown) or "${" not in found.value:
            return found.value
        return self._text(found, at, chain)


def problem_of(message: str, chain: Chain) -> Problem:
    """Say what is wrong where the first of some references stands, with how one gets on from there."""
    written = [step for step in chain if step.position] or list(chain)
    rows = tuple(f"from {step.path}{_where(step.position)}: {step.reference}" for step in written if len(written) > 1)
    return Problem(message=message, path=written[0].path, position=written[0].position, came_from=rows)


def _shown(node: Node) -> str:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""


def _is_leaf(node: Node | None) -> bool:
    """Tell whether it is there, and nothing can be merged into it."""
    return isinstance(node, Scalar | ListNode)


def _holds_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_unknown(item) for item in value)
    return isinstance(value, Unknown)


def _index(part: str, length: int) -> int | None:
    if not part.lstrip("-").isdigit():
        return None
    index = int(part)
    return index % length if -length <= index < length else None


def _where(position: Position | None) -> str:
    return f" ({position})" if position else ""
