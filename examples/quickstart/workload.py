"""Writes to the cluster as fast as it can, has dsi restart the cluster meanwhile, and checks that no write was lost.

An example to copy. All it needs from dsi are two environment variables: MONGODB_URL, where the cluster is, and
DSI_SOCKET, where dsi listens for commands while the test runs: one command per line in JSON, one line of reply.
"""

import argparse
import json
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, PyMongoError

HELLO = 'echo "HELLO THIS IS HENRIK CAN YOU HEAR ME?????!!!"\necho "(Yes, we can)"\n'


class DsiSocket:
    """Has dsi run commands: those of pre_task, post_test and the other hooks, written as JSON."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._lines = socket.create_connection((host.strip("[]"), int(port))).makefile("rw", encoding="utf-8")

    def __call__(self, command: dict[str, Any]) -> None:
        """Send a command, and wait until it is done."""
        line = json.dumps(command)
        print(f"dsisocket <- {line}")
        self._lines.write(line + "\n")
        self._lines.flush()
        reply = json.loads(self._lines.readline())
        print(f"dsisocket -> {reply['status']}: {reply['message']}")
        if reply["status_code"] != 0:
            raise RuntimeError(f"dsi could not do it: {line}")


class Writers:
    """Threads that insert documents one by one, and remember which of them the cluster acknowledged, and when."""

    def __init__(self, collection: Collection[dict[str, Any]], threads: int) -> None:
        self.acknowledged: list[tuple[float, str]] = []
        self._collection = collection
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(threads)
        self._running = [self._pool.submit(self._write, f"writer{number}") for number in range(threads)]

    def _write(self, name: str) -> None:
        for number in count():
            document = {"_id": f"{name}-{number}", "padding": "x" * 100}
            while not self._insert(document):
                if self._stopped.is_set():
                    return
            self.acknowledged.append((time.monotonic(), document["_id"]))
            if self._stopped.is_set():
                return

    def _insert(self, document: dict[str, str]) -> bool:
        try:  # an upsert may be tried again where nobody knows whether the first try arrived
            self._collection.replace_one({"_id": document["_id"]}, document, upsert=True)
        except PyMongoError as error:  # the driver has waited for a primary and tried twice; ours is a long restart
            if isinstance(error, ConnectionFailure) or error.has_error_label("RetryableWriteError"):
                return False
            raise
        return True

    def stop(self) -> None:
        """End the threads; what went wrong in one of them is raised here."""
        self._stopped.set()
        for running in self._running:
            running.result()

    def longest_silence_s(self, since: float) -> float:
        """For how long, at worst, no write at all was acknowledged."""
        times = sorted(at for at, _ in self.acknowledged if at > since)
        return max((after - before for before, after in pairwise([since, *times])), default=0.0)


def report_throughput(writers: Writers, seconds: int) -> None:
    """Print how many writes each second brought, and keep it in a file that dsi fetches (output_files)."""
    begun, before = time.monotonic(), 0
    with Path("throughput.csv").open("w", encoding="utf-8") as file:
        print("second,writes", file=file)
        for second in range(1, seconds + 1):
            time.sleep(max(begun + second - time.monotonic(), 0))
            total = len(writers.acknowledged)
            print(f"{second:3} s  {total - before:6} writes/s")
            print(f"{second},{total - before}", file=file)
            before = total


def disturb(writers: Writers, after_s: float) -> None:
    """Talk to dsi while the writers write: two shell commands, then a restart of the whole cluster, data kept."""
    time.sleep(after_s)
    dsi = DsiSocket(os.environ["DSI_SOCKET"])
    dsi({"on_workload_client": {"exec": HELLO}})
    dsi({"on_all_servers": {"exec": "du -sh data/dbs"}})
    begun = time.monotonic()
    dsi({"restart_mongodb": {"clean_logs": False, "clean_db_dir": False}})
    done = time.monotonic()
    while writers.acknowledged[-1][0] < done < time.monotonic() < done + 60:  # the driver looks for the primary again
        time.sleep(0.01)
    print(f"no write was acknowledged for {writers.longest_silence_s(begun):.1f} s around the restart")


def main() -> None:
    """Write, disturb, and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--restart", action="store_true", help="have dsi restart the cluster after a third of the time")
    options = parser.parse_args()

    client: MongoClient[dict[str, Any]] = MongoClient(os.environ["MONGODB_URL"])
    collection = client.quickstart.get_collection("writes", write_concern=WriteConcern("majority"))
    collection.drop()
    begun = time.monotonic()
    writers = Writers(collection, options.threads)
    with ThreadPoolExecutor() as beside:
        tasks = [beside.submit(report_throughput, writers, options.seconds)]
        if options.restart:
            tasks.append(beside.submit(disturb, writers, options.seconds / 3))
    writers.stop()
    elapsed_s = time.monotonic() - begun
    for task in tasks:
        task.result()

    there = {document["_id"] for document in collection.find({}, {"_id": 1})}
    missing = [name for _, name in writers.acknowledged if name not in there]
    print(f"{len(writers.acknowledged)} writes were acknowledged; {len(missing)} of them are missing")
    print(f">>> majority_writes : {len(writers.acknowledged) / elapsed_s:.1f} {options.threads}")
    if missing:
        sys.exit(f"lost: {missing[:10]} ...")


if __name__ == "__main__":
    main()
