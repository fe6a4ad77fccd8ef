"""pyserial as judge of the byte-level card behind RFC 2217, and our Phoenix host over pyserial."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from card.iso7816.apdu import CommandAPDU
from reader.errors import CardRemoved
from reader.phoenix import open_phoenix
from reader.transport.loop import Loop
from reader.transport.rfc2217 import Rfc2217Server
from reader.transport.rfc2217_plug import Rfc2217Plug
from tests.card.factory import card
from tests.reader.byte_cards import T1_DEFAULT, EchoCard, pattern

if os.environ.get("CI"):
    import serial
else:
    serial = pytest.importorskip("serial", reason="pyserial is the judge here")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:serial.rfc2217"),
]

CPS, VITALE = "cps-gp-sector1", "vitale-family"


@pytest.fixture
def served():
    """A server, and its end after the test."""
    with Rfc2217Server() as server:
        yield server


def opened(server, **settings):
    """The port as pyserial opens it."""
    return serial.serial_for_url(server.url, 9600, parity="E", stopbits=2, timeout=1, **settings)


def test_pyserial_speaks_to_a_card(served):
    """RTS resets, the ATR comes, every byte comes back, CTS tells the card, baud and parity are taken."""
    served.insert(EchoCard())
    with opened(served) as port:
        assert port.cts is False
        port.rts = True
        port.reset_input_buffer()
        port.rts = False
        assert port.read(2) == b"\x3b\0"
        port.write(b"\0\xb0\0\0\x02")
        assert port.read(10) == b"\0\xb0\0\0\2" + b"\xb0" + pattern(2) + b"\x90\0"
        port.baudrate = 38_400
        port.write(b"\0\xb0\0\0\x02")
        assert port.read(6) == b"\0\xb0\0\0\2"
        served.remove()
        assert waits_for(lambda: port.cts)


def waits_for(condition):
    """True as soon as it is so."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_the_driver_over_pyserial():
    """Both cards through the driver: one direct, one inverse; signature, PPS, a card pulled and put back."""
    with Rfc2217Server() as first, Rfc2217Server(inverse=True) as second:
        first.insert(card(VITALE))
        second.insert(card(CPS))
        with open_phoenix([first.url, second.url]) as reader:
            vitale, cps = (slot.connect() for slot in reader.slots)
            assert vitale.atr == bytes.fromhex("3B751300004309EA9000")
            assert cps.atr[0] == 0x3F
            assert len(vitale.transmit(CommandAPDU.parse(bytes.fromhex("00A4000000"))).data) == 38
            for text in (
                "00A4040C0DE828BD080F8025000001FF0010",
                "002000010831323334FFFFFFFF",
                "002241B606800142840181",
            ):
                assert cps.transmit(CommandAPDU.parse(bytes.fromhex(text))).sw == 0x9000
            assert (
                len(cps.transmit(CommandAPDU.parse(bytes.fromhex("002A9E9A20") + bytes(32) + b"\0")).data)
                == 256
            )
            first.remove()
            assert waits_for(lambda: not reader.slots[0].is_present)
            with pytest.raises(CardRemoved):
                vitale.transmit(CommandAPDU(0, 0xA4, 0, 0x0C))
            assert cps.transmit(CommandAPDU(0, 0x20, 0, 1)).sw == 0x9000
            first.insert(card(CPS))
            assert waits_for(lambda: reader.slots[0].is_present)
            assert reader.slots[0].connect().atr[:2] == b"\x3b\xac"


class SlowCard(EchoCard):
    """Works until it is let go."""

    def __init__(self, atr):
        super().__init__(atr)
        self.begun, self.go = threading.Event(), threading.Event()

    def transmit(self, apdu):
        self.begun.set()
        self.go.wait(10)
        return super().transmit(apdu)


class FastClock:
    """Time that passes fifty times as fast."""

    def __call__(self) -> float:
        return time.monotonic() * 50


def test_nulls_while_the_card_works():
    """T=0: a NULL each third of the waiting time; the answer comes after them, and the host waits for it."""
    slow = SlowCard(b"\x3b\0")
    with Rfc2217Server(clock=FastClock()) as server:
        server.insert(slow)
        with opened(server) as port:
            port.rts = True
            port.reset_input_buffer()
            port.rts = False
            assert port.read(2) == b"\x3b\0"
            port.write(b"\0\xb0\0\0\x02")
            assert port.read(8) == b"\0\xb0\0\0\2\x60\x60\x60"
            slow.go.set()
            assert port.read_until(b"\x90\0").lstrip(b"\x60") == b"\xb0" + pattern(2) + b"\x90\0"


def test_more_time_for_a_t1_card():
    """T=1: the host grants S(WTX) requests while the card works, then gets its answer."""
    slow = SlowCard(T1_DEFAULT)
    with Rfc2217Server(clock=FastClock()) as server:
        server.insert(slow)
        with open_phoenix([server.url]) as reader:
            session = reader.slots[0].connect()
            threading.Timer(0.5, slow.go.set).start()
            assert session.transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 4)).data == pattern(4)


def test_a_card_pulled_while_it_works(served):
    """The slot is empty at once; the work ends before the card is given back; another card works."""
    slow = SlowCard(b"\x3b\0")
    served.insert(slow)
    with opened(served) as port:
        port.rts = True
        port.rts = False
        port.read(2)
        port.write(b"\0\xb0\0\0\x02")
        assert slow.begun.wait(5)
        threading.Timer(0.1, slow.go.set).start()
        served.remove()
        assert (served.state, slow.log) == ("empty", [b"\0\xb0\0\0\x02"])
        assert waits_for(lambda: port.cts)
        served.insert(EchoCard())
        port.rts = True
        port.reset_input_buffer()
        port.rts = False
        assert port.read(2) == b"\x3b\0"


def test_a_client_that_goes_takes_the_power_with_it(served):
    """A closed port holds the card in reset; the next client gets a fresh card; a second one is sent away."""
    served.insert(EchoCard())
    with opened(served) as port:
        port.rts = True
        port.rts = False
        assert port.read(2) == b"\x3b\0"
        assert served.state == "powered"
        with socket.create_connection((served.host, served.port), timeout=5) as second:
            assert second.recv(10) == b""
    assert waits_for(lambda: served.state == "in reset")
    with opened(served) as port:
        port.rts = True
        port.rts = False
        assert port.read(2) == b"\x3b\0"


def test_the_plug_of_the_emulator():
    """Slots at ports of their own; what changes is told in the loop's thread."""
    loop, moved = Loop(), []
    plug = Rfc2217Plug(loop, "127.0.0.1", 0, 2, moved.append)
    try:
        plug.insert(1, EchoCard())
        assert (plug.state(0), plug.state(1)) == ("empty", "in reset")
        with serial.serial_for_url(plug.urls[1], 9600, parity="E", timeout=1) as port:
            port.rts = True
            port.rts = False
            assert port.read(2) == b"\x3b\0"
        loop.after(0.2, loop.stop)
        loop.run()
        assert set(moved) == {1}
        plug.remove(1)
        assert plug.state(1) == "empty"
    finally:
        plug.close()
        loop.close()
