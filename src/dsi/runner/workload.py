"""The test's own command: started, listened to, and ended."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from dsi.config.models import Test
from dsi.hosts.base import Handle, Host
from dsi.model import Result, StreamName
from dsi.report.folder import writing
from dsi.report.progress import Progress


class OutputLog(AbstractContextManager["OutputLog"]):
    """`test_output.log`: what `cmd` writes, as it comes, and at the end how it ended.

    `again`: another dsi has begun it, and this one goes on.
    """

    def __init__(self, path: Path, *, again: bool = False) -> None:
        self._path = path
        self._again = again
        self._file: BinaryIO | None = None
        self._last = b"\n"

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            ReportError
        """
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab" if self._again else "wb", buffering=0)
        return self

    def size_bytes(self) -> int:
        """Give how much was written until now."""
        return self._path.stat().st_size

    def write(self, block: bytes) -> None:
        """Write a block.

        Raises:
            ReportError: the disk is full, say.

        """
        assert self._file is not None, "used outside `with`"
        with writing(self._path):
            rest = memoryview(block)
            while rest:
                rest = rest[self._file.write(rest) :]
        self._last = block[-1:] or self._last

    def end(self, exit_status: int | None, message: str) -> None:
        """Write the last line."""
        newline = b"" if self._last == b"\n" else b"\n"
        shown = 1 if exit_status is None else exit_status
        line = message.replace("\n", "\\n")
        self.write(newline + f"exit_status: {shown} '{line}'\n".encode())

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


async def run_cmd(
    host: Host,
    test: Test,
    environment: Mapping[str, str],
    *,
    log: OutputLog,
    no_output_s: float,
    orphan_s: float,
    progress: Progress,
    handle: Handle | None,
    again: bool = False,
) -> Result:
    """Run `cmd` on the workload client; its output goes to the log and to the person who watches.

    It is not lost with the connection (but with `tty`); without dsi it goes on for `orphan_s`. `again`: another dsi has
    begun it under this `handle`, and this one goes on behind what the log has.

    Raises:
        NoOutput: it was silent for too long, and was ended.

    """

    async def pass_on(_stream: StreamName, block: bytes) -> None:
        log.write(block)
        progress.output(block)

    if again and handle is not None:
        return await host.resume(
            handle,
            test.cmd,
            skip_bytes=log.size_bytes(),
            outlives_s=orphan_s,
            no_output_s=no_output_s,
            on_output=pass_on,
        )
    return await host.run(
        test.cmd,
        env={"PYTHONUNBUFFERED": "1", **environment},
        no_output_s=no_output_s,
        on_output=pass_on,
        tty=test.tty,
        outlives_s=orphan_s,
        joined=True,
        handle=handle,
        check=False,
    )
