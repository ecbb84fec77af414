"""A mapping from YAML or JSON → a command that is whole and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import structlog
from pydantic import BaseModel, ValidationError

from dsi.commands.context import Context
from dsi.commands.expecting import KEY as EXPECT_DOWN
from dsi.commands.expecting import Expecting, split_expected
from dsi.commands.restart_mongodb import RestartMongodb
from dsi.commands.targets import OLD_SPELLINGS, Scope, Target, known_targets, parse_target
from dsi.commands.verbs import HOST_VERBS, NOT_YET, HostVerb
from dsi.config import is_unknown
from dsi.errors import InvalidCommand
from dsi.hosts.base import Host
from dsi.inventory import on_each
from dsi.model import Result
from dsi.suggest import did_you_mean

log = structlog.get_logger()


class Command(Protocol):
    """Something that can be done: everywhere the same, in a hook or over the dsisocket."""

    async def run(self, context: Context) -> list[Result]:
        """Do it, and give what each host's shell commands did.

        Raises:
            DsiError

        """
        ...


class ClusterCommand(Command, Protocol):
    """A command of the whole. `needs_clusters`: it can't stand in a hook before mongodb_setup."""

    needs_clusters: bool

    def check(self, scope: Scope) -> None:
        """Check what it names against what there is."""
        ...


COMMANDS: Final[Mapping[str, type[BaseModel]]] = {"restart_mongodb": RestartMongodb}


@dataclass(frozen=True)
class TargetCommand:
    """Verbs on hosts: the hosts side by side, each host's verbs in the order written."""

    target: Target
    verbs: Sequence[HostVerb]

    async def run(self, context: Context) -> list[Result]:
        """Do the verbs on every host that is meant."""
        hosts = self.target.hosts(context)
        if not hosts:
            log.info("there is no such host in this cluster: nothing to do", target=self.target.key)
        results: dict[str, list[Result]] = {host.name: [] for host in hosts}

        async def all_verbs(host: Host) -> None:
            for verb in self.verbs:
                result = await verb.run(context, host)
                if result is not None:
                    results[host.name].append(result)

        await on_each(context.inventory.by_machine(hosts), all_verbs)
        return [result for host in hosts for result in results[host.name]]


def parse(raw: Any, scope: Scope) -> Command:
    """Read one command; nothing of it is run before all of it is checked.

    Raises:
        InvalidCommand: it says what is wrong, and where a list helps, what could stand there.

    """
    _insist_on_no_nul(raw)
    expected, rest = split_expected(raw, scope)
    command = _parse(rest, scope)
    return command if expected is None else Expecting(command, expected)


def _insist_on_no_nul(raw: Any, path: str = "") -> None:
    """Refuse NUL in any text: bash leaves it out or stops there, and no path, argument or name can have it."""
    if isinstance(raw, str) and "\0" in raw:
        where = f"{path}: " if path else ""
        raise InvalidCommand(f"{where}a NUL character can stand in no shell text, path or name: take it out", path=path)
    children = raw.items() if isinstance(raw, Mapping) else enumerate(raw) if isinstance(raw, list) else ()
    for key, child in children:
        _insist_on_no_nul(key)
        _insist_on_no_nul(child, f"{path}.{key}" if path else str(key))


def _parse(raw: Any, scope: Scope) -> Command:
    key, argument = _only_key(raw)
    if key in COMMANDS:
        return _parse_whole(key, argument, scope)
    if key in NOT_YET:
        raise _not_yet(key, key)
    if not key.startswith("on_") or key in OLD_SPELLINGS:
        raise _no_command(key, scope)
    target = parse_target(key, scope)
    if isinstance(argument, str):
        argument = {"exec": argument}
    if not isinstance(argument, Mapping) or not argument:
        raise InvalidCommand(
            f"{key} takes a mapping of verbs, or shell text; this is {_kind(argument)}",
            path=key,
            allowed=list(HOST_VERBS),
        )
    return TargetCommand(target, [_parse_verb(key, verb, value) for verb, value in argument.items()])


