"""The dsisocket: the running workload sends commands, and gets answers. The protocol is in docs/dsisocket.md."""

from dsi.control.server import GRACE_S, DsisocketServer, client_address, open_dsisocket
from dsi.control.session import Execute

__all__ = ["GRACE_S", "DsisocketServer", "Execute", "client_address", "open_dsisocket"]
