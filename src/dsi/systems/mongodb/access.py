"""How dsi itself gets into a server."""

from dataclasses import dataclass, field
from typing import Any

_SYSTEM = {"username": "__system", "authSource": "local", "authMechanism": "SCRAM-SHA-256"}
"""The user that whoever has the key file is: https://www.mongodb.com/docs/manual/reference/built-in-roles/#__system"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`key`: what is in the servers' key file; None where they have none."""

    key: str | None = field(default=None, repr=False)

    def driver_options(self) -> dict[str, Any]:
        """Give what the driver must be told."""
        return {**_SYSTEM, "password": self.key} if self.key else {}
