"""`exec`: shell text."""

from pydantic import RootModel

from dsi.commands.context import Context
from dsi.hosts.base import Host
from dsi.model import Result


class Exec(RootModel[str]):
    """Runs shell text with bash in the home folder of the host's user; fails if the exit status is not 0."""

    async def run(self, context: Context, host: Host) -> Result:
        """Run it on one host."""
        return await context.shell(host, self.root)
