"""Which host a node of the topology is on."""

from pathlib import Path

import pytest

from dsi.errors import Preflight
from dsi.hosts import this_machine
from dsi.inventory import Inventory
from dsi.model import HostEntry


def test_a_node_on_a_host_that_provisioning_did_not_give_is_an_error_that_names_those_it_gave(tmp_path: Path) -> None:
    here = this_machine("localhost", tmp_path)
    entry = HostEntry(role="mongod", index=0, public_ip="203.0.113.1", private_ip="10.0.0.1")
    inventory = Inventory({entry: here}, here)
    assert inventory.at("203.0.113.1", "10.0.0.1") is here
    for addresses in (("203.0.113.2", None), ("203.0.113.1", "10.0.0.2"), ("203.0.113.1", None)):
        with pytest.raises(Preflight, match=rf"{addresses[0]}.*there are: mongod\.0 \(203\.0\.113\.1, 10\.0\.0\.1\)"):
            inventory.at(*addresses)
