"""A fake mongos, for tests alone: no package index has the real one.

Not a router: it carries no reads or writes. What it does is what dsi asks of a mongos: it takes a configuration file
and refuses what mongos refuses, comes up once its config servers have a primary that takes its key, answers `hello` as
mongos does, and ends on `shutdown` and SIGTERM. So the cluster behind it is a real one.

Each client has a connection of its own to the config servers' primary. Logging in and users are handed on to it as they
are; `addShard`, `balancerStop` and `listShards` go there too, as the internal commands that a real mongos uses for
them. So real servers see to who somebody is, and what they may do.

    fake_mongos.py --config FILE
    fake_mongos.py --version
"""

import datetime
import json
import logging
import os
import re
import signal
import socket
import socketserver
import ssl
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
from pymongo import MongoClient
from pymongo.errors import PyMongoError

Document = dict[str, Any]

SECTIONS = {"net", "processManagement", "setParameter", "sharding", "systemLog", "security"}
SECURITY = {"keyFile", "clusterAuthMode", "transitionToAuth", "javascriptEnabled"}
"""https://www.mongodb.com/docs/manual/reference/configuration-options/: `security.authorization` is mongod's alone."""
TLS_MODES = {None, "disabled", "requireTLS"}
"""A real one knows others, too."""
REPLICA_SET = re.compile(r"(?P<name>[^/]+)/(?P<hosts>[^:,/]+:\d+(,[^:,/]+:\d+)*)")

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
UNAUTHORIZED, NO_SUCH_COMMAND = 13, 59
LIMIT_S = 120
LOGIN = {"saslStart", "saslContinue", "authenticate", "logout"}
HANDED_ON = LOGIN | {"ping", "endSessions", "connectionStatus", "usersInfo", "rolesInfo", "createUser", "dropUser"}
ASKED_OF_HELLO = ("saslSupportedMechs", "speculativeAuthenticate")


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write("mongos version v6.0.5\nA stand-in for tests, no mongos.\n")
        return
    flag, path = sys.argv[1:]
    assert flag == "--config"
    config = json.loads(Path(path).read_text())
    name, hosts = checked(config)
    logging.basicConfig(filename=config["systemLog"]["path"], level=logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Handler.config_servers = ConfigServers(name, hosts, config)
    Handler.tls = server_tls(config["net"].get("tls") or {})
    logging.info("waiting for connections")
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer((config["net"]["bindIp"], config["net"]["port"]), Handler) as server:
        server.daemon_threads = True
        server.serve_forever()


# --- its configuration --------------------------------------------------------------------------------------


def checked(config: Document) -> tuple[str, list[str]]:
    """Refuse what mongos refuses, in its words; give the config servers' replica set and its members."""
    security = config.get("security", {})
    unknown = [f"{section}.{next(iter(config[section]), '')}" for section in config if section not in SECTIONS]
    for option in [*unknown, *(f"security.{name}" for name in security if name not in SECURITY)]:
        sys.exit(refusal(f"Unrecognized option: {option}"))
    if "keyFile" in security and Path(security["keyFile"]).stat().st_mode & 0o077:
        sys.exit(refusal(f"permissions on {security['keyFile']} are too open"))
    if (config["net"].get("tls") or {}).get("mode") not in TLS_MODES:
        sys.exit(refusal(f"this stand-in knows no other net.tls.mode than {TLS_MODES}"))
    given = config.get("sharding", {})
    if set(given) != {"configDB"}:
        sys.exit(refusal("BadValue: error: no args for --configdb" if not given else f"Unrecognized option: {given}"))
    found = REPLICA_SET.fullmatch(given["configDB"])
    if found is None:
        sys.exit(refusal(f"BadValue: configdb supports only replica set connection string: {given['configDB']}"))
    return found["name"], found["hosts"].split(",")


def refusal(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 2


def server_tls(tls: Document) -> ssl.SSLContext | None:
    """Give what clients are met with; None where they come in plain."""
    if tls.get("mode") != "requireTLS":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["certificateKeyFile"], password=tls.get("certificateKeyFilePassword"))
    if tls.get("CAFile"):
        context.load_verify_locations(tls["CAFile"])
        lenient = tls.get("allowConnectionsWithoutCertificates")
        context.verify_mode = ssl.CERT_OPTIONAL if lenient else ssl.CERT_REQUIRED
    return context


# --- messages -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One message: https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md."""

    number: int
    kind: int
    body: bytes

    @property
    def document(self) -> Document:
        if self.kind == OP_QUERY:  # a driver's very first hello
            return bson.decode(self.body[self.body.index(b"\0", 4) + 9 :])
        if self.kind == OP_REPLY:
            return bson.decode(self.body[20:])
        assert self.kind == OP_MSG
        assert self.body[4] == 0, "one section of kind 0 is all that commands of dsi have"
        return bson.decode(self.body[5:])

    def answered(self, document: Document) -> bytes:
        if self.kind == OP_QUERY:
            return packed(OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(document), to=self.number)
        return packed(OP_MSG, b"\0" * 5 + bson.encode(document), to=self.number)


def packed(kind: int, body: bytes, *, number: int = 1, to: int = 0) -> bytes:
    return struct.pack("<iiii", len(body) + 16, number, to, kind) + body


def received(connection: socket.socket) -> tuple[Message, int]:
    """Give the next message, and which one it answers."""
    length, number, to, kind = struct.unpack("<iiii", exactly(connection, 16))
    return Message(number, kind, exactly(connection, length - 16)), to


def exactly(connection: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        more = connection.recv(count - len(read))
        if not more:
            raise ConnectionError("closed")
        read += more
    return read


# --- the config servers -------------------------------------------------------------------------------------


class ConfigServers:
    """Where their primary is, and connections to it."""

    def __init__(self, name: str, hosts: list[str], config: Document) -> None:
        key = config.get("security", {}).get("keyFile")
        tls = config["net"].get("tls") or {}
        options: Document = {"replicaSet": name, "serverSelectionTimeoutMS": LIMIT_S * 1000}
        if key:
            options |= {"username": "__system", "password": Path(key).read_text().strip(), "authSource": "local"}
            options |= {"authMechanism": "SCRAM-SHA-256"}
        by_certificate = config.get("security", {}).get("clusterAuthMode") == "x509"
        if by_certificate:
            options |= {"authSource": "$external", "authMechanism": "MONGODB-X509"}
        self._tls: ssl.SSLContext | None = None
        if server_tls(tls):
            self._tls = ssl.create_default_context(cafile=tls["CAFile"])
            self._tls.load_cert_chain(tls["certificateKeyFile"])
            options |= {"tls": True, "tlsCAFile": tls["CAFile"], "tlsCertificateKeyFile": tls["certificateKeyFile"]}
        self.have_users = key is not None or by_certificate
        self._client: MongoClient[Document] = MongoClient(hosts, **options)
        logging.info("waiting for a primary of the config servers")
        try:
            self._client.config.version.find_one()
        except PyMongoError as problem:
            sys.exit(refusal(f"Error initializing sharding system: {problem}"))

    def connect(self) -> socket.socket:
        """Connect to their primary as nobody yet.

        Raises:
            OSError, PyMongoError: there is none.
        """
        place = self._client.address
        assert place is not None
        connection = socket.create_connection(place, timeout=LIMIT_S)
        return self._tls.wrap_socket(connection, server_hostname=place[0]) if self._tls else connection


# --- one client ---------------------------------------------------------------------------------------------


class Handler(socketserver.BaseRequestHandler):
    """One client, with its own connection to the config servers. Where that breaks, the client's ends."""

    config_servers: ConfigServers
    tls: ssl.SSLContext | None
    request: socket.socket
    upstream: socket.socket | None = None

    def handle(self) -> None:
        try:
            client = self.tls.wrap_socket(self.request, server_side=True) if self.tls else self.request
            while True:
                message, _ = received(client)
                client.sendall(self.answer(message))
        except (OSError, PyMongoError) as problem:
            logging.info("connection ended: %s", problem)

    def finish(self) -> None:
        if self.upstream:
            self.upstream.close()

    def answer(self, message: Message) -> bytes:
        asked = message.document
        command = next(iter(asked))
        if command in HANDED_ON:
            answered = self.hand_on(message)
            return packed(answered.kind, answered.body, to=message.number)
        return message.answered(self.result(command, asked, message))

    def result(self, command: str, asked: Document, message: Message) -> Document:
        match command:
            case "hello" | "ismaster" | "isMaster":
                return self.hello(asked, message)
            case "shutdown":
                if self.may_shut_down():
                    os._exit(0)  # as mongos does: the connection just ends
                return {"ok": 0.0, "errmsg": "command shutdown requires authentication", "code": UNAUTHORIZED}
            case "addShard":
                majority = {"w": "majority"}
                return self.ask("admin", _configsvrAddShard=asked[command], name=asked["name"], writeConcern=majority)
            case "balancerStop":
                return self.ask("admin", _configsvrBalancerStop=1)
            case "listShards":
                found = self.ask("config", find="shards")
                return {"shards": found["cursor"]["firstBatch"], "ok": 1.0} if found["ok"] else found
        return {"ok": 0.0, "errmsg": f"no such command: '{command}'", "code": NO_SUCH_COMMAND}

    def hello(self, asked: Document, message: Message) -> Document:
        """Answer as a mongos; what is asked of how to log in, the config servers say."""
        if not any(name in asked for name in ASKED_OF_HELLO):
            return hello()
        theirs = self.hand_on(message).document
        return {**hello(), **{name: theirs[name] for name in ASKED_OF_HELLO if name in theirs}}

    def may_shut_down(self) -> bool:
        if not self.config_servers.have_users:
            return True
        return bool(self.ask("admin", connectionStatus=1)["authInfo"]["authenticatedUsers"])

    def ask(self, database: str, **command: Any) -> Document:
        return self.hand_on(Message(1, OP_MSG, b"\0" * 5 + bson.encode({**command, "$db": database}))).document

    def hand_on(self, message: Message) -> Message:
        """Have the config servers' primary answer it, with what this client is there."""
        if self.upstream is None:
            self.upstream = self.config_servers.connect()
        self.upstream.sendall(packed(message.kind, message.body, number=message.number))
        answered, to = received(self.upstream)
        assert to == message.number
        return answered


def hello() -> Document:
    return {
        "isWritablePrimary": True,
        "ismaster": True,
        "helloOk": True,
        "msg": "isdbgrid",
        "maxBsonObjectSize": 16 * 1024 * 1024,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": datetime.datetime.now(datetime.UTC),
        "minWireVersion": 0,
        "maxWireVersion": 17,
        "ok": 1.0,
    }


if __name__ == "__main__":
    main()
