"""How far a host's clock is from ours."""

from pathlib import Path

import pytest

from dsi.clock import SystemClock
from dsi.hosts import this_machine
from dsi.hosts.base import Host
from dsi.inventory import Inventory
from dsi.model import HostEntry
from dsi.stages.clock_offsets import clock_offset, note_clock_offsets
from dsi.timeline import Timeline, read_events


class AheadByAnHour(SystemClock):
    """A clock that somebody has set wrong."""

    def wall_s(self) -> float:
        return super().wall_s() + 3600


async def test_a_clock_that_is_ahead_of_the_hosts_is_found_to_be_so(tmp_path: Path) -> None:
    host = this_machine("mongod.0", tmp_path)
    offset_s, uncertainty_s = await clock_offset(host)
    assert abs(offset_s) <= uncertainty_s + 0.001
    offset_s, uncertainty_s = await clock_offset(host, AheadByAnHour())
    assert offset_s == pytest.approx(-3600, abs=uncertainty_s + 0.001)
    await host.close()


async def test_every_host_has_its_own_and_one_that_cannot_be_asked_none(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    hosts: dict[HostEntry, Host] = {
        HostEntry(role="mongod", index=0, public_ip="127.0.0.1", private_ip="127.0.0.1"): this_machine("m", tmp_path),
        HostEntry(role="mongod", index=1, public_ip="127.0.0.2", private_ip="127.0.0.2"): this_machine("gone", gone),
    }
    inventory = Inventory(hosts, this_machine("localhost", tmp_path))
    timeline = Timeline(tmp_path / "t")
    await note_clock_offsets(inventory, timeline)
    assert [event["host"] for event in read_events(tmp_path / "t", "clock_offset")] == ["m"]
    timeline.close()
    await inventory.close()
