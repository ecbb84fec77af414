"""What the stages of one dsi process share: the work directory, its configuration, the hosts and the clusters."""

from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from dsi import config, provisioning
from dsi.commands import Context
from dsi.config import Tree
from dsi.config import models as config_models
from dsi.errors import StateError
from dsi.hosts import this_machine
from dsi.inventory import Inventory
from dsi.report.folder import make_reports, newest_reports, show_reports
from dsi.report.output import OutputLog
from dsi.report.progress import Progress
from dsi.stages.copies import copy_configuration
from dsi.stages.dsisocket import forget_opened
from dsi.stages.load import load
from dsi.stages.task_results import TaskResults
from dsi.stages.validate import insist
from dsi.state import State
from dsi.systems.mongodb import Deployment, make_secrets
from dsi.timeline import Timeline

log = structlog.get_logger()


class Session:
    """One dsi process at work in one work directory.

    `tied`: local hosts that it makes live and die with this process. Used as `async with`; what was opened is closed at
    the end, and the work directory's lock is held until then.
    """

    def __init__(self, work_directory: Path, progress: Progress, *, tied: bool = False) -> None:
        self.work_directory = work_directory.resolve()
        self.progress = progress
        self.tied = tied
        self.state = State(self.work_directory)
        self.reports: Path | None = None
        self._reports_of_hooks: Path | None = None
        self.results: TaskResults | None = None
        self.timeline = Timeline(None)
        self.timeline.on_event = progress.event
        self._inventory: Inventory | None = None
        self._deployment: Deployment | None = None
        self._setup: config_models.MongodbSetup | None = None
        self._shown: set[str] = set()
        self._output = OutputLog()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Take the work directory for this process alone."""
        self._stack.enter_context(self.state.lock())
        forget_opened(self.state)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close connections and files, and free the work directory."""
        try:
            await self.disconnect()
            self._show_what_hooks_fetched()
        finally:
            self.timeline.close()
            await self._stack.aclose()

    def begin(self, stage: str) -> Tree:
        """Begin a stage, with the configuration as it is now.

        Raises:
            ConfigError
        """
        self.timeline.add("stage", stage=stage)
        return self.load()

    def load(self) -> Tree:
        """Read the configuration afresh, check all of it, and show what is doubtful.

        Raises:
            ConfigError
        """
        tree = load(self.work_directory, make_secrets)
        for warning in insist(tree):
            if str(warning) not in self._shown:
                self._shown.add(str(warning))
                log.warning(str(warning))
        return tree

    def start_reports(self) -> Path:
        """Give the reports folder of this run; the first time it is made, and the timeline goes there from then on."""
        if self.reports is None:
            self.reports = make_reports(self.work_directory)
            copy_configuration(self.work_directory, self.reports)
            self.timeline.move_to(self.reports / "timeline.jsonl")
            show_reports(self.reports)
        return self.reports

    def resume_reports(self, folder: Path) -> None:
        """Go on in the reports folder of a dsi that was killed."""
        self.reports = folder
        self.timeline.move_to(folder / "timeline.jsonl")

    async def inventory(self, tree: Tree) -> Inventory:
        """Connect to the hosts that provisioning gave.

        Raises:
            StateError: nothing was provisioned yet.
        """
        if self._inventory is None:
            settings = config.provisioning(tree)
            if settings.out is None:
                raise StateError(
                    f"there is no infrastructure_provisioning.out.yml in {self.work_directory}: "
                    "run `dsi provision` first"
                )
            entries = provisioning.entries_of(settings.out, settings.tfvars)
            provisioning.remember(self.state, entries)
            hosts = await provisioning.connect(entries, self.state, self.timeline.add, after_a_crash=True)
            self._inventory = Inventory(hosts, this_machine("localhost", self.work_directory))
            self.timeline.add("hosts", hosts=[entry.name for entry in entries])
        return self._inventory

    async def deployment(self, tree: Tree) -> Deployment:
        """Give the clusters of the topology as it is now, with the nodes that an earlier stage has started."""
        setup = config.mongodb_setup(tree)
        if self._deployment is not None and setup != self._setup:  # a hook has written other YAML, say
            await self._deployment.close()
            self._deployment = None
        if self._deployment is None:
            inventory = await self.inventory(tree)
            self._setup = setup
            self._deployment = Deployment(
                setup,
                lambda node: inventory.at(node.public_ip, node.private_ip),
                workload_clients=inventory.of_roles(["workload_client"]),
                state=self.state,
                prefix=config.provisioning(tree).server_prefix,
            )
            await self._deployment.attach()
        return self._deployment

    async def context(self, tree: Tree) -> Context:
        """Give what commands work with.

        Raises:
            StateError: nothing was provisioned yet.
        """
        inventory = await self.inventory(tree)  # first: without hosts the references to them stand for nothing
        setup = config.mongodb_setup(tree)
        url = tree.get("mongodb_setup.meta.mongodb_url") if setup.topology else None
        return Context(
            work_directory=self.work_directory,
            inventory=inventory,
            clusters=await self.deployment(tree),
            timeline=self.timeline,
            reports=self.reports or self._newest_reports(),
            mongodb_url=url,
            mongo_dir=setup.mongo_dir,
            environment={"MONGODB_URL": url} if url else {},
            orphan_s=config.test_control(tree).orphan_timeout,
            output=self._output.show,
        )

    async def disconnect(self) -> None:
        """Close connections; what runs on the hosts goes on. They are opened again when they are asked for."""
        deployment, inventory = self._deployment, self._inventory
        self._deployment = self._inventory = None
        if deployment is not None:
            await deployment.close()
        if inventory is not None:
            await inventory.close()

    def _newest_reports(self) -> Path:
        """Give where hooks put what they fetch, in a stage that begins no reports of its own."""
        self._reports_of_hooks = self._reports_of_hooks or newest_reports(self.work_directory)
        return self._reports_of_hooks

    def _show_what_hooks_fetched(self) -> None:
        fetched = self._reports_of_hooks
        if self.reports is None and fetched and fetched.name != "reports" and fetched.exists():
            show_reports(fetched)
