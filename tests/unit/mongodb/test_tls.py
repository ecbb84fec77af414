"""`net.tls`: old spellings, and what clients are told."""

from pathlib import Path
from typing import Any

import pytest

from dsi.config.models import ClientTls, MongodbSetup
from dsi.errors import Preflight
from dsi.systems.mongodb import meta
from dsi.systems.mongodb.tls import client_tls, translated

SERVER = {"mode": "requireTLS", "CAFile": "tls/ca.pem", "certificateKeyFile": "tls/server.pem"}


def test_net_ssl_is_written_as_net_tls_and_what_stands_there_already_wins() -> None:
    old = {"mode": "preferSSL", "PEMKeyFile": "k", "PEMKeyPassword": "p", "CAFile": "c", "allowInvalidHostnames": True}
    assert translated({"port": 1, "ssl": old, "tls": {"CAFile": "new"}}) == {
        "port": 1,
        "tls": {
            "mode": "preferTLS",
            "certificateKeyFile": "k",
            "certificateKeyFilePassword": "p",
            "CAFile": "new",
            "allowInvalidHostnames": True,
        },
    }
    assert translated({"ssl": {"sslOnNormalPorts": True}}) == {"tls": {"mode": "requireTLS"}}
    assert translated({"port": 1}) == {"port": 1}


def url(tls: dict[str, Any], **fields: Any) -> str:
    node = {"cluster_type": "standalone", "public_ip": "h", "config_file": {"net": {"tls": tls}}}
    return str(meta(MongodbSetup.model_validate({"topology": [node], **fields}))["mongodb_url"])


def test_a_client_gets_the_servers_ca_and_its_certificate_where_one_is_asked_for() -> None:
    assert url(SERVER) == "mongodb://h:27017/?tls=true&tlsCAFile=tls/ca.pem&tlsCertificateKeyFile=tls/server.pem"
    without = {**SERVER, "allowConnectionsWithoutCertificates": True}
    assert url(without) == "mongodb://h:27017/?tls=true&tlsCAFile=tls/ca.pem"
    own = {"certificateKeyFile": "own/my client.pem", "certificateKeyFilePassword": "p&w"}
    assert url(without, client_tls=own).endswith(
        "tlsCertificateKeyFile=own/my%20client.pem&tlsCertificateKeyFilePassword=p%26w"
    )
    assert url({"mode": "disabled"}) == "mongodb://h:27017/"


def test_a_shell_gets_the_same_as_text() -> None:
    found = client_tls({"net": {"tls": SERVER}}, ClientTls(certificateKeyFile="c.pem"))
    assert found is not None
    assert found.shell_options() == "--tls --tlsCAFile tls/ca.pem --tlsCertificateKeyFile c.pem"


def test_a_file_that_is_not_on_this_machine_is_an_error_that_says_what_to_write(tmp_path: Path) -> None:
    found = client_tls({"net": {"tls": SERVER}}, ClientTls())
    assert found is not None
    with pytest.raises(Preflight, match=r"net\.tls\.CAFile: tls/ca\.pem .*\{client_tls: \{CAFile: PATH\}\}"):
        found.here(tmp_path)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/ca.pem").touch()
    (tmp_path / "tls/server.pem").touch()
    assert found.here(tmp_path).certificate_key_file == str(tmp_path / "tls/server.pem")
