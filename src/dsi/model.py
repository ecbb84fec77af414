"""Small frozen values that every room may speak about. No behaviour beyond showing what they mean."""

import signal
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["mongod", "mongos", "configsvr", "workload_client"]
ROLES: Final[tuple[Role, ...]] = ("mongod", "mongos", "configsvr", "workload_client")
SERVER_ROLES: Final[tuple[Role, ...]] = ("mongod", "mongos", "configsvr")

StreamName = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file that the user wrote. Lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong (or doubtful) in a configuration.

    `came_from` says, outermost first, through which references or overrides the value got where it is.
    """

    message: str
    path: str = ""
    position: Position | None = None
    allowed: tuple[str, ...] = ()
    came_from: tuple[str, ...] = ()
    warning: bool = False

    def __str__(self) -> str:
        head = ": ".join(str(part) for part in (self.position, self.path) if part)
        first = f"{head}: {self.message}" if head else self.message
        rows = [f"  known: {', '.join(self.allowed)}"] if self.allowed else []
        rows += [f"  {row}" for row in self.came_from]
        return "\n".join([first, *rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """One listing of a host in `infrastructure_provisioning.out`: `role.index`, and how to reach it.

    `ssh_keepalive_s` is how soon a dead connection is noticed, `ssh_reconnect_s` how long another one is tried for,
    `ssh_max_output_bytes` how much of a command's output may lie on the host.
    `home` is set for a host that lives on this machine (its home folder), else None.
    """

    role: Role
    index: int
    public_ip: str
    private_ip: str
    ssh_user: str | None = None
    ssh_port: int | None = None
    ssh_key_file: str | None = None
    ssh_keepalive_s: float = 15.0
    ssh_reconnect_s: float = 120.0
    ssh_max_output_bytes: int = 1 << 30
    home: str | None = None

    @property
    def name(self) -> str:
        """What people call it: `mongod.0`."""
        return f"{self.role}.{self.index}"

    @property
    def machine(self) -> tuple[str, str | None, int | None]:
        """Listings with the same machine share a connection."""
        return (self.public_ip, self.ssh_user, self.ssh_port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one shell command did on one host.

    `exit_status` is bash's: 128 + N for a process that signal N ended. `stdout` and `stderr` hold the last bytes
    (as many as the caller asked to keep), decoded as UTF-8 with replacement characters; `cut`: there were more.
    """

    host: str
    command: str
    exit_status: int
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0
    cut: bool = False


def signal_of(exit_status: int) -> str | None:
    """Give the name of the signal that ended a process: a shell's exit status is 128 + N then. None: no such signal."""
    return next((one.name for one in signal.Signals if one == exit_status - 128), None)
