"""The dsisocket: the running workload sends commands, and gets answers. The protocol is in docs/dsisocket.md."""

from dsi.control.controls import Describe
from dsi.control.hearing import Hearing
from dsi.control.journal import Journal
from dsi.control.running import Execute, Run
from dsi.control.server import DsisocketServer, client_address, open_dsisocket
from dsi.control.work import GRACE_S, OnFailure

PROTOCOL_LEVEL = 2
"""The highest level of the protocol that is spoken here."""

__all__ = [
    "GRACE_S",
    "PROTOCOL_LEVEL",
    "Describe",
    "DsisocketServer",
    "Execute",
    "Hearing",
    "Journal",
    "OnFailure",
    "Run",
    "client_address",
    "open_dsisocket",
]
