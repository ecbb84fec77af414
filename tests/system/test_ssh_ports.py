"""What sshd really binds, and who has a port."""

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.sshds import Sshd, start_sshds

from dsi.errors import HostError, PortTaken
from dsi.hosts import Reader, Writer


async def nobody(_reader: Reader, _writer: Writer) -> None:
    raise AssertionError("nobody connects in these tests")


async def test_gateway_ports_yes(connect: Connect) -> None:
    """An sshd that binds all addresses, whatever is asked, is refused, and the port is free again."""
    with start_sshds(1, config="GatewayPorts yes") as (server,):
        host = await connect(server)
        with pytest.raises(HostError, match=r"on all addresses .*GatewayPorts"):
            await host.listen("127.0.0.1", 0, nobody)


async def test_gateway_ports_no(sshd: Sshd, connect: Connect) -> None:
    """An sshd that binds loopback alone, when more was asked, is refused with what to change."""
    host = await connect(sshd)
    with pytest.raises(HostError, match=r"listens for 0\.0\.0\.0:\d+ on 127\.0\.0\.1.* clientspecified"):
        await host.listen("0.0.0.0", 0, nobody)


async def test_gateway_ports_clientspecified(connect: Connect) -> None:
    """An sshd that binds what is asked does."""
    with start_sshds(1, config="GatewayPorts clientspecified") as (server,):
        host = await connect(server)
        for address in ("127.0.0.1", "0.0.0.0"):
            listener = await host.listen(address, 0, nobody)
            assert listener.address == address
            await listener.close()


async def test_forwarding_is_forbidden(connect: Connect) -> None:
    """An sshd that allows no tunnels is told from a taken port."""
    with start_sshds(1, config="AllowTcpForwarding no") as (server,):
        host = await connect(server)
        with pytest.raises(HostError, match="AllowTcpForwarding") as caught:
            await host.listen("127.0.0.1", 0, nobody)
        assert not isinstance(caught.value, PortTaken)


async def test_who_has_the_port(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A taken port's error has the process that listens there, on that host."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    with pytest.raises(PortTaken, match=r"mongod\.0: port 127\.0\.0\.1:22 is taken by process \d+ \(sshd\)$"):
        await host.listen("127.0.0.1", 22, nobody)


async def test_connect_to_nowhere(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A port that the host can't reach is told with its address."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    with pytest.raises(HostError, match=r"mongod\.0: can't connect to 10\.77\.0\.2:1: "):
        await host.connect("10.77.0.2", 1)
