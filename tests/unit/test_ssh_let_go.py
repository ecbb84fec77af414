"""Giving up a shell that doesn't end."""

from typing import cast

from structlog.testing import capture_logs

from dsi.hosts._ssh_let_go import LOOKS, let_go
from dsi.hosts._ssh_machine import Link
from dsi.hosts._ssh_shell import Shell


class Told:
    """A connection that tells its host whatever it should."""

    ending = None

    def __init__(self) -> None:
        self.count = 0

    async def tell(self, script: str, shells: object) -> str:
        self.count += 1
        return ""


class Lasting:
    """A shell that lives on, whatever its host is told."""

    pid = 4711

    async def has_ended_within(self, limit_s: float) -> bool:
        return False


async def test_a_shell_that_never_ends_is_not_waited_for_for_ever() -> None:
    told = Told()
    with capture_logs() as logs:
        await let_go(cast("Link", told), cast("Shell", Lasting()), 4712, "name")
    assert told.count == LOOKS
    assert [line["reason"] for line in logs] == ["it has not ended in 30 s"]
