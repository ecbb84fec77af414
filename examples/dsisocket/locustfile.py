"""Inserts with as many users as asked, and restarts the primary after three seconds of it.

pip install locust; locust --locustfile locustfile.py --headless --users 4 --spawn-rate 4 --run-time 10s
The restart stands in locust's own table beside the inserts: how long it took, and how slow they were.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import gevent
from dsi_client import DsiSocket, DsiSocketError
from locust import User, constant, events, task
from locust.env import Environment
from pymongo import MongoClient
from pymongo.errors import PyMongoError

mongodb: MongoClient[dict[str, Any]] = MongoClient(os.environ["MONGODB_URL"])


def measured(kind: str, name: str, do: Callable[[], object]) -> None:
    """Do something, and have it stand in the table."""
    begun = time.perf_counter()
    problem: Exception | None = None
    try:
        do()
    except (PyMongoError, DsiSocketError) as error:
        problem = error
    took_ms = (time.perf_counter() - begun) * 1000
    events.request.fire(request_type=kind, name=name, response_time=took_ms, response_length=0, exception=problem)


class Writer(User):  # type: ignore[misc]  # locust may not be installed where this is checked
    wait_time = constant(0.01)

    @task  # type: ignore[untyped-decorator]
    def insert(self) -> None:
        measured("mongodb", "insert", lambda: mongodb.test.load.insert_one({"padding": "x" * 100}))


def restart_the_primary() -> None:
    with DsiSocket.from_env() as dsi:
        measured("dsi", "restart rs0:primary", lambda: dsi.restart_mongodb(nodes=["rs0:primary"]))


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def disturb(environment: Environment, **_: Any) -> None:
    environment.disturbance = gevent.spawn_later(3, restart_the_primary)


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def wait_for_it(environment: Environment, **_: Any) -> None:
    environment.disturbance.join()
