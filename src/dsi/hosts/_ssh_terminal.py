"""A command on a terminal: an SSH session of its own."""

import contextlib
import secrets
from typing import Final

import asyncssh

from dsi.hosts._output import Output
from dsi.hosts._ssh_session import START_BASH, Ended, Marked, Process, ShellGone, open_process
from dsi.hosts._ssh_shell import Command, encode, prologue

# A terminal as it must be for the command's text to come through; `stty sane` sets it right afterwards.
_COOKED = ("PTY_ECHO", "PTY_ICANON", "PTY_ISIG", "PTY_IEXTEN", "PTY_ICRNL", "PTY_IXON")
_RAW: Final = {getattr(asyncssh, mode): 0 for mode in _COOKED}


async def run_on_terminal(
    connection: asyncssh.SSHClientConnection, command: Command, typed: bytes, output: Output
) -> int:
    """Run a command on a terminal, in a session of its own, and give its exit status. `typed` is what it can read.

    Raises:
        NoSession, ShellGone, and what `output` raises.
    """
    process = await open_process(
        connection, START_BASH, request_pty="force", term_type="xterm", term_size=(80, 24), term_modes=_RAW
    )
    try:
        return await _run_on_terminal(process, command, typed, output)
    finally:
        process.close()


async def _run_on_terminal(process: Process, command: Command, typed: bytes, output: Output) -> int:
    begin = secrets.token_hex(16)
    program = prologue(command.env, begin, source=0, first="stty sane") + b'\neval "$REPLY"'
    process.stdin.write(b"\0".join([program, encode(command.text), b""]))
    stdout = Marked(process.stdout)
    try:
        await stdout.drop_until(begin)
        command.pid.set_result(int(stdout.line))
        with contextlib.suppress(OSError):  # it may have ended already
            process.stdin.write(typed + 2 * b"\4")  # Ctrl-D: the end (in the middle of a line the first ends only that)
        await output.read_from("stdout", _Rest(stdout))
    except Ended:
        said = stdout.dropped.decode(errors="replace")
        raise ShellGone(begun=False, exit_status=await process.exit_status_in_bash(), said=said) from None
    exit_status = await process.exit_status_in_bash()
    if exit_status is None:
        raise ShellGone(begun=True, exit_status=None)
    return exit_status


class _Rest:
    """What comes up to the end of the session."""

    def __init__(self, source: Marked) -> None:
        self._source = source

    async def read(self, n: int = -1, /) -> bytes:
        """Some bytes; empty at the end."""
        try:
            return await self._source.more()
        except Ended:
            return b""
