"""GALSS: the LAD commands on both ends, the stand-in line below them, the driver `galss`."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from reader import galss
from reader.connection import Connection
from reader.emulated import EmulatedReader
from reader.errors import CardMute, CardProtocolError, CardRemoved, NoCard, ReaderError
from reader.galss import LadCard, LadDevice, LadHost, Order, open_galss
from reader.slot import Slot
from reader.transport.galss import MAX_REPLY, Frames, GalssLink, GalssServer, connector, framed

ATR = bytes.fromhex("3B751300004309EA9000")
READ = bytes.fromhex("00B0000004")


class Echoing:
    """A T=0 card: 61xx and GET RESPONSE for data with data, READ gives bytes, everything else 9000."""

    def __init__(self, atr: bytes = ATR) -> None:
        self.atr, self.commands, self.waiting, self.powered = atr, [], b"", False

    def power_on(self) -> bytes:
        self.powered = True
        return self.atr

    def power_off(self) -> None:
        self.powered = False

    def transmit(self, apdu: bytes) -> bytes:
        self.commands.append(apdu)
        command = CommandAPDU.parse(apdu)
        if command.ins == 0xC0:
            if len(self.waiting) != command.ne:
                return bytes((0x6C, len(self.waiting)))
            return self.waiting + b"\x90\x00"
        if command.ins == 0xB0:
            return bytes(range(command.ne % 256 or 256))[: command.ne] + b"\x90\x00"
        if command.ins == 0x88:
            self.waiting = command.data[::-1]
            return bytes((0x61, len(self.waiting)))
        return b"\x90\x00"


def ask(device: LadDevice, question: str) -> str:
    return device.answer(bytes.fromhex(question)).hex().upper()


@pytest.fixture
def bench() -> tuple[EmulatedReader, LadDevice]:
    reader = EmulatedReader()
    return reader, LadDevice(reader.slots)


def test_the_five_orders(bench):
    """Presence, power on, outgoing, incoming, power off: question and answer as the facts tabulate them."""
    reader, device = bench
    assert ask(device, "000016") == "000000"
    reader.insert("Vitale", card := Echoing())
    assert ask(device, "000016") == "000101"
    assert ask(device, "000014") == "000301" + ATR.hex().upper()
    assert ask(device, "0000010100B0000004") == "000301000102039000"
    assert ask(device, "000000010088000003AABBCC") == "0003016103"
    assert ask(device, "0000010100C0000003") == "000301CCBBAA9000"
    assert ask(device, "000000010022F30100") == "0003019000"
    assert card.commands[-1] == bytes.fromhex("0022F301"), "P3 = 0 in an incoming command is case 1"
    assert ask(device, "00001501") == "000101"
    assert not card.powered


@pytest.mark.parametrize(
    ("question", "report"),
    [
        ("", "02"),
        ("0000", "02"),
        ("010016", "01"),
        ("000216", "15"),
        ("000099", "020101"),
        ("00001600", "130101"),
        ("00000001", "130101"),
        ("0000000100A4000002AA", "130101"),
        ("0000010100B000000400", "130101"),
        ("0000010200B0000004", "160101"),
        ("0000010100B0000004", "030101"),
        ("00001502", "150101"),
        ("00001500", "120101"),
        ("000114", "170000"),
        ("0001010000B0000004", "170000"),
    ],
)
def test_what_is_refused(bench, question, report):
    """Each wrong question has its CR; the state and the count stay true."""
    reader, device = bench
    reader.insert("Vitale", Echoing())
    assert ask(device, question) == report


def test_a_changed_card_is_never_spoken_to(bench):
    """After removal and insertion the old count is refused (CR 16), the power is off; the new one works."""
    reader, device = bench
    reader.insert("Vitale", Echoing())
    ask(device, "000014")
    reader.slot("Vitale").remove()
    assert ask(device, "0000010100B0000004") == "160002"
    assert ask(device, "0000010200B0000004") == "170002"
    reader.insert("Vitale", Echoing())
    assert ask(device, "0000010100B0000004") == "160103"
    assert ask(device, "0000010300B0000004") == "030103"
    ask(device, "000014")
    assert ask(device, "0000010300B0000001") == "000303009000"


def test_mute_and_impossible_cards(bench):
    """A silent card is CR 11, an impossible ATR CR 10, an impossible answer CR 13; a good card follows."""
    reader, device = bench
    card = Echoing(atr=b"\x00\x00")
    reader.insert("CPS", card)
    assert ask(device, "000114")[:2] == "10"
    card.atr = ATR
    assert ask(device, "000114")[:2] == "00"
    card.transmit = lambda _apdu: b"\x90"
    assert ask(device, "0001010100B0000004")[:2] == "13"

    def silent(_apdu: bytes) -> bytes:
        raise TimeoutError

    card.transmit = silent
    assert ask(device, "0001010100B0000004") == "110101"
    del card.transmit
    assert ask(device, "000114")[:2] == "00"
    assert ask(device, "0001010100B0000001") == "000301009000"


@given(st.lists(st.binary(max_size=300), max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_question_is_answered(questions):
    """No bytes make the device raise; an answer is a CR, or CR state CPTR and at most 258 bytes."""
    reader = EmulatedReader()
    reader.insert("Vitale", Echoing())
    device = LadDevice(reader.slots)
    device.answer(bytes.fromhex("000014"))
    for question in questions:
        for asked in (question, b"\0\0" + question, b"\0\0\1\1" + question, b"\0\0\0\1" + question):
            assert 1 <= len(device.answer(asked)) <= galss.MAX_ANSWER


@given(st.binary(max_size=400), st.integers(0, 1))
@settings(max_examples=300, deadline=None)
def test_any_answer_is_survived(raw, kind):
    """Whatever a reader answers, the host's card gives bytes or raises OSError, nothing else."""
    card = LadCard(lambda _order, _question: (b"", b"\0\3\1")[kind] + raw, 0, 1, lambda: None)
    for act in (card.power_on, lambda: card.transmit(READ), lambda: card.transmit(b"\0\x88\0\0\1\1\0")):
        with suppress(OSError):
            assert isinstance(act(), bytes)


