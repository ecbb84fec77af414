"""`upload_files`, `upload_repo_files`, `retrieve_files`: files and folders to a host and from it."""

import os
from importlib import resources
from pathlib import Path, PurePosixPath

import structlog
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from dsi.commands.context import Context
from dsi.errors import SourceMissing
from dsi.hosts.base import Host

log = structlog.get_logger()


class CopySpec(BaseModel):
    """One thing to copy. For an upload `target` is on the host; for a retrieval `source` is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1)
    target: str = Field(min_length=1)


class RetrieveSpec(CopySpec):
    """One thing to fetch; `target` lies in the reports, never outside."""

    @field_validator("target")
    @classmethod
    def _inside(cls, target: str) -> str:
        path = PurePosixPath(target)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f'target "{target}" must lie below the reports folder: no leading "/", no ".."')
        return target


class UploadFiles(RootModel[list[CopySpec]]):
    """Copies files or folders of the work directory to the host; permissions are kept."""

    async def run(self, context: Context, host: Host) -> None:
        """Copy to one host."""
        for spec in self.root:
            await host.put(_local(spec.source, context), spec.target)


class UploadRepoFiles(RootModel[list[CopySpec]]):
    """The same; a source is looked for in the work directory, in `$DSI_PATH`, and among dsi's own files."""

    async def run(self, context: Context, host: Host) -> None:
        """Copy to one host."""
        for spec in self.root:
            await host.put(_find(spec.source, context, host), spec.target)


class RetrieveFiles(RootModel[list[RetrieveSpec]]):
    """Copies files or folders from the host to `reports/<test id or hook>/<host>/<target>`.

    A source that isn't there is a warning: after a failure some files are missing, and the others wanted all the more.
    """

    async def run(self, context: Context, host: Host) -> None:
        """Fetch from one host."""
        for spec in self.root:
            target = context.reports / host.name / spec.target
            try:
                await host.get(spec.source, target)
            except SourceMissing as missing:
                context.timeline.add("warning", host=host.name, message=str(missing))
                log.warning("nothing to retrieve", host=host.name, source=spec.source)


def _local(source: str, context: Context) -> Path:
    return context.work_directory / Path(source).expanduser()


def _find(source: str, context: Context, host: Host) -> Path:
    own = resources.files("dsi")
    roots = [context.work_directory, Path(str(own))]
    if dsi_path := os.environ.get("DSI_PATH"):
        roots.insert(1, Path(dsi_path))
    for root in roots:
        if (root / source).exists():
            return root / source
    raise SourceMissing(
        host.name,
        f"upload_repo_files: {source} is neither in the work directory ({context.work_directory}), nor in $DSI_PATH "
        f"({dsi_path or 'not set'}), nor among dsi's own files ({own})",
    )
