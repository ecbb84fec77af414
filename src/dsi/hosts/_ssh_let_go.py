"""Giving up a shell in which a detached command is followed, while that command goes on: as if the session were cut."""

from typing import Final

import structlog

from dsi.hosts._ssh_detached import FOLDER
from dsi.hosts._ssh_machine import Link
from dsi.hosts._ssh_session import NoSession
from dsi.hosts._ssh_shell import Shell

_log = structlog.get_logger(__name__)

AGAIN_S: Final = 1.0
"""How long the shell may take to end before it is looked at again: the command may have ended in that moment."""

LOOKS: Final = 30
"""How often that is tried: a shell that is still there then is not to be found by the pids that it has told."""

# The one that supervises the command must live: it ends its shell by itself. Any other has nothing to do but to send.
# Only a shell of our own sshd is ended, lest another process has got its pid.
_LET_GO: Final = """
parent() {{ local line; IFS= read -r line <"/proc/$1/stat" || return; set -- ${{line##*) }}; REPLY=$2; }} 2>/dev/null
parent $PPID && sshd=$REPLY
parent {shell} && [[ $REPLY == "$sshd" ]] || exit 0
if parent {follower} && [[ $REPLY == {shell} ]]; then
  {{ IFS=' ' read -r _ _ supervisor _; read -r ended; }} <{folder}/{name}.state
  if [[ $supervisor == {follower} && ! $ended ]]; then
    kill -USR2 {follower}
    exit 0
  fi
  kill -KILL -- -{follower}
fi 2>/dev/null
kill -KILL {shell}
exit 0
"""


async def let_go(link: Link, shell: Shell, follower: int, name: str) -> None:
    """End a shell, and what follows the command of this name in it; not what supervises the command."""
    script = _LET_GO.format(shell=shell.pid, follower=follower, folder=FOLDER, name=name)
    reason = f"it has not ended in {LOOKS * AGAIN_S:g} s"
    try:
        for _ in range(LOOKS):
            await link.tell(script, link.ending)
            if await shell.has_ended_within(AGAIN_S):
                return
    except NoSession as problem:
        reason = str(problem)
    _log.warning("a shell that shows what nobody reads could not be given to others", reason=reason)
