"""What a person sees while dsi works: with a terminal a live display, else plain log lines."""

from typing import Protocol


class Progress(Protocol):
    """Is told what happens."""

    def stage(self, name: str) -> None:
        """A stage of the lifecycle begins."""
        ...

    def step(self, text: str) -> None:
        """Something that takes a while begins: a hook, a restart, fetching files."""
        ...

    def test(self, test_id: str, number: int, total: int) -> None:
        """A test begins: the `number`th of `total`, from 1."""
        ...

    def output(self, block: bytes) -> None:
        """The test's command has written this."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...
