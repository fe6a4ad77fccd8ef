"""No peer can hold a server of the room (promise B5): silent, half-open, trickling and never-reading clients.

The control socket, the GALSS line, RFC 2217 and vpcd in listening mode: whoever does nothing useful is let go
in bounded time; the next client, and the other slot, work.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from reader.galss import LadDevice
from reader.reader import Reader
from reader.transport import control, galss, liveness, rfc2217
from reader.transport.control import ControlServer, ask
from reader.transport.galss import GalssServer, framed
from reader.transport.loop import Loop
from reader.transport.rfc2217 import Rfc2217Server
from reader.transport.tcp import VpcdPlug
from reader.vpcd import framed as vpcd_framed
from tests.interop.bench_pcscd import free_ports
from tests.reader.byte_cards import EchoCard, pattern

SECONDS = 10
READ = bytes.fromhex("00B0000004")


def settled(condition) -> bool:
    """True as soon as it is so."""
    end = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def is_closed(client: socket.socket) -> bool:
    """The other end has hung up."""
    client.settimeout(SECONDS)
    try:
        return client.recv(65_536) == b""
    except ConnectionError:
        return True


class Clock:
    """Seconds of the test's own."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# ---- the control socket


@pytest.fixture
def orders(tmp_path, monkeypatch):
    """A control socket whose patience is a fifth of a second; it answers every order with its own words."""
    monkeypatch.setattr(control, "PATIENCE", 0.2)
    loop, path = Loop(), tmp_path / "tty.control"
    server = ControlServer(loop, path, lambda request, reply: reply({"ok": True, "text": request.get("do")}))
    loop.after(0.01, lambda: None)
    ending = threading.Event()

    def turn() -> None:
        loop.stop() if ending.is_set() else loop.after(0.02, turn)

    loop.after(0, turn)
    thread = threading.Thread(target=loop.work)
    thread.start()
    yield path
    ending.set()
    thread.join(SECONDS)
    server.close()
    loop.close()


