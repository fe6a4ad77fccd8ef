"""Cards behind vpcd: framing in any pieces, orders, connections that come and go."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.ccid.events import PowerChanged, Send
from reader.errors import ReaderError
from reader.transport.loop import Loop
from reader.transport.tcp import VpcdPlug
from reader.vpcd import VpcdCard, framed
from tests.interop.bench_pcscd import free_ports
from tests.reader.byte_cards import EchoCard

READ = bytes.fromhex("00B0000004")
OFF, ON, RESET, ATR = (framed(bytes((order,))) for order in (0, 1, 2, 4))


class Broken(EchoCard):
    """A card whose link fails."""

    def transmit(self, apdu):
        raise OSError("gone")


def sent(events):
    return [event.data for event in events if isinstance(event, Send)]


def test_orders_and_commands():
    """The ATR is given with and without power, orders are not answered, a command gets its response."""
    card = VpcdCard(EchoCard())
    assert sent(card.feed(ATR)) == [b"\x00\x02\x3b\x00"]
    assert sent(card.feed(framed(READ))) == [framed(b"\x6f\x00")]
    assert card.feed(ON) == [PowerChanged(0, True)]
    assert card.feed(RESET) == []
    (answer,) = sent(card.feed(framed(READ)))
    assert answer == framed(bytes.fromhex("030A1118") + b"\x90\x00")
    assert card.feed(OFF) == [PowerChanged(0, False)]
    assert card.feed(framed(b"") + framed(b"\x07")) == []


def test_a_card_that_fails_answers_nothing():
    """The link of the card is broken: an empty message, no exception; the next order is heard."""
    card = VpcdCard(Broken())
    card.feed(ON)
    assert sent(card.feed(framed(READ))) == [b"\x00\x00"]
    assert sent(card.feed(ATR)) == [b"\x00\x02\x3b\x00"]


def test_hanging_up_forgets():
    """Half a message is forgotten and the power goes; a new connection begins afresh."""
    card = VpcdCard(EchoCard(), slot=1)
    card.feed(ON + framed(READ)[:4])
    assert card.hang_up() == [PowerChanged(1, False)]
    assert sent(card.feed(ATR)) == [b"\x00\x02\x3b\x00"]


message = st.one_of(
    st.sampled_from([OFF, ON, RESET, ATR, framed(READ)]), st.builds(framed, st.binary(max_size=20))
)


@given(st.lists(message, max_size=20), st.binary(max_size=3), st.lists(st.integers(1, 30), min_size=1))
@settings(max_examples=200, deadline=None)
def test_any_bytes_in_any_chunks(messages, tail, cuts):
    """The same events whole and in pieces, whatever the bytes."""
    stream = b"".join(messages) + tail
    whole = VpcdCard(EchoCard()).feed(stream)
    card, said, at, turn = VpcdCard(EchoCard()), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        said += card.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert said == whole


# ---- over TCP


@pytest.fixture
def vpcd():
    """A listener as vpcd has one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


@pytest.fixture
def running():
    """A loop in a thread; what it is told goes through its thread."""
    loops: list[tuple[Loop, threading.Thread, list]] = []

    def start(make):
        loop, todo = Loop(), []
        plug = make(loop)

        def turn():
            while todo:
                todo.pop(0)()
            loop.after(0.01, turn)

        loop.after(0, turn)
        thread = threading.Thread(target=loop.work)
        thread.start()
        loops.append((loop, thread, todo))
        return plug, todo.append

    yield start
    for loop, thread, todo in loops:
        todo.append(loop.stop)
        thread.join(5)
        assert not thread.is_alive()


def heard(connected, size):
    data = b""
    while len(data) < size:
        data += connected.recv(size - len(data))
    return data


def test_length_and_payload_in_two_parts(vpcd, running):
    """As vpcd sends: the answer comes although the message came in pieces."""
    port = vpcd.getsockname()[1]
    plug, do = running(lambda loop: VpcdPlug(loop, "127.0.0.1", port, 1, lambda _slot: None))
    do(lambda: plug.insert(0, EchoCard()))
    connected, _ = vpcd.accept()
    with connected:
        connected.settimeout(5)
        for part in (ON[:1], ON[1:], framed(READ)[:2], framed(READ)[2:]):
            connected.sendall(part)
            time.sleep(0.01)
        assert heard(connected, 8) == framed(bytes.fromhex("030A1118") + b"\x90\x00")
        do(lambda: plug.remove(0))
        assert connected.recv(1) == b""


def test_it_connects_again_when_vpcd_was_started_again(vpcd, running):
    """A connection that ends is made again while the card is in."""
    port = vpcd.getsockname()[1]
    moved = []
    plug, do = running(lambda loop: VpcdPlug(loop, "127.0.0.1", port, 1, moved.append))
    do(lambda: plug.insert(0, EchoCard()))
    for _ in range(2):
        connected, _ = vpcd.accept()
        with connected:
            connected.settimeout(5)
            connected.sendall(ATR)
            assert heard(connected, 4) == b"\x00\x02\x3b\x00"
    do(plug.close)
    assert moved


def test_the_other_way_round(running):
    """In reverse the card waits and vpcd connects; pulling the card closes the port."""
    port = free_ports()
    plug, do = running(lambda loop: VpcdPlug(loop, "127.0.0.1", port, 1, lambda _slot: None, reverse=True))
    do(lambda: plug.insert(0, EchoCard()))
    for _ in range(100):
        try:
            connected = socket.create_connection(("127.0.0.1", port), timeout=5)
            break
        except OSError:
            time.sleep(0.02)
    with connected:
        connected.sendall(ATR)
        assert heard(connected, 4) == b"\x00\x02\x3b\x00"
        do(lambda: plug.remove(0))
        assert connected.recv(1) == b""
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_port_in_use_is_said(vpcd, running):
    """In reverse a port that is taken is refused in one sentence; so is a host that does not exist."""
    loop = Loop()
    plug = VpcdPlug(loop, "127.0.0.1", vpcd.getsockname()[1], 1, lambda _slot: None, reverse=True)
    with pytest.raises(ReaderError, match="choose another --vpcd"):
        plug.insert(0, EchoCard())
    with pytest.raises(ReaderError, match="There is no host"):
        VpcdPlug(loop, "no-such-host.invalid", 1, 1, lambda _slot: None)
    loop.close()
