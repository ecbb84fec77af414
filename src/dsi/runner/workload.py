"""The test's own command: started, listened to, and ended."""

from collections.abc import Mapping

from dsi.config.models import Test
from dsi.hosts.base import Handle, Host
from dsi.model import Result, StreamName
from dsi.report.progress import Progress
from dsi.runner.output_log import OutputLog


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
