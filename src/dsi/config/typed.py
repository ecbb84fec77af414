"""The tree → typed models, and what is wrong with types and ranges said in the user's words.

Only what the models have is read: a reference in a key that dsi doesn't know need not resolve.
"""

import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from dsi.config.models import Analysis, InfrastructureProvisioning, MongodbSetup, Section, TestControl, Validated
from dsi.config.nodes import ListNode, MappingNode, join, kind_of_value, split
from dsi.config.resolve import Chain, NotThere, Reading, Unknown
from dsi.config.tree import Tree
from dsi.errors import ConfigError
from dsi.masking import is_secret_name
from dsi.model import Problem
from dsi.suggest import did_you_mean

MODELS: Final[dict[str, type[Section]]] = {
    "infrastructure_provisioning": InfrastructureProvisioning,
    "mongodb_setup": MongodbSetup,
    "test_control": TestControl,
    "analysis": Analysis,
    # By itself, since it may refer to `meta`, which is worked out from the rest of `mongodb_setup`.
    "mongodb_setup.validate": Validated,
}
_Model = TypeVar("_Model", bound=Section)


def provisioning(tree: Tree, *, lenient: bool = False) -> InfrastructureProvisioning:
    """Give `infrastructure_provisioning`, typed.

    Args:
        tree: where to read it.
        lenient: leave out what is wrong instead of raising; text that can't be known yet is an `Unknown`.

    Raises:
        ConfigError: with everything that is wrong there.
    """
    return _typed(tree, "infrastructure_provisioning", InfrastructureProvisioning, lenient=lenient)


def mongodb_setup(tree: Tree, *, lenient: bool = False) -> MongodbSetup:
    """Give `mongodb_setup`, typed; `meta` isn't part of it: read that with `Tree.get`.

    Args:
        tree: where to read it.
        lenient: leave out what is wrong instead of raising; text that can't be known yet is an `Unknown`.

    Raises:
        ConfigError: with everything that is wrong there.
    """
    return _typed(tree, "mongodb_setup", MongodbSetup, lenient=lenient)


def validated(tree: Tree, *, lenient: bool = False) -> Validated:
    """Give `mongodb_setup.validate`, typed; `lenient` as in `mongodb_setup`.

    Raises:
        ConfigError: with everything that is wrong there.
    """
    return _typed(tree, "mongodb_setup.validate", Validated, lenient=lenient)


def test_control(tree: Tree, *, lenient: bool = False) -> TestControl:  # noqa: PT028  # it is no test
    """Give `test_control`, typed; `lenient` as in `mongodb_setup`.

    Raises:
        ConfigError: with everything that is wrong there.
    """
    return _typed(tree, "test_control", TestControl, lenient=lenient)


def analysis(tree: Tree) -> Analysis:
    """Give `analysis`, typed.

    Raises:
        ConfigError: with everything that is wrong there.
    """
    return _typed(tree, "analysis", Analysis)


test_control.__test__ = False  # type: ignore[attr-defined]  # pytest collects imported functions by their name


def check_types(tree: Tree, stage: str) -> list[Problem]:
    """Give what is wrong with what dsi reads of a stage; what can't be known yet passes."""
    reading = tree.reading(lenient=True)
    value = _read(reading, stage, MODELS[stage])
    problems = [tree.placed(problem) for problem in reading.problems]
    try:
        MODELS[stage].model_validate(value)
    except ValidationError as error:
        problems += _problems(tree, stage, value, error)
    return problems


def later_of(tree: Tree, stage: str) -> list[Chain]:
    """Give the ways by which one gets from what dsi reads of a stage to what will exist later only."""
    reading = tree.reading(lenient=True)
    _read(reading, stage, MODELS[stage])
    return reading.later


def _typed(tree: Tree, stage: str, model: type[_Model], *, lenient: bool = False) -> _Model:
    reading = tree.reading(lenient=lenient)
    value = _read(reading, stage, model)
    if lenient:
        return _what_fits(model, value)
    problems = [tree.placed(problem) for problem in reading.problems]
    try:
        typed = model.model_validate(value)
    except ValidationError as error:
        raise ConfigError(once([*problems, *_problems(tree, stage, value, error)])) from error
    if problems:
        raise ConfigError(once(problems))
    return typed


def _what_fits(model: type[_Model], value: Any) -> _Model:
    while True:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            _remove(value, error)


# --- reading --------------------------------------------------------------------------------------


def _read(reading: Reading, path: str, annotation: Any) -> Any:
    """Read what a type describes: of a section its fields, of anything else the whole value."""
    sections = list(sections_of(annotation))
    if not sections:
        return reading.value(split(path))
    node = reading.node(split(path))
    if node is None:
        return Unknown(path)
    if isinstance(node, ListNode) and _is_list(annotation):
        return [_read(reading, f"{path}.{index}", _element(annotation)) for index in range(len(node.items))]
    if isinstance(node, MappingNode) and not _is_list(annotation):
        fields = {name: field for section in sections for name, field in section.model_fields.items()}
        return dict(_entries(reading, path, fields))
    return reading.value(split(path))