def connected_to(path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


def answered(path) -> bool:
    from reader.errors import ReaderError

    with suppress(ReaderError):
        return ask(path, {"do": "status"}, SECONDS)["text"] == "status"
    return False


def test_silent_askers_do_not_hold_the_control_socket(orders):
    """Every place and more held by silent connections: the next order is answered all the same."""
    assert answered(orders)
    with ExitStack() as stack:
        silent = [stack.enter_context(connected_to(orders)) for _ in range(control.MAX_CLIENTS + 4)]
        assert settled(lambda: answered(orders))
        assert all(is_closed(client) for client in silent)


def test_an_asker_that_trickles_is_let_go(orders):
    """A byte now and then earns no more time; a line without end is cut at 16 KiB."""
    with connected_to(orders) as slow, connected_to(orders) as endless:
        with suppress(OSError):
            for _ in range(100):
                slow.sendall(b" ")
                time.sleep(0.02)
        with suppress(OSError):
            endless.sendall(b"x" * 1_000_000)
        assert is_closed(slow)
        assert is_closed(endless)
    assert answered(orders)


def test_an_asker_that_waits_for_its_answer_is_not_let_go(tmp_path, monkeypatch):
    """Twin: an answer may take longer than the patience with a silent asker."""
    monkeypatch.setattr(control, "PATIENCE", 0.1)
    loop, path = Loop(), tmp_path / "tty.control"
    later = lambda request, reply: loop.after(0.5, lambda: (reply({"ok": True, "text": "late"}), loop.stop()))  # noqa: E731
    server = ControlServer(loop, path, later)
    thread = threading.Thread(target=loop.work)
    thread.start()
    with connected_to(path) as client:
        client.settimeout(SECONDS)
        client.sendall(json.dumps({"do": "pin"}).encode() + b"\n")
        assert json.loads(client.recv(1000))["text"] == "late"
    thread.join(SECONDS)
    server.close()
    loop.close()


# ---- GALSS


@pytest.fixture
def lads():
    """A GALSS server over two cards, with a clock of the test's own."""
    reader, clock = Reader(), Clock()
    for slot in reader.slots:
        slot.insert(EchoCard())
    with GalssServer(LadDevice(reader.slots), clock=clock) as server:
        yield server, clock


def lad_client(server: GalssServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=SECONDS)


def presence(client: socket.socket, lad: int = 0) -> bytes:
    client.sendall(framed(bytes((0xFF, 0, lad, 0x16))))
    with suppress(OSError):
        return client.recv(100)
    return b""


def test_silent_clients_do_not_hold_the_galss_line(lads):
    """Every place taken by a silent client: let go after their idle time; the line serves again."""
    server, clock = lads
    with ExitStack() as stack:
        silent = [stack.enter_context(lad_client(server)) for _ in range(galss.MAX_CLIENTS)]
        assert settled(lambda: len(server._clients) == galss.MAX_CLIENTS)
        clock.now += galss.IDLE + 1
        assert all(is_closed(client) for client in silent)
        client = stack.enter_context(lad_client(server))
        assert presence(client)[:4] == b"\x00\x05\x00\x00"


def test_a_session_that_falls_silent_gives_the_cards_back(lads):
    """The owner vanishes with a card under power: another program gets the reader, the card cold."""
    server, clock = lads
    with lad_client(server) as owner, lad_client(server) as other:
        owner.sendall(framed(bytes((7, 0, 0, 0x14))))
        assert owner.recv(100)[4:5] == b"\x00"
        assert presence(other)[2:4] == b"\x00\x04"  # exclusivity
        clock.now += galss.IDLE - 1
        assert presence(other)[2:4] == b"\x00\x04"
        clock.now += 2
        assert is_closed(owner)
        assert presence(other)[5] == 1  # present, without power


def test_a_byte_every_nine_seconds_is_no_frame(lads):
    """A frame in single bytes, nine seconds apart: the connection ends after the time of one frame."""
    server, clock = lads
    with lad_client(server) as client:
        assert presence(client)
        question = framed(bytes((0xFF, 0, 0, 0x16)))
        for byte in question[:2]:
            client.sendall(bytes((byte,)))
            assert settled(lambda: server._clients and server._clients[0].frames.is_partial)
            time.sleep(0.05)
            clock.now += 9
        assert is_closed(client)
    with lad_client(server) as client:
        assert presence(client)[:4] == b"\x00\x05\x00\x00"


# ---- RFC 2217


RESET = b"".join(bytes((0xFF, 0xFA, 44, *what, 0xFF, 0xF0)) for what in ((3, 3), (5, 11), (5, 12)))


def heard(client: socket.socket, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        part = client.recv(4096)
        assert part, got
        got += part
    return got


def served_once(server: Rfc2217Server) -> bool:
    """A bare client resets the card and gets its ATR; False when the port is somebody else's."""
    try:
        with socket.create_connection((server.host, server.port), timeout=SECONDS) as client:
            client.sendall(RESET)
            return b"\x3b\0" in heard(client, b"\x3b\0")
    except (OSError, AssertionError):
        return False


def test_half_a_command_and_silence_at_the_byte_level():
    """A client stops inside a command and a telnet order: the other slot works, the next client too."""
    with Rfc2217Server() as first, Rfc2217Server() as second:
        first.insert(EchoCard())
        second.insert(EchoCard())
        with socket.create_connection((first.host, first.port), timeout=SECONDS) as held:
            held.sendall(RESET)
            heard(held, b"\x3b\0")
            held.sendall(READ[:3] + b"\xff\xfa\x2c")
            assert served_once(second)
            with socket.create_connection((first.host, first.port), timeout=SECONDS) as refused:
                assert is_closed(refused)  # one client at a time, said at once
        assert settled(lambda: served_once(first))


def test_a_client_that_sends_and_never_reads(monkeypatch):
    """Thousands of commands and not one answer read: the connection ends, the next client works."""
    monkeypatch.setattr(rfc2217, "SEND_TIME", 0.2)
    with Rfc2217Server() as server:
        server.insert(EchoCard())
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((server.host, server.port))
            client.settimeout(SECONDS)
            client.sendall(RESET)
            heard(client, b"\x3b\0")
            client.settimeout(0.3)
            with suppress(OSError):
                while True:
                    client.sendall(bytes.fromhex("00B0000000") * 200)
            assert settled(lambda: server._client is None)
        assert settled(lambda: served_once(server))


def test_a_vanished_peer_is_noticed():
    """A peer without a last word is found by the kernel's own questions within a minute."""
    with Rfc2217Server() as server, socket.create_connection((server.host, server.port), timeout=SECONDS):
        assert settled(lambda: server._client is not None)
        assert server._client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        total = liveness.IDLE + liveness.EVERY * liveness.TIMES
        assert total <= 60


# ---- vpcd, listening


@pytest.fixture
def listening():
    """Two slots waiting for vpcd at two ports."""
    loop = Loop()
    port = free_ports(2)
    plug = VpcdPlug(loop, "127.0.0.1", port, 2, lambda _slot: None, reverse=True)
    for slot in (0, 1):
        plug.insert(slot, EchoCard())
    ending = threading.Event()

    def turn() -> None:
        loop.stop() if ending.is_set() else loop.after(0.02, turn)

    loop.after(0, turn)
    thread = threading.Thread(target=loop.work)
    thread.start()
    yield port
    ending.set()
    thread.join(SECONDS)
    plug.close()
    loop.close()


def atr_of(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall(vpcd_framed(b"\4"))
        return client.recv(100)


def test_a_half_open_vpcd_gives_way_to_the_next(listening):
    """A connection that says nothing or half a message: the next takes its place, slot 1 works."""
    with socket.create_connection(("127.0.0.1", listening), timeout=SECONDS) as silent:
        assert atr_of(listening + 1) == b"\x00\x02\x3b\x00"
        assert atr_of(listening) == b"\x00\x02\x3b\x00"
        assert is_closed(silent)
    with socket.create_connection(("127.0.0.1", listening), timeout=SECONDS) as half:
        half.sendall(b"\xff\xff" + bytes(1000))
        assert atr_of(listening + 1) == b"\x00\x02\x3b\x00"
        assert atr_of(listening) == b"\x00\x02\x3b\x00"


def test_a_vpcd_that_never_reads(listening):
    """Commands without end and no answer read: that connection is dropped; both slots go on (twin)."""
    with socket.create_connection(("127.0.0.1", listening), timeout=SECONDS) as client:
        client.sendall(vpcd_framed(b"\1"))
        client.settimeout(0.5)
        with suppress(OSError):
            for _ in range(2000):
                client.sendall(vpcd_framed(bytes.fromhex("00B0000000")) * 500)
        assert atr_of(listening + 1) == b"\x00\x02\x3b\x00"
    assert atr_of(listening) == b"\x00\x02\x3b\x00"
    with socket.create_connection(("127.0.0.1", listening), timeout=SECONDS) as client:
        client.sendall(vpcd_framed(b"\1") + vpcd_framed(READ))
        assert client.recv(100) == vpcd_framed(pattern(4) + b"\x90\x00")
