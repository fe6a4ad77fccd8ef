"""Guards for every test: nothing may leave this machine."""

from __future__ import annotations

import ipaddress
import socket
import sys

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


def pytest_sessionfinish() -> None:
    """The server that some tests of this process may have started is stopped."""
    if started := sys.modules.get("tests.gateway.store.servers"):
        started.ENDING.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per promise whose tests recorded figures: counts are added up, a seed stays what it is."""
    totals: dict[str, dict[str, int]] = {}
    reports = [r for name in ("passed", "failed") for r in terminalreporter.stats.get(name, ())]
    for promise, figures in (p for report in reports for p in getattr(report, "user_properties", ())):
        total = totals.setdefault(promise, {})
        for name, figure in figures.items():
            total[name] = figure if name == "seed" else total.get(name, 0) + figure
    for promise, total in sorted(totals.items()):
        terminalreporter.write_line(f"{promise}: " + " ".join(f"{n}={v}" for n, v in total.items()))
