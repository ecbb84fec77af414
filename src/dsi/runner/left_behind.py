"""What a test's `cmd` and background tasks have started and left running on the workload client."""

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Final

from dsi.hosts.base import Host
from dsi.runner.running import MARK

_END = r"""
marked() {
  local file
  for file in $(grep -lazx -- "$1" /proc/[0-9]*/environ 2>/dev/null); do
    file=${file#/proc/}
    echo "${file%/environ}"
  done
}
declare -A told
for signal in TERM KILL; do
  for _ in {1..100}; do
    pids=$(marked "$1")
    [[ $pids ]] || exit 0
    for pid in $pids; do
      [[ ${told[$pid]} != "$signal" ]] || continue
      [[ ${told[$pid]} ]] || { tr '\0\n' '  ' <"/proc/$pid/cmdline" && echo; }
      told[$pid]=$signal
      kill -$signal "$pid"
    done 2>/dev/null
    sleep 0.05
  done
done
exit 1
"""
"""SIGTERM, five seconds later SIGKILL; says each one's command line. What has another environment isn't found."""


_CHARS: Final = 1000
"""As much of a long list belongs into a table; the timeline has all of it."""


def listed(processes: Iterable[str]) -> str:
    """Give the command lines in one line, those that are the same once; of very many the first."""
    counts = Counter(processes)
    text = "; ".join(f"{line} ({count} times)" if count > 1 else line for line, count in counts.items())
    return text if len(text) <= _CHARS else f"{text[:_CHARS]}…"


async def end_left_behind(host: Host, mark: str) -> list[str]:
    """End all that has this mark in its environment; give the command lines.

    Raises:
        HostError: the host can't be reached.
        CommandFailed: something is still there after SIGKILL.
    """
    done = await host.run(f"set -- {shlex.quote(f'{MARK}={mark}')}\n{_END}")
    return [line.strip() for line in done.stdout.splitlines()]
