"""Addresses to listen on."""

from __future__ import annotations

import pytest

from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError
from worker.settings.listen_address import ListenAddress

READ = {
    "a host": ("metrics.example:9100", ListenAddress("metrics.example", 9100)),
    "all networks": ("0.0.0.0:9100", ListenAddress("0.0.0.0", 9100)),
    "IPv6": ("[::1]:9100", ListenAddress("::1", 9100)),
    "any free port": ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
}


@pytest.mark.parametrize(("text", "address"), READ.values(), ids=READ.keys())
def test_an_address_is_read_and_written_alike(text: str, address: ListenAddress) -> None:
    assert Settings.load({"CANCELLER_HTTP": text}).http == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["9100", ":9100", "h:", "h:70000", "http://h:9100", "::1:9100", "a b:1", "h:1/x"])
def test_anything_else_is_a_mistake_that_names_the_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match="CANCELLER_HTTP: must be HOST:PORT"):
        Settings.load({"CANCELLER_HTTP": text})


@pytest.mark.parametrize(("port", "index", "own"), [(9100, 0, 9100), (9100, 3, 9103), (0, 3, 0)], ids=str)
def test_each_worker_has_a_port_of_its_own(port: int, index: int, own: int) -> None:
    assert ListenAddress("h", port).of_worker(index) == ListenAddress("h", own)


def test_there_is_no_port_above_the_last() -> None:
    with pytest.raises(ValueError, match="leaves no port for worker 2: it would be 65536"):
        ListenAddress("h", 65535).of_worker(1)
