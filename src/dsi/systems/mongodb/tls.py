"""`net.tls` of a server's configuration: old spellings, and what its clients need for it. Pure."""

import shlex
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dsi.config import models
from dsi.errors import Preflight

_OLD_MODES = {"requireSSL": "requireTLS", "preferSSL": "preferTLS", "allowSSL": "allowTLS"}
_OLD_NAMES = {
    "PEMKeyFile": "certificateKeyFile",
    "PEMKeyPassword": "certificateKeyFilePassword",
    "weakCertificateValidation": "allowConnectionsWithoutCertificates",
}
"""What has another name in `net.tls` than in `net.ssl`:
https://www.mongodb.com/docs/manual/reference/configuration-options/#net.tls-options"""


def translated(net: Mapping[str, Any]) -> dict[str, Any]:
    """Give a `net` section with `net.ssl` written as `net.tls`; what stands in `net.tls` already wins."""
    made = dict(net)
    old = made.pop("ssl", None) or {}
    tls = {_OLD_NAMES.get(name, name): value for name, value in old.items() if name != "sslOnNormalPorts"}
    if old.get("sslOnNormalPorts"):
        tls.setdefault("mode", "requireTLS")
    tls |= made.get("tls") or {}
    if tls:
        given = tls.get("mode")
        made["tls"] = {**tls, **({"mode": _OLD_MODES.get(given, given)} if given is not None else {})}
    return made


def mode(net: Mapping[str, Any]) -> str:
    """Give `net.tls.mode` of a `net` section, in whichever spelling; `disabled` where there is none."""
    return str((translated(net).get("tls") or {}).get("mode") or "disabled")


def old_spellings(net: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is written in the old way, each with its new spelling: `net.ssl.PEMKeyFile`, `net.tls.…`."""
    for name, value in (net.get("ssl") or {}).items():
        if name == "sslOnNormalPorts":
            yield "net.ssl.sslOnNormalPorts", "net.tls.mode: requireTLS"
        elif name == "mode":
            yield "net.ssl.mode", f"net.tls.mode: {_OLD_MODES.get(value, value)}"
        else:
            yield f"net.ssl.{name}", f"net.tls.{_OLD_NAMES.get(name, name)}"
    written = (net.get("tls") or {}).get("mode")
    if written in _OLD_MODES:
        yield "net.tls.mode", f"net.tls.mode: {_OLD_MODES[written]}"


_SERVERS_FILE = ("certificateKeyFile", "certificateKeyFilePassword")
_MEMBERS_FILE = ("clusterFile", "clusterPassword")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """What a client of one server needs.

    The files' paths are as the configuration has them: relative to the home folder on hosts, to the work directory
    here. `of_member`: the certificate is one by which members know each other, and lets in as `__system`.
    `keys` says, for errors, where in the configuration each file is named.
    """

    ca_file: str | None = None
    certificate_key_file: str | None = None
    password: str | None = field(default=None, repr=False)
    any_certificate: bool = False
    any_name: bool = False
    of_member: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)

    def url_options(self) -> list[str]:
        """Give the options of a connection string, `NAME=VALUE`."""
        options = {
            "tls": "true",
            "tlsCAFile": self.ca_file,
            "tlsCertificateKeyFile": self.certificate_key_file,
            "tlsCertificateKeyFilePassword": self.password,
            "tlsAllowInvalidCertificates": "true" if self.any_certificate else None,
            "tlsAllowInvalidHostnames": "true" if self.any_name and not self.any_certificate else None,
        }
        return [f"{name}={urllib.parse.quote(value, safe='/')}" for name, value in options.items() if value]

    def shell_options(self) -> str:
        """Give the options of a mongo shell, as text; without the password of the key, which `ps` would show."""
        files = {"--tlsCAFile": self.ca_file, "--tlsCertificateKeyFile": self.certificate_key_file}
        flags = {"--tlsAllowInvalidCertificates": self.any_certificate, "--tlsAllowInvalidHostnames": self.any_name}
        words = [word for name, path in files.items() if path for word in (name, path)]
        return shlex.join(["--tls", *words, *(name for name, wanted in flags.items() if wanted)])

    def here(self, work_directory: Path) -> "ClientTls":
        """Give the same with the files as they lie on this machine.

        Raises:
            Preflight: one isn't there.
        """
        return ClientTls(
            ca_file=_here(work_directory, self.ca_file, self.keys.get("CAFile", "")),
            certificate_key_file=_here(
                work_directory,
                self.certificate_key_file,
                self.keys.get("certificateKeyFile", ""),
                only_this=self.of_member,
            ),
            password=self.password,
            any_certificate=self.any_certificate,
            any_name=self.any_name,
            of_member=self.of_member,
        )


def client_tls(config: Mapping[str, Any], own: models.ClientTls) -> ClientTls | None:
    """Give what clients of a server with this configuration need; None where it does without TLS.

    `own` is `mongodb_setup.client_tls`. What it leaves out is as the server's own: its CA, and its certificate where
    it asks clients for one.
    """
    tls = translated(config.get("net") or {}).get("tls") or {}
    if tls.get("mode") in (None, "disabled"):
        return None
    asks = tls.get("CAFile") and not tls.get("allowConnectionsWithoutCertificates")
    servers = not own.certificateKeyFile and asks
    return ClientTls(
        ca_file=own.CAFile or tls.get("CAFile"),
        certificate_key_file=tls.get("certificateKeyFile") if servers else own.certificateKeyFile,
        password=tls.get("certificateKeyFilePassword") if servers else own.certificateKeyFilePassword,
        any_certificate=bool(tls.get("allowInvalidCertificates")),
        any_name=bool(tls.get("allowInvalidHostnames")),
        keys={
            "CAFile": "client_tls.CAFile" if own.CAFile else "net.tls.CAFile",
            "certificateKeyFile": "net.tls.certificateKeyFile" if servers else "client_tls.certificateKeyFile",
        },
    )


def member_tls(config: Mapping[str, Any], own: models.ClientTls) -> ClientTls | None:
    """Give what dsi needs where members know each other by certificates (`clusterAuthMode: x509`): one of theirs."""
    found = client_tls(config, own)
    tls = translated(config.get("net") or {}).get("tls") or {}
    name, password = _MEMBERS_FILE if tls.get("clusterFile") else _SERVERS_FILE
    return found and replace(
        found,
        certificate_key_file=tls.get(name),
        password=tls.get(password),
        of_member=True,
        keys={**found.keys, "certificateKeyFile": f"net.tls.{name}"},
    )


def _here(work_directory: Path, path: str | None, key: str, *, only_this: bool = False) -> str | None:
    if not path:
        return None
    found = work_directory / path
    if not found.is_file():
        own = f", or name one by mongodb_setup: {{client_tls: {{{key.rpartition('.')[2]}: PATH}}}}"
        remedy = f"Put a copy there{'' if only_this else own}, relative to the work directory"
        raise Preflight(f"{key}: {path} is on the hosts, and dsi needs it, too: there is no {found}. {remedy}")
    return str(found)