def linked(reader: EmulatedReader, lad: int = 0) -> tuple[LadDevice, LadCard]:
    device = LadDevice(reader.slots)
    card = LadHost(lambda _order, question: device.answer(question), lad).look()
    assert card is not None
    return device, card


def test_the_four_cases_over_lad():
    """Case 1 to 4 through LadCard give what the card gives in process, case 4 collected with GET RESPONSE."""
    reader = EmulatedReader()
    reader.insert("Vitale", Echoing())
    _device, card = linked(reader)
    assert card.power_on() == ATR
    assert card.transmit(bytes.fromhex("0044F301")) == b"\x90\x00"
    assert card.transmit(bytes.fromhex("00B0000000")) == bytes(range(256)) + b"\x90\x00"
    assert card.transmit(bytes.fromhex("00D60000020102")) == b"\x90\x00"
    assert card.transmit(bytes.fromhex("0088000002010200")) == b"\x02\x01\x90\x00"
    assert card.transmit(bytes.fromhex("0088000002010201")) == b"\x02\x01\x90\x00", "Le corrected by 6C02"
    for wrong in ("", "00B000", "0088000005AA", "00B00000000200"):
        assert card.transmit(bytes.fromhex(wrong)) == b"\x67\x00"


def test_a_stale_count_is_corrected_once():
    """CR 16 while the card is still under power: the command is repeated once with the count given."""
    asked = []

    def exchange(order: Order, question: bytes) -> bytes:
        asked.append(question.hex().upper())
        return b"\0\3\7\x90\0" if question[3] == 7 else b"\x16\3\7"

    card = LadCard(exchange, 0, 5, lambda: None)
    assert card.transmit(READ) == b"\x90\x00"
    assert asked == ["0000010500B0000004", "0000010700B0000004"]


