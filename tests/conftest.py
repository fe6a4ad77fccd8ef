"""Guards for every test: nothing may leave this machine."""

from __future__ import annotations

import ipaddress
import socket

import pytest

_connect = socket.socket.connect


def _only_loopback(self: socket.socket, address: object) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        host = str(address[0])  # type: ignore[index]
        assert host == "localhost" or ipaddress.ip_address(host).is_loopback, f"a test reached out to {host}"
    _connect(self, address)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _stay_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _only_loopback)
