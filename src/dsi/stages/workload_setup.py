"""Stage workload_setup: what the tests' types need on the hosts, before there is a cluster."""

import structlog

from dsi import config
from dsi.runner import run_hook
from dsi.stages.hooks import hook
from dsi.stages.session import Session

log = structlog.get_logger()

STAGE = "workload_setup"


async def workload_setup(session: Session) -> None:
    """Run `workload_setup.<type>` once for each type in `test_control.run`, in the order of the tests.

    Raises:
        DsiError
    """
    tree = session.begin(STAGE)
    context = await session.context(tree)
    for test_type in dict.fromkeys(test.type for test in config.test_control(tree).run):
        path = f"{STAGE}.{test_type}"
        if not tree.has(path):
            log.info("there is nothing to set up for this type of test", type=test_type)
            continue
        await run_hook(path, hook(tree, path), context.into(path), session.progress)
