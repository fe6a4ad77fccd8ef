"""A byte-level card behind telnet COM-PORT: the machine, and the server as bare clients see it."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.errors import ReaderError
from reader.serial.comport import (
    COM_PORT,
    DO,
    DONT,
    ECHO,
    IAC,
    SB,
    SE,
    WILL,
    WONT,
    ComPort,
    Data,
    Lines,
    Mode,
    Reply,
    escape,
)
from reader.transport.rfc2217 import Rfc2217Server
from tests.reader.byte_cards import EchoCard, pattern

TELNET = st.sampled_from(
    [b"\xff", b"\xff\xff", b"\xff\xfa\x2c", b"\xff\xf0", b"\xff\xfd\x01", b"\xff\xfb\x2c", b"\xff\xf6"]
)


def subnegotiation(*content: int) -> bytes:
    """IAC SB COM-PORT ... IAC SE."""
    return bytes((IAC, SB, COM_PORT)) + escape(bytes(content)) + bytes((IAC, SE))


def joined(events):
    """Events with neighbouring data and replies put together, as one stream tells them."""
    found = []
    for event in events:
        if found and type(found[-1]) is type(event) and isinstance(event, Data | Reply):
            found[-1] = type(event)(found[-1].data + event.data)
        else:
            found.append(event)
    return found


# ---- the machine


def test_what_a_client_may_set():
    """Speed, parity, lines: events in their place among the data, and the answers RFC 2217 wants."""
    port = ComPort(cts=False)
    events = port.feed(
        b"a"
        + subnegotiation(1, 0, 0, 0x96, 0)
        + b"\xff\xff"
        + subnegotiation(3, 3)
        + subnegotiation(5, 11)
        + b"b"
    )
    assert events == [
        Data(b"a"),
        Mode(38_400, "N"),
        Reply(subnegotiation(101, 0, 0, 0x96, 0)),
        Data(b"\xff"),
        Mode(38_400, "E"),
        Reply(subnegotiation(103, 3)),
        Lines(rts=True, dtr=False),
        Reply(subnegotiation(105, 11)),
        Data(b"b"),
    ]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((1, 0, 0, 0, 0), (101, 0, 0, 0x25, 0x80)),
        ((1, 0xFF, 0xFF, 0xFF, 0xFF), (101, 0, 0, 0x25, 0x80)),
        ((2, 0), (102, 8)),
        ((2, 9), (102, 8)),
        ((2, 7), (102, 7)),
        ((3, 0), (103, 1)),
        ((3, 77), (103, 1)),
        ((4, 2), (104, 2)),
        ((5, 0), (105, 1)),
        ((5, 3), (105, 3)),
        ((5, 4), (105, 6)),
        ((5, 5), (105, 5)),
        ((5, 7), (105, 9)),
        ((5, 10), (105, 12)),
        ((12, 3), (112, 3)),
        ((10, 0), (110, 0)),
        ((7,), (107, 0xB0)),
    ],
)
def test_answers(asked, told):
    """Zero asks, what a port cannot do changes nothing, what is set is confirmed."""
    replies = b"".join(e.data for e in ComPort(cts=True).feed(subnegotiation(*asked)) if isinstance(e, Reply))
    assert replies == subnegotiation(*told)


def test_options_are_agreed_once():
    """Known options are agreed to, unknown ones refused, and nothing is said twice (no loop)."""
    port = ComPort(cts=True)
    assert bytes((IAC, WILL, ECHO)) in port.open()
    assert port.feed(bytes((IAC, DO, ECHO))) == []
    assert port.feed(bytes((IAC, DO, 24))) == [Reply(bytes((IAC, WONT, 24)))]
    assert port.feed(bytes((IAC, WILL, 24))) == [Reply(bytes((IAC, DONT, 24)))]
    assert port.feed(bytes((IAC, DONT, 24))) == []
    assert port.feed(bytes((IAC, DONT, ECHO))) == [Reply(bytes((IAC, WONT, ECHO)))]
    assert port.feed(bytes((IAC, DONT, ECHO))) == []


def test_cts_is_told():
    """A change of CTS is told once, unless the client does not want to know."""
    port = ComPort(cts=True)
    assert port.set_cts(False) == subnegotiation(107, 0xA1)
    assert port.set_cts(False) == b""
    port.feed(subnegotiation(11, 0))
    assert port.set_cts(True) == b""


@settings(max_examples=300, deadline=None)
@given(st.lists(TELNET | st.binary(max_size=12), max_size=20), st.integers(1, 6))
def test_any_telnet_any_chunks(parts, size):
    """Whatever a client sends, in whatever pieces: no exception, the same events, answers in proportion."""
    whole = b"".join(parts)
    one, many = ComPort(cts=True), ComPort(cts=True)
    events = [event for at in range(0, len(whole), size) for event in many.feed(whole[at : at + size])]
    assert joined(events) == joined(one.feed(whole))
    assert sum(len(event.data) for event in events if isinstance(event, Reply)) <= 8 * len(whole) + 16


def test_a_subnegotiation_without_end_is_bounded():
    """A client that never ends a subnegotiation: nothing grows; IAC SE ends it, and the port works."""
    port = ComPort(cts=True)
    port.feed(bytes((IAC, SB)) + bytes(200_000))
    assert len(port._sub) <= 64
    assert port.feed(bytes((IAC, SE)) + b"x") == [Data(b"x")]


# ---- the server


@pytest.fixture
def served():
    """A server, and its end after the test."""
    with Rfc2217Server() as server:
        yield server


def waits_for(condition):
    """True as soon as it is so."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def heard(client, wanted):
    """Everything until these bytes have come."""
    got = b""
    while wanted not in got:
        part = client.recv(4096)
        assert part, got
        got += part
    return got


RESET = subnegotiation(3, 3) + subnegotiation(5, 11) + subnegotiation(5, 12)


def test_a_bare_client(served):
    """Parity, reset, a command, over a plain socket: the ATR, the echo, the answer."""
    served.insert(EchoCard())
    with socket.create_connection((served.host, served.port), timeout=5) as client:
        client.sendall(RESET)
        assert heard(client, b"\x3b\0")
        client.sendall(b"\0\xb0\0\0\2")
        assert heard(client, b"\0\xb0\0\0\2\xb0" + pattern(2) + b"\x90\0")


def test_odd_clients_do_no_harm(served):
    """Garbage, floods and clients that hang up at once: the next one finds a working port (twin)."""
    served.insert(EchoCard())
    for junk in (
        b"",
        b"\xff" * 1000,
        bytes(range(256)) * 400,
        b"\xff\xfa\x2c" + bytes(5000),
        b"\xff\xfa\x2c\x05\x0c\xff\xf0" * 3000,
    ):
        with socket.create_connection((served.host, served.port), timeout=5) as client:
            assert client.recv(100)
            threading.Thread(target=drained, args=(client,), daemon=True).start()
            client.sendall(junk)
            client.shutdown(socket.SHUT_RDWR)
        assert waits_for(lambda: served._client is None)
    with socket.create_connection((served.host, served.port), timeout=5) as client:
        client.sendall(RESET)
        assert heard(client, b"\x3b\0")


def drained(client):
    """Read until the end."""
    try:
        while client.recv(65_536):
            pass
    except OSError:
        pass


def test_a_taken_port_is_one_sentence(served):
    """A port in use: a ReaderError that names it."""
    with pytest.raises(ReaderError, match=f"{served.port} for a byte-level card cannot be opened"):
        Rfc2217Server(port=served.port)
