"""What is fetched before a `cmd` that hangs is ended: what a person would want to see, in `reports/<test>/hang/`."""

import asyncio
import shlex
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from dsi.commands import Context
from dsi.errors import DsiError
from dsi.masking import masked
from dsi.report.folder import keep_text
from dsi.runner import MARK, RunningTest, last_output
from dsi.systems.mongodb import Deployment, current_operations, last_of_log

log = structlog.get_logger()

FOLDER: Final = "hang"

LIMIT_S: Final = 30.0
"""All of it is fetched at once, and what has not come by then is given up: the hosts cost money meanwhile."""

_OUTPUT_BYTES: Final = 65_536
_LOG_LINES: Final = 200

_STACKS: Final = 8
"""So many processes' stacks at most: of a pool of workers one is like the other."""

_STACK_S: Final = 8

# Whatever has the mark, and what is in its process group: bash itself has no mark where it was given its environment as
# text. Fields of /proc/PID/stat behind the name (which may hold anything): 1 state, 2 parent, 3 process group, and 18
# the number of threads.
_PROCESSES: Final = r"""
declare -A groups
[[ ! $2 ]] || groups[$2]=1
parse() { local line; IFS= read -r line <"/proc/$1/stat" && fields=(${line##*) }); }
for file in $(grep -lazx -- "$1" /proc/[0-9]*/environ); do
  pid=${file#/proc/} pid=${pid%/environ}
  parse "$pid" && groups[${fields[2]}]=1
done
for folder in /proc/[0-9]*; do
  pid=${folder#/proc/}
  parse "$pid" && [[ ${groups[${fields[2]}]} && ${fields[0]} != [ZX] ]] || continue
  wchan=-; read -r wchan <"$folder/wchan"
  printf '%s\t' "$pid" "${fields[1]}" "${fields[0]}" "${fields[17]}" "${wchan:--}" "$(readlink "$folder/exe")"
  tr '\0\n\t' '   ' <"$folder/cmdline"
  echo
done 2>/dev/null
exit 0
"""

_TOOLS: Final[Mapping[str, tuple[str, str]]] = {
    "python": ("py-spy dump --pid", "py-spy is not installed on that host (`pip install py-spy`)"),
    "java": ("jstack", "jstack is not installed on that host (it comes with a JDK)"),
}


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process of `cmd`, or one that it has started. `waits_in`: the kernel's function, where it says so."""

    pid: int
    parent: int
    state: str
    threads: int
    waits_in: str
    program: str
    command: str


class Hangs:
    """Looks at a `cmd` that hangs, and at the servers (`diagnose`)."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    async def diagnose(self, context: Context, running: RunningTest) -> str:
        """Fetch it all at once, within `LIMIT_S`; what can't be had is said in its place. Gives the folder's name."""
        parts: dict[str, Awaitable[None]] = {
            "the workload client": _of_the_client(context, running),
            "output.txt": _last_output(context),
        }
        for node in self._deployment.nodes:
            asked = {
                f"{node.name}.current_op.json": current_operations(node),
                f"{node.name}.log": last_of_log(node, lines=_LOG_LINES),
            }
            parts |= {name: _write(context, name, answer) for name, answer in asked.items()}
        with context.timeline.span("hang_diagnosis", test=running.test) as ending:
            failures = await asyncio.gather(*(_within_the_limit(name, part) for name, part in parts.items()))
            missing = ending["missing"] = [failure for failure in failures if failure]
        if missing:
            _try_to_keep(context.reports / FOLDER / "missing.txt", "\n".join(missing) + "\n")
        return f"{context.reports.parent.name}/{context.reports.name}/{FOLDER}"


async def _within_the_limit(name: str, part: Awaitable[None]) -> str:
    """Give what went wrong; empty: nothing did."""
    try:
        async with asyncio.timeout(LIMIT_S):
            await part
    except TimeoutError:
        why = f"it did not come within {LIMIT_S:g} s"
    except DsiError as problem:
        why = str(problem)
    else:
        return ""
    log.warning("something of a cmd that hangs could not be fetched", what=name, why=why)
    return f"{name}: {why}"


def _try_to_keep(path: Path, text: str) -> None:
    try:
        keep_text(path, text)
    except DsiError as problem:
        log.warning(str(problem))


async def _write(context: Context, name: str, content: Awaitable[str]) -> None:
    keep_text(context.reports / FOLDER / name, masked(await content))


async def _last_output(context: Context) -> None:
    text = last_output(context.reports / "test_output.log", _OUTPUT_BYTES).decode(errors="replace")
    keep_text(context.reports / FOLDER / "output.txt", masked(text))


async def _of_the_client(context: Context, running: RunningTest) -> None:
    """Fetch the tree of processes, and then the stacks of those that have some.

    Raises:
        DsiError: one of them can't be had.
    """
    host = context.inventory.workload_client
    group = None if running.handle is None else await host.process_group(running.handle)
    arguments = shlex.join([f"{MARK}={running.mark}", str(group or "")])
    said = await host.run(f"set -- {arguments}\n{_PROCESSES}", keep_bytes=1 << 20)
    processes = read_processes(said.stdout)
    keep_text(context.reports / FOLDER / "processes.txt", masked(tree(processes)))
    script = stacks_script(processes)
    if script:
        stacks = await host.run(script, keep_bytes=4 << 20, check=False)
        keep_text(context.reports / FOLDER / "stacks.txt", masked(stacks.stdout))


def read_processes(text: str) -> list[Process]:
    """Read what the script about processes said. Pure."""
    found = []
    for line in text.splitlines():
        fields = line.split("\t", 6)
        if len(fields) < 7:  # a program's path may hold anything
            continue
        pid, parent, state, threads, waits_in, program, command = fields
        found.append(
            Process(
                pid=int(pid),
                parent=int(parent),
                state=state,
                threads=int(threads),
                waits_in=waits_in,
                program=program.rpartition("/")[2],
                command=command.strip() or program,
            )
        )
    return found


def tree(processes: Sequence[Process]) -> str:
    """Draw who has started whom, one process a line. Pure."""
    width = max((len(process.waits_in) for process in processes), default=0)
    lines = [f"    PID S THREADS {'WAITS IN':{width}} COMMAND"]
    known = {process.pid for process in processes}

    def draw(process: Process, depth: int) -> None:
        head = f"{process.pid:7} {process.state} {process.threads:7} {process.waits_in:{width}} "
        lines.append(head + "  " * depth + process.command)
        for child in processes:
            if child.parent == process.pid:
                draw(child, depth + 1)

    for process in processes:
        if process.parent not in known:
            draw(process, 0)
    if not known:
        lines.append("(no process of cmd was found)")
    return "\n".join(lines) + "\n"


def stacks_script(processes: Sequence[Process]) -> str:
    """Give what shows the stacks of Python's and Java's processes, one after another; empty: there are none. Pure."""
    script = ""
    shown = [(process, kind) for process in processes for kind in _TOOLS if process.program.startswith(kind)]
    for process, kind in shown[:_STACKS]:
        tool, missing = _TOOLS[kind]
        program = tool.partition(" ")[0]
        script += (
            f"echo {shlex.quote(f'=== {process.pid} {process.command}')}\n"
            f"if command -v {program} >/dev/null; then timeout {_STACK_S} {tool} {process.pid} 2>&1 || "
            f'echo "{program}: exit status $?"; else echo {shlex.quote(missing)}; fi\n'
        )
    if len(shown) > _STACKS:
        script += f"echo '=== and {len(shown) - _STACKS} more'\n"
    return script