def test_a_count_that_never_fits_is_a_card_that_left():
    """CR 16 without end: two questions, then the card is gone for good and its slot hears of it."""
    asked, gone = [], []

    def exchange(_order: Order, question: bytes) -> bytes:
        asked.append(question)
        return bytes((0x16, 3, len(asked)))

    card = LadCard(exchange, 0, 0, lambda: gone.append(1))
    for _ in range(3):
        with pytest.raises(OSError, match="left the reader"):
            card.transmit(READ)
    card.power_off()
    assert (len(asked), gone) == (2, [1])


def test_presence_gives_the_same_card_until_it_changes():
    """`look` gives one object per insertion, None when empty, another one after a movement."""
    reader = EmulatedReader()
    device = LadDevice(reader.slots)
    host = LadHost(lambda _order, question: device.answer(question), 0)
    assert host.look() is None
    reader.insert("Vitale", Echoing())
    first = host.look()
    assert first is not None
    assert host.look() is first
    reader.slot("Vitale").remove()
    reader.insert("Vitale", Echoing())
    second = host.look()
    assert second is not None
    assert second is not first


@given(st.lists(st.binary(min_size=1, max_size=MAX_REPLY), max_size=5), st.data())
@settings(max_examples=150, deadline=None)
def test_frames_whatever_the_chunks(contents, data):
    """The same frames whole, byte by byte and in random pieces."""
    stream = b"".join(map(framed, contents))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))], pieces):
        frames = Frames(MAX_REPLY)
        assert [frame for chunk in chunks for frame in frames.feed(chunk)] == contents


class Played:
    """A stream that plays what it was given; its clock goes on by itself when it waits."""

    def __init__(self, chunks: list[tuple[float, bytes]]) -> None:
        self.chunks, self.now, self.sent, self.closed = chunks, 0.0, b"", False

    def clock(self) -> float:
        return self.now

    def send(self, data: bytes) -> None:
        self.sent += data

    def receive(self, seconds: float) -> bytes:
        wait, data = self.chunks[0] if self.chunks else (seconds + 1, b"")
        if wait > seconds:
            self.now += seconds
            return b""
        self.chunks.pop(0)
        self.now += wait
        return data

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [(9.0, bytes((byte,))) for byte in framed(b"\0\0\0\3\1\x90\0") * 10],
        [(0.0, b"\xff\xff")],
        [(0.0, b"\0\0")],
        [(0.0, framed(b"\0\0\0\0\0") * 2)],
        [(0.0, framed(b"\0\0\0\0\0") + b"\0")],
        [(0.0, framed(b"\0"))],
    ],
    ids=["silent", "a byte every 9 s", "64 KiB claimed", "empty", "two answers", "one and a bit", "no error"],
)
def test_a_hostile_line_is_let_go(chunks):
    """Silence, trickles, lengths that lie, more than was asked: OSError in time, connection dropped."""
    stream = Played(chunks)
    link = GalssLink(lambda: stream, stream.clock)
    with pytest.raises(OSError):
        link.exchange(Order.INCOMING, bytes(9))
    assert stream.closed
    assert stream.now <= 21.0


def test_an_honest_slow_line_is_heard():
    """Positive twin: an answer in two pieces, seconds apart, is taken; the question has its frame."""
    stream = Played([(3.0, framed(b"\0\0\0\3\1\x90\0")[:4]), (3.0, framed(b"\0\0\0\3\1\x90\0")[4:])])
    link = GalssLink(lambda: stream, stream.clock)
    assert link.exchange(Order.OUTGOING, bytes(9)) == b"\0\3\1\x90\0"
    assert stream.sent == b"\0\x0a\x20" + bytes(9)


