"""One option of a server's configuration, by its path: `storage.wiredTiger.engineConfig.cacheSizeGB`. Pure."""

from collections.abc import Mapping
from typing import Any


def at(config: Mapping[str, Any], path: str) -> Any:
    """Give what stands at a path; None where nothing does."""
    value: Any = config
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def leave_out(config: dict[str, Any], path: str) -> None:
    """Remove an option, and the sections that are empty without it."""
    section, _, key = path.rpartition(".")
    inner = at(config, section) if section else config
    if not isinstance(inner, dict) or key not in inner:
        return
    del inner[key]
    if section and not inner:
        leave_out(config, section)
