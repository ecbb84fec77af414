"""The names that people have in their scripts: those of the original DSI's programs."""

import sys

from dsi.cli import main


def bootstrap() -> None:
    """`bootstrap.py` is `dsi bootstrap`."""
    main(["bootstrap", *sys.argv[1:]])


def infrastructure_provisioning() -> None:
    """`infrastructure_provisioning.py` is `dsi provision`."""
    main(["provision", *sys.argv[1:]])


def workload_setup() -> None:
    """`workload_setup.py` is `dsi workload-setup`."""
    main(["workload-setup", *sys.argv[1:]])


def mongodb_setup() -> None:
    """`mongodb_setup.py` is `dsi mongodb-setup`."""
    main(["mongodb-setup", *sys.argv[1:]])


def test_control() -> None:
    """`test_control.py` is `dsi test-control`."""
    main(["test-control", *sys.argv[1:]])


def conn() -> None:
    """`conn.py` is `dsi conn`."""
    main(["conn", *sys.argv[1:]])


def infrastructure_teardown() -> None:
    """`infrastructure_teardown.py` is `dsi teardown`."""
    main(["teardown", *sys.argv[1:]])


def analysis() -> None:
    """`analysis.py` is `dsi analyze`."""
    main(["analyze", *sys.argv[1:]])
