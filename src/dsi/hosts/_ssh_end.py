"""Ending a command on an SSH host: its process group, from another session."""

from typing import Final

import structlog

from dsi import clock
from dsi.hosts._output import Output
from dsi.hosts._ssh_pool import Shells
from dsi.hosts._ssh_session import NoSession, ShellGone
from dsi.hosts._ssh_shell import Command, Shell
from dsi.hosts.base import END_GRACE_S

_log = structlog.get_logger(__name__)

PLACE_S: Final = 10.0
"""How long to try for a session where sshd allows fewer than it does by default, and all are taken."""

KILL_S: Final = 2.0
"""How long the kernel may take to end what got SIGKILL; a process stuck in a dead disk isn't waited for."""

LOOK_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Waits between two looks whether the group is gone; the last one again and again."""

# Exit status 0: nothing is left of the group but zombies, which are their parent's business.
_SIGNAL: Final = """
kill -{signal} -- -{group} 2>/dev/null || exit 0
for stat in /proc/[0-9]*/stat; do
  IFS= read -r line <"$stat" || continue
  set -- ${{line##*) }}
  [[ $3 == {group} && $1 != [ZX] ]] && exit 1
done 2>/dev/null
exit 0
"""


async def end_group(shells: Shells, group: int) -> None:
    """Send SIGTERM to a process group, SIGKILL `END_GRACE_S` later, and return when it is gone.

    Never raises: a connection that is dead is noticed by whoever waits for the command.
    """
    try:
        if not await _gone_within(shells, group, "TERM", END_GRACE_S):
            await _gone_within(shells, group, "KILL", KILL_S)
    except (ShellGone, NoSession) as error:
        _log.warning("a command could not be ended on its host", process_group=group, reason=str(error))


async def _gone_within(shells: Shells, group: int, signal: str, limit_s: float) -> bool:
    until_s = clock.SYSTEM.monotonic_s() + limit_s
    waits = iter(LOOK_S)
    left = await _signal(shells, group, signal)
    while left and clock.SYSTEM.monotonic_s() < until_s:
        await clock.SYSTEM.sleep(next(waits, LOOK_S[-1]))
        left = await _signal(shells, group, "0")
    return not left


async def _signal(shells: Shells, group: int, signal: str) -> bool:
    """Send a signal (0: none), and tell whether something is left of the group."""
    command = Command(_SIGNAL.format(signal=signal, group=group))
    shell = await _place(shells)
    try:
        return await shells.run(shell, command, Output(keep_bytes=0)) != 0
    finally:
        shells.give_back(shell)


async def _place(shells: Shells) -> Shell:
    until_s = clock.SYSTEM.monotonic_s() + PLACE_S
    while True:
        try:
            return await shells.take()
        except NoSession as error:
            if not error.refused or clock.SYSTEM.monotonic_s() > until_s:
                raise
        await clock.SYSTEM.sleep(LOOK_S[-1])
