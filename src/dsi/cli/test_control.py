"""`dsi test-control`."""

from pathlib import Path
from typing import Annotated

import typer

from dsi.cli.console import WorkDirectory
from dsi.cli.launch import launch
from dsi.cli.show import Ending
from dsi.stages.session import Session
from dsi.stages.test_control import attach as go_on
from dsi.stages.test_control import test_control

OriginalExitStatus = Annotated[
    bool,
    typer.Option("--original-exit-status", help="Exit with 0 unless all tests failed, as the original DSI did."),
]


Attach = Annotated[
    bool,
    typer.Option("--attach", help="Go on with the test whose cmd ran when dsi was killed (workload client over SSH)."),
]


def command(
    work_dir: WorkDirectory = Path(), original_exit_status: OriginalExitStatus = False, attach: Attach = False
) -> None:
    """Run the tests of test_control.yml; exit status 0: all passed, 1: some failed, 2: configuration, 3: error."""

    async def tests(session: Session) -> Ending:
        return Ending(session, await (go_on(session) if attach else test_control(session)))

    raise typer.Exit(launch(work_dir, tests).show(original_exit_status=original_exit_status))
