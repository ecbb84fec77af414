"""How dsi itself gets into a server."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dsi.systems.mongodb.tls import ClientTls

_SYSTEM = {"username": "__system", "authSource": "local", "authMechanism": "SCRAM-SHA-256"}
"""The user that whoever has the key file is: https://www.mongodb.com/docs/manual/reference/built-in-roles/#__system"""

_MEMBER = {"authSource": "$external", "authMechanism": "MONGODB-X509"}
"""The same user, for who has a member's certificate: https://www.mongodb.com/docs/manual/core/security-internal-authentication/"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`key`: what is in the servers' key file; None where they have none. `tls`: None where they do without.

    Where members know each other by certificates, `tls` has one of these, and there is no key.

    `folder` is the work directory, in which the files of `tls` lie.
    """

    key: str | None = field(default=None, repr=False)
    tls: ClientTls | None = None
    folder: Path = Path()

    def record(self) -> dict[str, Any]:
        """Give what is kept of it between two dsi processes; the key is kept by itself."""
        return {"has_key": self.key is not None, "tls": self.tls and asdict(self.tls)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any], *, key: str | None, folder: Path) -> "Access":
        """Give it again."""
        tls = record.get("tls")
        return cls(key=key if record.get("has_key") else None, tls=ClientTls(**tls) if tls else None, folder=folder)

    def driver_options(self) -> dict[str, Any]:
        """Give what the driver must be told.

        Raises:
            Preflight: a certificate isn't on this machine.
        """
        return {**self._login(), **self._tls_options()}

    def insist(self) -> None:
        """Go on only with all that is needed to get in.

        Raises:
            Preflight: a certificate isn't on this machine.
        """
        self.driver_options()

    def _login(self) -> dict[str, Any]:
        if self.tls and self.tls.of_member:
            return dict(_MEMBER)
        return {**_SYSTEM, "password": self.key} if self.key else {}

    def _tls_options(self) -> dict[str, Any]:
        if self.tls is None:
            return {}
        here = self.tls.here(self.folder)
        options = {
            "tls": True,
            "tlsCAFile": here.ca_file,
            "tlsCertificateKeyFile": here.certificate_key_file,
            "tlsCertificateKeyFilePassword": here.password,
            "tlsAllowInvalidCertificates": here.any_certificate or None,
            # It connects to a forward or to loopback, which is in no certificate. That the certificate is for
            # the node's address is seen to once, when it was started: see `certificate`.
            "tlsAllowInvalidHostnames": True,
        }
        return {name: value for name, value in options.items() if value is not None}
