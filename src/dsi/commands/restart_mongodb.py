"""`restart_mongodb`: stops and starts clusters, or some of their nodes."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, StrictBool, model_validator

from dsi.commands.context import Context
from dsi.commands.targets import Scope
from dsi.model import Result
from dsi.systems.mongodb import parse_selectors


class RestartMongodb(BaseModel):
    """A restart, clean unless `mode` says otherwise. It deletes only what it is asked to.

    `nodes` are ids of nodes, replica sets or clusters, or present roles: `rs0:primary`, `rs0:secondaries`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    needs_clusters: ClassVar[bool] = True

    clean_logs: StrictBool = False
    clean_db_dir: StrictBool = False
    nodes: list[str] | None = None
    mode: Literal["clean", "crash", "rolling"] = "clean"

    @model_validator(mode="after")
    def _makes_sense_together(self) -> "RestartMongodb":
        if self.nodes == []:
            raise ValueError("nodes is empty, and nothing would be restarted: leave it out to restart all clusters")
        if self.nodes is not None and self.clean_db_dir:
            raise ValueError(
                "nodes with clean_db_dir: true is refused, since the rest of the cluster keeps its data: "
                "leave out one of them"
            )
        if self.mode != "clean" and self.clean_db_dir:
            why = "there is nothing to recover" if self.mode == "crash" else "all members would have to stop for it"
            raise ValueError(
                f"mode: {self.mode} with clean_db_dir: true is refused, since {why}: leave out one of them"
            )
        return self

    def check(self, scope: Scope) -> None:
        """Check what it names against what there is.

        Raises:
            InvalidCommand: an id that nothing has, a role that there isn't.

        """
        parse_selectors(self.nodes or (), scope.ids, scope.replica_sets, path="restart_mongodb.nodes")

    async def run(self, context: Context) -> list[Result]:
        """Restart, and return when what was restarted is whole again."""
        assert context.clusters is not None, "parse() refuses this command where there are no clusters"
        async with context.changing.held("restart_mongodb", context.listener):
            fields: dict[str, Any] = self.model_dump(exclude_none=True)
            with context.timeline.span("restart_mongodb", **fields) as ending:
                report = await context.clusters.restart(
                    clean_logs=self.clean_logs, clean_db_dir=self.clean_db_dir, nodes=self.nodes, mode=self.mode
                )
                ending["restarted"] = report.restarted
                ending["writes_refused_s"] = report.writes_refused_s
        return []
