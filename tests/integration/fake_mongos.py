"""A fake mongos, for tests alone: no package index has the real one.

Not a router: it carries no reads or writes. What it does is what dsi asks of a mongos: it takes a configuration file
and refuses what mongos refuses, comes up once its config servers have a primary, answers `hello` as mongos does, hands
`addShard`, `balancerStop` and `listShards` on to the real config servers (by the internal commands that a real mongos
uses for that), and ends on `shutdown` and SIGTERM. So the cluster behind it is a real one.

    fake_mongos.py --config FILE
    fake_mongos.py --version
"""

import datetime
import json
import logging
import os
import re
import socketserver
import struct
import sys
from pathlib import Path
from typing import Any

import bson
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

Document = dict[str, Any]

SECTIONS = {"net", "processManagement", "setParameter", "sharding", "systemLog", "security"}
REPLICA_SET = re.compile(r"(?P<name>[^/]+)/(?P<hosts>[^:,/]+:\d+(,[^:,/]+:\d+)*)")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
NO_SUCH_COMMAND = 59


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write("mongos version v6.0.5\nA stand-in for tests, no mongos.\n")
        return
    flag, path = sys.argv[1:]
    assert flag == "--config"
    config = json.loads(Path(path).read_text())
    name, hosts = checked(config)
    logging.basicConfig(filename=config["systemLog"]["path"], level=logging.INFO)
    logging.info("waiting for a primary of the config servers")
    client: MongoClient[Document] = MongoClient(hosts, replicaSet=name, serverSelectionTimeoutMS=120_000)
    client.admin.command("ping")
    logging.info("waiting for connections")
    Handler.config_servers = client
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer((config["net"]["bindIp"], config["net"]["port"]), Handler) as server:
        server.daemon_threads = True
        server.serve_forever()


def checked(config: Document) -> tuple[str, list[str]]:
    """Refuse what mongos refuses, in its words; give the config servers' replica set and its members."""
    for section in config:
        if section not in SECTIONS:
            option = next(iter(config[section]), "")
            sys.exit(refusal(f"Unrecognized option: {section}.{option}"))
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


class Handler(socketserver.StreamRequestHandler):
    """One connection: https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md."""

    config_servers: MongoClient[Document]

    def handle(self) -> None:
        while header := self.rfile.read(16):
            length, request, _, kind = struct.unpack("<iiii", header)
            body = self.rfile.read(length - 16)
            if kind == OP_QUERY:  # a driver's very first hello
                start = body.index(b"\0", 4) + 9
                answer = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(self.answer(bson.decode(body[start:])))
                self.send(request, OP_REPLY, answer)
            else:
                assert kind == OP_MSG
                assert body[4] == 0, "one section of kind 0 is all that commands of dsi have"
                self.send(request, OP_MSG, b"\0" * 5 + bson.encode(self.answer(bson.decode(body[5:]))))

    def send(self, request: int, kind: int, body: bytes) -> None:
        self.wfile.write(struct.pack("<iiii", len(body) + 16, 1, request, kind) + body)

    def answer(self, asked: Document) -> Document:
        command = next(iter(asked))
        if command == "shutdown":
            os._exit(0)  # as mongos does: the connection just ends
        try:
            return {**self.result(command, asked), "ok": 1.0}
        except OperationFailure as problem:
            return {"ok": 0.0, "errmsg": str(problem), "code": problem.code}
        except PyMongoError as problem:
            return {"ok": 0.0, "errmsg": str(problem), "code": 1}

    def result(self, command: str, asked: Document) -> Document:
        admin = self.config_servers.admin
        match command:
            case "hello" | "ismaster" | "isMaster":
                return hello()
            case "ping" | "endSessions":
                return {}
            case "addShard":
                majority = {"w": "majority"}
                return admin.command("_configsvrAddShard", asked[command], name=asked["name"], writeConcern=majority)
            case "balancerStop":
                return admin.command("_configsvrBalancerStop", 1)
            case "listShards":
                return {"shards": list(self.config_servers.config.shards.find())}
        raise OperationFailure(f"no such command: '{command}'", NO_SUCH_COMMAND)


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
    }


if __name__ == "__main__":
    main()
