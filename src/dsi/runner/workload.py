"""The test's own command: started, listened to, and ended."""

from collections.abc import Mapping

from dsi.config.models import Test
from dsi.hosts.base import Handle, Host, OnLimit
from dsi.model import Result, StreamName
from dsi.report.progress import Progress
from dsi.runner.output_log import OutputLog
from dsi.runner.plan import Limits


async def run_cmd(
    host: Host,
    test: Test,
    environment: Mapping[str, str],
    *,
    log: OutputLog,
    limits: Limits,
    on_limit: OnLimit,
    orphan_s: float,
    progress: Progress,
    handle: Handle | None,
    again: bool = False,
) -> Result:
    """Run `cmd` on the workload client; its output goes to the log and to the person who watches.

    It is not lost with the connection (but with `tty`); without dsi it goes on for `orphan_s`. `again`: another dsi has
    begun it under this `handle`, and this one goes on behind what the log has.

    Raises:
        CommandTimeout, NoOutput: it took too long, or was silent for too long; `on_limit` was told, and it was ended.

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
            timeout_s=limits.max_time_s,
            no_output_s=limits.no_output_s,
            on_output=pass_on,
            on_limit=on_limit,
        )
    return await host.run(
        test.cmd,
        env={"PYTHONUNBUFFERED": "1", **environment},
        timeout_s=limits.max_time_s,
        no_output_s=limits.no_output_s,
        on_output=pass_on,
        on_limit=on_limit,
        tty=test.tty,
        outlives_s=orphan_s,
        joined=True,
        handle=handle,
        check=False,
    )
