"""Which process of a host's sshd serves a connection of ours, and how to end it: dead for us, it may not know it.

It then holds our ports until TCP gives up, hours later by default.
"""

import shlex
from collections.abc import Sequence
from typing import Final, Protocol

Served = Sequence[str]
"""Process id, start time and boot of the sshd; empty where that can't be seen."""


class Memory(Protocol):
    """Remembers what serves us, for our next connection."""

    def last(self) -> Served:
        """Give what was kept last; empty: nothing was."""
        ...

    def keep(self, served_by: Served) -> None:
        """Keep this instead."""
        ...


class OwnMemory:
    """A `Memory` that ends with this process."""

    def __init__(self) -> None:
        self._served_by: Served = ()

    def last(self) -> Served:
        """Give what was kept last."""
        return self._served_by

    def keep(self, served_by: Served) -> None:
        """Keep this instead."""
        self._served_by = served_by


# The fresh bash is a child of the kept shell, which is sshd's.
# Fields of /proc/PID/stat behind the name, which may hold anything: 1 state, 2 parent, 20 start time (proc(5)).
SERVED_BY: Final = """
{ IFS= read -r line </proc/$PPID/stat && set -- ${line##*) } && p=$2 && IFS= read -r line </proc/$p/stat &&
  set -- ${line##*) } && IFS= read -r boot </proc/sys/kernel/random/boot_id && echo "$p ${20} $boot"; } 2>/dev/null
exit 0
"""

_END: Final = """
IFS= read -r boot </proc/sys/kernel/random/boot_id && IFS= read -r name </proc/{pid}/comm || exit 0
[[ $boot == {boot} && $name == sshd* ]] || exit 0
gone() {{
  IFS= read -r line </proc/{pid}/stat || return 0
  set -- ${{line##*) }}
  [[ ${{20}} != {start} || $1 == [ZX] ]]
}}
for signal in TERM KILL; do
  gone && exit 0
  kill -$signal {pid}
  for _ in {{1..20}}; do gone && exit 0; sleep 0.05; done
done 2>/dev/null
exit 0
"""


def end_script(served_by: Served) -> str:
    """Give what ends this sshd, if it is still there."""
    pid, start, boot = map(shlex.quote, served_by)
    return _END.format(pid=pid, start=start, boot=boot)
