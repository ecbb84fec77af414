"""The verbs under a target. A new one is a file here and a line in `HOST_VERBS`."""

from collections.abc import Mapping
from typing import Final, Protocol

from pydantic import BaseModel

from dsi.commands.context import Context
from dsi.commands.verbs.checkout_repos import CheckoutRepos
from dsi.commands.verbs.exec import Exec
from dsi.commands.verbs.files import RetrieveFiles, UploadFiles, UploadRepoFiles
from dsi.commands.verbs.mongo_shell import ExecMongoShell
from dsi.hosts.base import Host
from dsi.model import Result


class HostVerb(Protocol):
    """What can be done on one host."""

    async def run(self, context: Context, host: Host) -> Result | None:
        """Do it; the result of a shell command, else None.

        Raises:
            DsiError

        """
        ...


HOST_VERBS: Final[Mapping[str, type[BaseModel]]] = {
    "exec": Exec,
    "exec_mongo_shell": ExecMongoShell,
    "upload_files": UploadFiles,
    "upload_repo_files": UploadRepoFiles,
    "retrieve_files": RetrieveFiles,
    "checkout_repos": CheckoutRepos,
}

NOT_YET: Final = ("network_delays",)
"""Specified verbs that this version refuses."""
