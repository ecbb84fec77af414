"""A mongod's or mongos' configuration file, as the server gets it. Pure: mappings in, mappings out.

The user's `config_file` *is* the file, in the server's own words; what is changed here, and why, is all there is.
"""

import copy
import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from dsi.model import Role
from dsi.systems.mongodb.options import at as _at
from dsi.systems.mongodb.tls import translated

DEFAULT_PORT = 27017
DEFAULT_DB_PATH = "data/dbs"
DEFAULT_LOG_PATH = "data/logs/mongod.log"
_MONGOS_LOG_PATH = "data/logs/mongos.log"

_EVERYWHERE = {"0.0.0.0", "::", "localhost", "127.0.0.1", "::1"}  # noqa: S104  recognised here, not bound
_SEEN_TO = ("security.authorization", "security.keyFile", "security.clusterAuthMode")


def port_of(config: Mapping[str, Any]) -> int:
    """Give `net.port`, or the server's default."""
    return int(_at(config, "net.port") or DEFAULT_PORT)


def db_path_of(config: Mapping[str, Any]) -> str:
    """Give `storage.dbPath`; a relative one lies in the home folder of the host's user."""
    return str(_at(config, "storage.dbPath") or DEFAULT_DB_PATH)


def log_path_of(config: Mapping[str, Any], *, role: Role = "mongod") -> str:
    """Give the path of the log; where the server logs to syslog, the path that it would have had."""
    return str(_at(config, "systemLog.path") or (_MONGOS_LOG_PATH if role == "mongos" else DEFAULT_LOG_PATH))


def pid_path_of(config: Mapping[str, Any]) -> str | None:
    """Give `processManagement.pidFilePath`."""
    return _at(config, "processManagement.pidFilePath") or None


def asked_address(config: Mapping[str, Any], address: str) -> str:
    """Give where the node's own host reaches it: on loopback where it listens there, else at its address.

    A server without users takes the shutdown command over loopback alone.
    """
    names = _bind_names(config) or {"localhost"}  # the server's default
    on_loopback = names & {"localhost", "127.0.0.1", "0.0.0.0"} or _at(config, "net.bindIpAll")  # noqa: S104  compared
    return "127.0.0.1" if on_loopback else address


def own_paths(config: Mapping[str, Any]) -> dict[str, str]:
    """Give the paths that a server has for itself alone, by their option."""
    paths = {
        "storage.dbPath": db_path_of(config),
        "systemLog.path": log_path_of(config),
        "processManagement.pidFilePath": pid_path_of(config),
    }
    return {option: path for option, path in paths.items() if path}


def is_x509(config: Mapping[str, Any]) -> bool:
    """Whether members know each other by their certificates, and not by a key file."""
    return bool(_at(config, "security.clusterAuthMode") == "x509")


def own_security(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a configuration says, with its value, of what dsi sees to itself: who gets in."""
    for path in _SEEN_TO:
        value = _at(config, path)
        if value not in (None, "", "disabled", "keyFile"):
            yield path, value


def is_dangerous(path: str) -> bool:
    """Whether a data folder is the root or the home folder or above it: cleaning it would delete everything."""
    plain = posixpath.normpath(path)
    return plain in {"/", "//", ".", "~", "/root", "/home", "/tmp", "/var", "/usr", "/etc"} or plain.startswith("..")  # noqa: S108


def whole(
    config: Mapping[str, Any],
    *,
    role: Role = "mongod",
    replica_set: str | None,
    sharding: Mapping[str, str] | None = None,
    local_address: str | None,
    key_file: str | None = None,
) -> dict[str, Any]:
    """Give the configuration that is written to the host.

    `local_address` is the address of a host that shares this machine with others (127.0.N.M), else None. There the
    server listens on that address alone, since they would clash, and on no Unix socket unless `pathPrefix` gives it a
    folder. `sharding` is what goes into the section of that name. With a `key_file`, or where members know each other
    by their certificates, nobody gets in who has neither that nor a user's password.

    It never forks: dsi starts it in a session of its own, which also keeps its exit status.
    """
    made: dict[str, Any] = copy.deepcopy(dict(config))
    net = made["net"] = translated(made.get("net") or {})
    net.setdefault("port", DEFAULT_PORT)
    if local_address:
        _keep_to(net, local_address)
    if role != "mongos":
        storage = made["storage"] = dict(made.get("storage") or {})
        storage.setdefault("dbPath", DEFAULT_DB_PATH)
    log = made.get("systemLog") or {}
    if log.get("destination") != "syslog":
        made["systemLog"] = {"destination": "file", "path": log_path_of({}, role=role), "logAppend": True, **log}
    if replica_set:
        made["replication"] = {**(made.get("replication") or {}), "replSetName": replica_set}
    if sharding:
        made["sharding"] = {**(made.get("sharding") or {}), **sharding}
    if key_file or is_x509(made):
        made["security"] = _security(made.get("security") or {}, role, key_file)
    _never_fork(made)
    return made


def as_file(config: Mapping[str, Any]) -> bytes:
    """Write a configuration as JSON, which the server reads as YAML."""
    return (json.dumps(config, indent=1) + "\n").encode()


def _security(given: Mapping[str, Any], role: Role, key_file: str | None) -> dict[str, Any]:
    made = {name: value for name, value in given.items() if name != "keyFile"}
    # A mongos has no option security.authorization: it asks who somebody is, and the shards decide.
    authorization = {} if role == "mongos" else {"authorization": "enabled"}
    return {**made, **({"keyFile": key_file} if key_file else {}), **authorization}


def _keep_to(net: dict[str, Any], address: str) -> None:
    names = [] if net.pop("bindIpAll", False) else [name.strip() for name in str(net.get("bindIp") or "").split(",")]
    own = [address if name in _EVERYWHERE or not name else name for name in names] or [address]
    net["bindIp"] = ",".join(dict.fromkeys(own))
    socket = net.get("unixDomainSocket") or {}
    if not socket.get("pathPrefix"):
        net["unixDomainSocket"] = {**socket, "enabled": False}


def _never_fork(config: dict[str, Any]) -> None:
    management = {key: value for key, value in (config.pop("processManagement", None) or {}).items() if key != "fork"}
    if management:
        config["processManagement"] = management


def _bind_names(config: Mapping[str, Any]) -> set[str]:
    return {name.strip() for name in str(_at(config, "net.bindIp") or "").split(",")} - {""}
