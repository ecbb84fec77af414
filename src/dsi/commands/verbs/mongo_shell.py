"""`exec_mongo_shell`: JavaScript for mongosh."""

import re
import secrets

from pydantic import BaseModel, ConfigDict

from dsi.commands.context import Context
from dsi.errors import Preflight
from dsi.hosts.base import Host
from dsi.model import Result

# The connection string comes by the environment, not by an argument: it may hold a password, and `ps` shows arguments.
_CONNECT = "db = connect(process.env.DSI_CONNECTION_STRING);\n"

_RUN = """\
trap 'rm -f {script}' EXIT
PATH="$PATH:$HOME/$DSI_MONGO_DIR/bin:$DSI_MONGO_DIR/bin"
if ! command -v mongosh >/dev/null; then
  echo "no mongosh on this host: put it on the PATH or into $DSI_MONGO_DIR/bin" >&2
  exit 127
fi
mongosh --nodb --quiet --norc --file {script}
"""


class ExecMongoShell(BaseModel):
    """Runs JavaScript with mongosh on the host, connected to the host's own node, else to the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    script: str
    connection_string: str | None = None

    async def run(self, context: Context, host: Host) -> Result:
        """Run it on one host."""
        script = f".dsi-mongosh-{secrets.token_hex(8)}.js"
        await host.write_file(script, (_CONNECT + self.script).encode(), mode=0o600)
        text = _RUN.format(script=script)
        env = {"DSI_CONNECTION_STRING": self._url(context, host), "DSI_MONGO_DIR": context.mongo_dir}
        return await context.shell(host, text, env=env)

    def _url(self, context: Context, host: Host) -> str:
        if self.connection_string:
            return _own_address(self.connection_string, context, host)
        own = context.clusters.url_on(host) if context.clusters else None
        url = own or context.mongodb_url
        if url is None:
            raise Preflight("exec_mongo_shell: there is no cluster to connect to; give a connection_string")
        return url


def _own_address(url: str, context: Context, host: Host) -> str:
    """On a local host `localhost` is this machine's; here alone it is translated to the host's own address."""
    address = context.inventory.local_address(host)
    if address is None:
        return url
    return re.sub(r"(?<![\w.-])(localhost|127\.0\.0\.1)(?=[:/,]|$)", address, url)