def test_an_interrupted_exchange_leaves_nothing_behind():
    """Ctrl-C while an answer is awaited: the connection is dropped, so that the answer is nobody's."""
    stream = Played([(0.0, framed(b"\0\0\0\1\1"))])
    link = GalssLink(lambda: stream, stream.clock)
    honest = stream.receive

    def interrupted(_seconds: float) -> bytes:
        stream.receive = honest
        raise KeyboardInterrupt

    stream.receive = interrupted
    with pytest.raises(KeyboardInterrupt):
        link.exchange(Order.PRESENCE, b"\0\0\x16")
    assert stream.closed


def test_galss_errors_are_no_answers():
    """An error of GALSS itself (exclusivity) is an OSError; the connection stays for the next question."""
    stream = Played([(0.0, framed(b"\0\4")), (0.0, framed(b"\0\0\0\1\1"))])
    link = GalssLink(lambda: stream, stream.clock)
    with pytest.raises(OSError, match="GALSS error 0004"):
        link.exchange(Order.PRESENCE, b"\0\0\x16")
    assert link.exchange(Order.PRESENCE, b"\0\0\x16") == b"\0\1\1"


@pytest.fixture
def served():
    """An emulated reader behind a loopback port."""
    reader = EmulatedReader()
    with GalssServer(LadDevice(reader.slots)) as server:
        yield reader, server


def settled(condition, seconds: float = 5.0) -> bool:
    """True once `condition()` holds; looks every 10 ms."""
    waiting = threading.Event()
    for _ in range(int(seconds * 100)):
        if condition():
            return True
        waiting.wait(0.01)
    return False


def test_the_driver_end_to_end(served):
    """Driver, line and device: both cards answer; a card pulled and put back is noticed and is a new card."""
    emulated, server = served
    emulated.insert("Vitale", Echoing())
    emulated.insert("CPS", Echoing())
    with open_galss([f"127.0.0.1:{server.port}"]) as reader:
        vitale, cps = (reader.slot(name).connect() for name in ("Vitale", "CPS"))
        assert vitale.atr == ATR
        assert vitale.transmit(CommandAPDU.parse(READ)).data == b"\0\1\2\3"
        emulated.slot("Vitale").remove()
        with pytest.raises(CardRemoved):
            vitale.transmit(CommandAPDU.parse(READ))
        assert settled(lambda: not reader.slot("Vitale").is_present)
        with pytest.raises(NoCard):
            reader.slot("Vitale").connect()
        assert cps.transmit(CommandAPDU.parse(READ)).data == b"\0\1\2\3"
        emulated.insert("Vitale", Echoing())
        assert settled(lambda: reader.slot("Vitale").is_present)
        assert reader.slot("Vitale").connect().transmit(CommandAPDU.parse(READ)).data == b"\0\1\2\3"


def test_the_driver_reports_a_bad_card(served):
    """A mute card and an unsupported one get the sentence of any reader; the other slot works on."""
    emulated, server = served
    card = Echoing()
    emulated.insert("Vitale", card)
    emulated.insert("CPS", Echoing())
    with open_galss([f"localhost:{server.port}"]) as reader:
        connection, cps = reader.slot("Vitale").connect(), reader.slot("CPS").connect()

        def silent(_apdu: bytes) -> bytes:
            raise TimeoutError

        card.transmit = silent
        with pytest.raises(CardMute):
            connection.transmit(CommandAPDU.parse(READ))
        card.atr = b"\0\0"
        with pytest.raises(CardProtocolError):
            reader.slot("Vitale").connect()
        assert cps.transmit(CommandAPDU.parse(READ)).sw == 0x9000


def test_one_program_at_a_time(served):
    """A second program is refused in one sentence while the first holds the reader, and let in after it."""
    emulated, server = served
    emulated.insert("CPS", card := Echoing())
    with open_galss([f"127.0.0.1:{server.port}"]) as first:
        first.slot("CPS").connect()
        assert card.powered
        with pytest.raises(ReaderError, match=r"No GALSS reader answers .* \(GALSS error 0004\)"):
            open_galss([f"127.0.0.1:{server.port}"])
    assert settled(lambda: not card.powered), "the cards lose their power with the session"
    with open_galss([f"127.0.0.1:{server.port}"]) as second:
        assert second.slot("CPS").connect().atr == ATR