def _entries(reading: Reading, path: str, fields: dict[str, FieldInfo]) -> Iterator[tuple[str, Any]]:
    for name, field in fields.items():
        try:
            value = _read(reading, f"{path}.{name}", field.annotation)
        except NotThere:
            continue
        if value is not None or _takes_none(field.annotation):
            yield name, value


def sections_of(annotation: Any) -> Iterator[type[Section]]:
    """Give the models that may stand directly there, or as elements of a list there."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from sections_of(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType, list):
        for argument in get_args(annotation):
            yield from sections_of(argument)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list


def _element(annotation: Any) -> Any:
    return get_args(annotation)[0]


def _takes_none(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _takes_none(get_args(annotation)[0])
    return annotation is Any or type(None) in get_args(annotation)


# --- what is wrong --------------------------------------------------------------------------------


def _problems(tree: Tree, stage: str, value: Any, error: ValidationError) -> list[Problem]:
    found: dict[str, list[ErrorDetails]] = {}
    for details in error.errors():
        if not _concerns_unknown(details):
            found.setdefault(join((stage, *_path(value, details))), []).append(details)
    return [_problem(tree, path, group) for path, group in found.items()]


def _problem(tree: Tree, path: str, group: list[ErrorDetails]) -> Problem:
    """Make one problem of what each member of a union said about a value."""
    special = [details for details in group if details["type"] not in _WANTED]
    if special:
        message, allowed = _describe(special[0], path)
        return tree.problem(path, message, allowed=allowed)
    wanted = " or ".join(dict.fromkeys(_WANTED[details["type"]] for details in group))
    given = _given(group[0]["input"], wanted, is_secret=is_secret_name(path.rpartition(".")[2]))
    return tree.problem(path, f"must be {wanted}, not {given}")


def _given(value: Any, wanted: str, *, is_secret: bool) -> str:
    kind = kind_of_value(value)
    if isinstance(value, dict | list) or value is None:
        return kind
    if "text" in wanted:
        return f"{kind}{'' if is_secret else f' ({value})'}: put it in quotes"
    return f'{kind} "{value}"' if isinstance(value, str) else f"{kind} ({value})"


def _path(value: Any, details: ErrorDetails) -> Iterator[str]:
    """Give the place of an error without what pydantic adds: the names of a union's members."""
    last = len(details["loc"]) - 1
    for index, part in enumerate(details["loc"]):
        if isinstance(value, dict) and (part in value or (index == last and details["type"] == "missing")):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        yield str(part)
    if details["type"].startswith("union_tag"):
        yield "cluster_type"


def _concerns_unknown(details: ErrorDetails) -> bool:
    given = details.get("input")
    if isinstance(given, dict) and details["type"].startswith("union_tag"):
        given = given.get("cluster_type")
    return isinstance(given, Unknown)


_WANTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _describe(details: ErrorDetails, path: str) -> tuple[str, tuple[str, ...]]:
    """Say what is wrong where the type is right, and what is allowed."""
    name = path.rpartition(".")[2]
    given, context = details.get("input"), details.get("ctx", {})
    match details["type"]:
        case "missing" | "union_tag_not_found":
            return f"{name} is missing", ()
        case "literal_error" | "union_tag_invalid":
            expected = str(context.get("expected") or context.get("expected_tags"))
            allowed = tuple(word.strip("' ") for word in expected.replace(" or ", ",").split(","))
            word = given.get("cluster_type") if isinstance(given, dict) else given
            return f'no {name} "{word}"{did_you_mean(str(word), allowed)}', allowed
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}, not {given}", ()
        case "less_than_equal":
            return f"must be at most {context['le']:g}, not {given}", ()
        case "too_short":
            return "must not be empty", ()
    return details["msg"], ()


def _remove(value: Any, error: ValidationError) -> None:
    """Take out what doesn't fit: a missing key takes what it is missing from with it."""
    details = error.errors()[0]
    path = list(_path(value, details))
    if details["type"] in ("missing", "union_tag_not_found"):
        path.pop()
    *around, last = path
    for part in around:
        value = value[int(part)] if isinstance(value, list) else value[part]
    if isinstance(value, list):
        del value[int(last)]
    else:
        del value[last]


def once(problems: Iterable[Problem]) -> list[Problem]:
    """Say each thing once: what is written in one place and read at many paths is wrong at the shortest of them."""
    found: dict[object, Problem] = {}
    for problem in problems:
        cause = (problem.position, problem.message) if problem.position else problem
        known = found.get(cause)
        if known is None or problem.path.count(".") < known.path.count("."):
            found[cause] = problem
    return list(found.values())
