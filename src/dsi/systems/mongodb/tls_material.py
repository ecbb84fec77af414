"""A certificate authority for tests, and certificates that it has signed. Not for anything that is worth protecting."""

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dsi.clock import DAY, SYSTEM, utc

ALWAYS = ("localhost", "127.0.0.1")
"""What every server's certificate is for besides its names: tools on its own host look for it there."""

_LIFETIME = DAY * 3650
_EARLIER = DAY
"""Hosts' clocks differ."""

Issuer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def make(folder: Path, names: Sequence[str]) -> list[Path]:
    """Write `ca.pem`, `ca.key`, `server.pem` and `client.pem` (certificate and key), and give their paths.

    A CA that is there stays, so that clients that know it go on; the certificates are made anew. `server.pem` is for
    servers under any of these names (addresses or host names), as members of a replica set too.

    Raises:
        OSError: it can't be written.
        ValueError: what is there is no CA; or a name is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ca = _ca(folder / "ca.pem", folder / "ca.key")
    alternatives = [_name(name) for name in dict.fromkeys([*names, *ALWAYS])]
    server = _certificate(ca, "server", "servers", x509.SubjectAlternativeName(alternatives))
    client = _certificate(ca, "client", "clients", None)
    _write_secret(folder / "server.pem", server)
    _write_secret(folder / "client.pem", client)
    return [folder / name for name in ("ca.pem", "ca.key", "server.pem", "client.pem")]


def _ca(certificate_path: Path, key_path: Path) -> Issuer:
    if certificate_path.exists() and key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path} holds no key of dsi tls-material: take another folder")
        return x509.load_pem_x509_certificate(certificate_path.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("dsi test CA", "ca")
    certificate = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_secret(key_path, _pem(key))
    return certificate, key


def _certificate(ca: Issuer, name: str, unit: str, names: x509.SubjectAlternativeName | None) -> bytes:
    certificate, ca_key = ca
    key = ec.generate_private_key(ec.SECP256R1())
    # Members of a set are each other's clients, so both uses in both.
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_subject(name, unit), certificate.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + _pem(key)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = utc(SYSTEM.wall_s())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str, unit: str) -> x509.Name:
    """Name a certificate's owner. Servers and clients differ in their unit: a server takes its own for members."""
    parts = {NameOID.ORGANIZATION_NAME: "dsi", NameOID.ORGANIZATIONAL_UNIT_NAME: unit, NameOID.COMMON_NAME: name}
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first moment on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
