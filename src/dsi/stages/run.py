"""The whole lifecycle in one process: every stage whose file is there, then teardown."""

from dsi.runner import TaskOutcome
from dsi.stages.bootstrap import bootstrap
from dsi.stages.mongodb_setup import mongodb_setup
from dsi.stages.provision import provision
from dsi.stages.session import Session
from dsi.stages.teardown import teardown
from dsi.stages.test_control import test_control
from dsi.stages.workload_setup import workload_setup


async def run(session: Session, *, keep: bool = False) -> TaskOutcome | None:
    """Run the stages; None where there is no test_control.yml.

    `keep`: hosts and clusters stay as they are, for `dsi conn` and `dsi test-control`; `dsi teardown` ends them.

    Raises:
        DsiError: what broke a stage. Teardown has run then too (unless `keep`).
    """

    def there(stage: str) -> bool:
        return (session.work_directory / f"{stage}.yml").exists()

    outcome = None
    if there("bootstrap"):
        bootstrap(session.work_directory)
    session.start_reports()
    try:
        if there("infrastructure_provisioning"):
            await provision(session)
        if there("workload_setup"):
            await workload_setup(session)
        if there("mongodb_setup"):
            await mongodb_setup(session)
        if there("test_control"):
            outcome = await test_control(session)
    finally:
        if not keep:
            await teardown(session)
    return outcome
