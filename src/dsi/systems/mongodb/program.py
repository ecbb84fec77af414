"""The program that a node runs, as it was installed on its host: what its version refuses, and what it gets instead."""

import shlex
from collections.abc import Mapping
from typing import Any

from dsi.hosts.base import Host
from dsi.model import Problem
from dsi.systems.mongodb import enterprise, old_options


class Program:
    """A mongod or mongos on a host. It is asked for its version once, and only if a configuration makes that matter."""

    def __init__(self, host: Host, path: str) -> None:
        self._host = host
        self._path = path
        self._said: str | None = None

    async def refused(self, config: Mapping[str, Any], *, path: str) -> list[Problem]:
        """Give what it refuses of a configuration, in the user's own words; `path` is where that stands.

        Raises:
            CommandFailed: it doesn't run.
        """
        lacking: list[Problem] = []
        if enterprise.has_any(config):
            lacking = enterprise.refused(config, await self._says(), path=path)
        return [*old_options.refused(config, await self._version(config), path=path), *lacking]

    async def understood(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Give a configuration without what it no longer knows, and can do without.

        Raises:
            CommandFailed: it doesn't run.
        """
        return old_options.for_server(config, await self._version(config))

    async def _version(self, config: Mapping[str, Any]) -> old_options.Version | None:
        return old_options.version_of(await self._says()) if old_options.has_any(config) else None

    async def _says(self) -> str:
        if self._said is None:
            self._said = (await self._host.run(f"{shlex.quote(self._path)} --version")).stdout
        return self._said