def _only_key(raw: Any) -> tuple[str, Any]:
    if not isinstance(raw, Mapping):
        raise InvalidCommand(f"a command is a mapping with one key; this is {_kind(raw)}")
    if len(raw) != 1:
        keys = ", ".join(str(key) for key in raw) or "none"
        raise InvalidCommand(f"a command is a mapping with one key; this has {len(raw)}: {keys}")
    ((key, argument),) = raw.items()
    return str(key), argument


def _no_command(key: str, scope: Scope) -> InvalidCommand:
    if key in OLD_SPELLINGS:
        return InvalidCommand(f"{key} does not exist: write {OLD_SPELLINGS[key]}", path=key)
    known = [*COMMANDS, *known_targets(scope)]
    return InvalidCommand(f'no command "{key}"{did_you_mean(key, known)}', path=key, allowed=known)


def _parse_whole(key: str, argument: Any, scope: Scope) -> Command:
    command = cast("ClusterCommand", _validate(COMMANDS[key], argument if argument is not None else {}, key))
    if command.needs_clusters and not scope.has_clusters:
        raise InvalidCommand(f"{key} can't stand here: the cluster is started later, by mongodb_setup", path=key)
    command.check(scope)
    return command


def _parse_verb(target: str, verb: Any, argument: Any) -> HostVerb:
    path = f"{target}.{verb}"
    if verb in NOT_YET:
        raise _not_yet(verb, path)
    if verb in OLD_SPELLINGS:
        raise InvalidCommand(f"{verb} does not exist: write {OLD_SPELLINGS[verb]}", path=path)
    if verb == EXPECT_DOWN:
        detail = f"{verb} stands beside the target, not under it: {{{target}: …, {verb}: […]}}"
        raise InvalidCommand("Invalid command type", detail=detail, path=path)
    if verb not in HOST_VERBS:
        known = list(HOST_VERBS)
        # The message is fixed by the protocol's level 1; who reads a file or a log gets the fuller one.
        raise InvalidCommand(
            "Invalid command type",
            detail=f'no verb "{verb}"{did_you_mean(str(verb), known)}',
            path=path,
            allowed=known,
        )
    return cast("HostVerb", _validate(HOST_VERBS[verb], argument, path))


def _not_yet(verb: str, path: str) -> InvalidCommand:
    return InvalidCommand(f"{verb} is not supported yet: take it out, or wait for a later version", path=path)


def _validate(model: type[BaseModel], argument: Any, path: str) -> BaseModel:
    try:
        return model.model_validate(argument)
    except ValidationError as problem:
        # What can't be known before the hosts are there passes; it is checked again when the stage begins.
        found = [error for error in problem.errors() if not is_unknown(error["input"])]
        if not found:
            return model.model_construct()
        known = list(model.model_fields) if "root" not in model.model_fields else []
        text = "; ".join(_describe(error["loc"], error, known) for error in found)
        allowed = known if any(error["type"] == "extra_forbidden" for error in found) else []
        where = ".".join([path, *(str(part) for part in found[0]["loc"])])
        raise InvalidCommand(f"{path}: {text}", path=where, allowed=allowed) from problem


def _describe(location: Sequence[int | str], error: Any, known: Sequence[str]) -> str:
    where = ".".join(str(part) for part in location)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"no such key{did_you_mean(str(location[-1]), known)}"
    elif error["type"] == "literal_error":
        words = [word.strip("' ") for word in error["ctx"]["expected"].replace(" or ", ",").split(",")]
        near = did_you_mean(str(error["input"]), words)
        message = f'there is no "{error["input"]}"{near}; it is one of {", ".join(words)}'
    elif error["type"] == "missing":
        message = "is missing"
    elif error["type"] == "model_type":
        message = f"takes a mapping, not {_kind(error['input'])}"
    elif "input" in error and error["type"].endswith("_type"):
        message = f"{message[:1].lower()}{message[1:]}, not {_kind(error['input'])}"
    return f"{where}: {message}" if where else message


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    names: Mapping[type, str] = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "an empty mapping" if value == {} else names.get(type(value), type(value).__name__)