def test_a_lost_line_comes_back(served):
    """The line is cut behind the driver's back: the session ends, the watch finds the card again."""
    emulated, server = served
    emulated.insert("CPS", Echoing())
    with open_galss([f"127.0.0.1:{server.port}"]) as reader:
        connection = reader.slot("CPS").connect()
        for client in tuple(server._clients):
            client.socket.shutdown(socket.SHUT_RDWR)
        assert settled(lambda: not _alive(connection))
        assert settled(lambda: reader.slot("CPS").is_present)
        assert settled(lambda: _works(reader.slot("CPS")))


def _alive(connection: Connection) -> bool:
    try:
        return bool(connection.transmit(CommandAPDU.parse(READ)))
    except ReaderError:
        return False


def _works(slot: Slot) -> bool:
    try:
        return slot.connect().transmit(CommandAPDU.parse(READ)).sw == 0x9000
    except ReaderError:
        return False


def test_hostile_programs_do_not_stop_the_server(served):
    """Lengths that lie, silence, many connections: an honest program is served all the same."""
    emulated, server = served
    emulated.insert("CPS", Echoing())
    address = ("127.0.0.1", server.port)
    rude = [socket.create_connection(address) for _ in range(12)]
    for place, line in enumerate(rude[:7]):
        line.sendall((b"\xff\xff", b"\0\0", b"\0", b"\0\1\0", bytes(500), b"\0\5\0\0\0", b"")[place])
    for line in rude:
        line.close()
    assert settled(lambda: not server._clients)
    with open_galss([f"127.0.0.1:{server.port}"]) as reader:
        assert reader.slot("CPS").connect().atr == ATR


def test_silent_programs_are_dropped():
    """A frame that never ends and a session nobody uses are both given up after their time."""
    now = [0.0]
    emulated = EmulatedReader()
    with (
        GalssServer(LadDevice(emulated.slots), clock=lambda: now[0]) as server,
        socket.create_connection(("127.0.0.1", server.port)) as half,
        socket.create_connection(("127.0.0.1", server.port)) as idle,
    ):
        half.sendall(b"\0")
        idle.sendall(framed(b"\xff\0\0\x16"))
        assert idle.recv(10) == framed(b"\0\0\0\0\0")
        assert settled(lambda: len(server._clients) == 2)
        now[0] = 11.0
        assert half.recv(1) == b""
        assert len(server._clients) == 1
        now[0] = 61.0
        assert idle.recv(1) == b""


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ([], "wants one address"),
        (["127.0.0.1:1", "127.0.0.1:2"], "wants one address"),
        (["nowhere"], "is not HOST:PORT"),
        (["127.0.0.1:99999"], "is not HOST:PORT"),
        (["127.0.0.1:²"], "is not HOST:PORT"),
        (["192.0.2.1:3000"], "use 127.0.0.1"),
        (["reader.example:3000"], "use 127.0.0.1"),
        (["127.0.0.1:1"], "No GALSS reader answers at 127.0.0.1:1 .* start it"),
    ],
)
def test_wrong_addresses_are_said(slots, words):
    """One sentence for each address that cannot work."""
    with pytest.raises(ReaderError, match=words):
        open_galss(slots)


def test_a_port_in_use_is_said(served):
    """A second server on the same port is refused in one sentence; another port works."""
    emulated, server = served
    with pytest.raises(ReaderError, match=r"cannot be opened .* choose another one"):
        GalssServer(LadDevice(emulated.slots), port=server.port)
    with GalssServer(LadDevice(emulated.slots)) as other:
        assert connector("127.0.0.1", other.port)() is not None
