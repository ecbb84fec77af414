"""What `DSI_SOCKET` says."""

import pytest

from dsi.control import client_address


@pytest.mark.parametrize(
    ("bound", "shown"),
    [
        ("127.0.0.1", "127.0.0.1:27007"),
        ("0.0.0.0", "127.0.0.1:27007"),
        ("", "127.0.0.1:27007"),
        ("10.2.0.100", "10.2.0.100:27007"),
        ("::", "[::1]:27007"),
        ("::1", "[::1]:27007"),
        ("localhost", "localhost:27007"),
    ],
)
def test_the_address_is_one_that_can_be_connected_to(bound: str, shown: str) -> None:
    assert client_address(bound, 27007) == shown
