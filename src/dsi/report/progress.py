"""What a person sees while dsi works: with a terminal a live display, else plain log lines."""

from collections.abc import Mapping
from typing import Any, Protocol


class Progress(Protocol):
    """Is told what happens, in this process or, by `dsi watch`, in another."""

    def event(self, line: Mapping[str, Any]) -> None:
        """The timeline has a new line: a stage or a test begins, a restart is over."""
        ...

    def step(self, text: str) -> None:
        """Something that takes a while begins: a hook, a restart, fetching files."""
        ...

    def output(self, block: bytes) -> None:
        """The test's command has written this."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...
