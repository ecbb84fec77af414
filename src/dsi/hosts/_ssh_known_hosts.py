"""Host keys: a new one is written down (`accept-new`), a changed one ends the login."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """The key that a host showed isn't the one that is known of it."""

    label: str
    known: asyncssh.SSHKey
    shown: asyncssh.SSHKey
    file: Path
    line: int

    def __str__(self) -> str:
        return (
            f"the host key of {self.label} has changed: known is {_fingerprint(self.known)}, "
            f"shown was {_fingerprint(self.shown)}. If the host was installed anew, remove line {self.line} of "
            f"{self.file}; if not, somebody may be listening in between"
        )


class KnownHosts:
    """One known_hosts file, as ssh writes it; `changed` is set when a login was refused over it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.changed: ChangedKey | None = None

    def client(self) -> asyncssh.SSHClient:
        """Make what asyncssh asks about the keys of the servers that it meets."""
        return _Client(self)

    def algorithms(self, address: str, port: int | None) -> list[str]:
        """Give the signature algorithms of the keys that are known of a host, to be asked for first."""
        label = _label(address, port or 22)
        known = [key for names, key, _ in self._entries() if label in names]
        return [name.decode() for key in known for name in key.sig_algorithms]

    def accept(self, address: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether this key may be trusted: it is known, or nothing was known of that host and it is written down."""
        label = _label(address, port)
        entries = [(known, line) for names, known, line in self._entries() if label in names]
        if any(known == key for known, _ in entries):
            return True
        if entries:
            known, line = entries[0]
            self.changed = ChangedKey(label, known, key, self.file, line)
            return False
        self._add(label, key)
        return True

    def _entries(self) -> Iterator[tuple[list[str], asyncssh.SSHKey, int]]:
        try:
            text = self.file.read_text()
        except FileNotFoundError:
            return
        for line, row in enumerate(text.splitlines(), 1):
            names, _, key = row.strip().partition(" ")
            with contextlib.suppress(asyncssh.KeyImportError):
                yield names.split(","), asyncssh.import_public_key(key), line

    def _add(self, label: str, key: asyncssh.SSHKey) -> None:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        row = f"{label} ".encode() + key.export_public_key().split(b"\n")[0] + b"\n"
        # One write to a file opened for appending: several logins at once don't mix their lines.
        file = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, row)
        finally:
            os.close(file)


class _Client(asyncssh.SSHClient):
    def __init__(self, known_hosts: KnownHosts) -> None:
        self._known_hosts = known_hosts

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called by asyncssh for each key, since it is told of no trusted ones."""
        return self._known_hosts.accept(host, port, key)


def _label(address: str, port: int) -> str:
    return address if port == 22 else f"[{address}]:{port}"


def _fingerprint(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
