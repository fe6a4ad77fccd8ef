"""The host of a GemPC-Twin line: frames, echo, NAK, notices, time; driver `gempc` and emulated readers."""

from __future__ import annotations

import os
import pty
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from reader.ccid.frames import MAX_DATA, Answer, Type
from reader.ccid.host import Answered, Broken, MoreTime, Strange
from reader.errors import CardMute, CardRemoved, NoCard, ReaderError, SlotBusy
from reader.gempc import GemPcReader, open_gempc
from reader.pinpad import Digits, Entered, PinEntry
from reader.serial.gempc import NAK_FRAME, VARIANTS, framed
from reader.serial.gempc_host import MAX_NOISE, MAX_REPEATS, MAX_REQUESTS, GemPcHost, Moved, Reply, opening
from reader.serial.gempc_line import GemPcLine
from reader.transport import serial_port
from reader.watch import ReaderSilent
from tests.reader.byte_cards import T1_IFSC_254, EchoCard, pattern
from tests.reader.host_bench import HostileStream, emulated, reader_on, settled

READ = CommandAPDU(0, 0xB0, 0, 0, b"", 256)
TWIN, PINPAD, SIMPRO = VARIANTS["gempctwin"], VARIANTS["gempcpinpad"], VARIANTS["gemcoresimpro2"]


def answer(seq: int = 0, slot: int = 0, data: bytes = b"\x90\x00", bits: int = 0) -> bytes:
    return framed(Answer(Type.DATA_BLOCK, slot, seq, bits, 0, 0, data).to_bytes())


def asking(*, echo: bool = False) -> tuple[GemPcHost, bytes]:
    host = GemPcHost(echo=echo)
    return host, host.command(Type.XFR_BLOCK, 0, b"\0\0\0", b"\0\xb0\0\0\0")


# ---- the machine


def test_the_frame_of_libccid():
    """SYNC, ACK, message, LRC: GetSlotStatus as libccid sends it."""
    sent = GemPcHost(echo=True).command(Type.GET_SLOT_STATUS, 0)
    assert sent.hex() == "03066500000000000000000060"


@pytest.mark.parametrize("echo", [True, False])
def test_with_and_without_echo(echo):
    """The echo is dropped whatever its content, a header-only one too; no echo at all does no harm."""
    for back in (b"", *([framed(b"\x6f" + bytes(9)), b"\x03\x06\x6f" + bytes(9) + b"\xff"] if echo else [])):
        host, _sent = asking(echo=echo)
        events = host.feed(back + answer())
        assert [type(event) for event in events] == [Answered]


def test_an_echo_nobody_asked_for():
    """A reader that echoes though its variant does not: dropped, the answer is taken."""
    host, sent = asking()
    assert [type(event) for event in host.feed(sent + answer())] == [Strange, Answered]


def test_movement_and_time_come_between_frames():
    """50 and two bits per slot, single bytes from 80: told, before and after the echo."""
    host, sent = asking(echo=True)
    events = host.feed(b"\x50\x02" + sent + b"\x50\x0b\x80\xff" + answer())
    assert [type(event) for event in events] == [Moved, Moved, MoreTime, MoreTime, Answered]
    assert (events[0].changed(0), events[0].changed(1)) == (True, False)
    assert (events[1].changed(0), events[1].changed(1)) == (True, True)


def test_a_wrong_lrc_is_asked_for_again():
    """NAK goes out, the repeated answer is taken; after MAX_REPEATS it is over."""
    wrong = answer()[:-1] + b"\0"
    host, _sent = asking()
    for _ in range(MAX_REPEATS):
        assert host.feed(wrong) == [Reply(NAK_FRAME)]
    assert isinstance(host.feed(answer())[0], Answered)
    host, _sent = asking()
    events = [event for _ in range(MAX_REPEATS + 1) for event in host.feed(wrong)]
    assert isinstance(events[-1], Broken)


def test_a_nak_repeats_the_command():
    """03 15 16 makes the same frame go out again, and its echo come; after MAX_REPEATS it is over."""
    host, sent = asking(echo=True)
    for _ in range(MAX_REPEATS):
        assert host.feed(sent + NAK_FRAME) == [Reply(sent)]
    assert [type(event) for event in host.feed(sent + answer())] == [Answered]
    host, sent = asking()
    events = [event for _ in range(MAX_REPEATS + 1) for event in host.feed(NAK_FRAME)]
    assert isinstance(events[-1], Broken)


def test_a_nak_to_our_nak_repeats_nothing():
    """Once an answer was lost the command must not run twice: a PIN would cost two tries."""
    host, _sent = asking()
    host.feed(answer()[:-1] + b"\0")
    (event,) = host.feed(NAK_FRAME)
    assert isinstance(event, Strange)


def test_an_unfinished_frame_is_asked_for_again():
    """Silence inside a frame, or after a length that cannot be: NAK, and what follows is read afresh."""
    for begun in (answer()[:7], b"\x03\x06\x80\xff\xff\0\0" + bytes(300)):
        host, _sent = asking()
        assert host.feed(begun) == []
        assert host.is_partial
        assert host.silence() == [Reply(NAK_FRAME)]
        assert not host.is_partial
        assert isinstance(host.feed(answer())[0], Answered)
    assert asking()[0].silence() == []


@pytest.mark.parametrize(
    "flood", [b"\x80" * (MAX_REQUESTS + 1), b"\x50\x03" * 65, b"\x00" * (MAX_NOISE + 1), b"\x03" * 5000]
)
def test_floods_end(flood):
    """Time requests, notices and noise without end break the conversation off, and hold no memory."""
    host, _sent = asking()
    assert isinstance(host.feed(flood)[-1], Broken)
    assert len(host._buffer) == 0
    host.resynchronise()
    host.command(Type.XFR_BLOCK, 0)
    assert isinstance(host.feed(answer(seq=1))[0], Answered)


pieces = st.one_of(
    st.builds(answer, st.integers(0, 2), st.integers(0, 1), st.binary(max_size=MAX_DATA)),
    st.sampled_from([NAK_FRAME, b"\x50\x02", b"\x50\x03", b"\x80", b"\x03", b"\x03\x06", b"\x00"]),
    st.just(asking()[1]),
    st.binary(max_size=20),
)


@given(st.lists(pieces, max_size=20), st.booleans(), st.data())
@settings(max_examples=200, deadline=None)
def test_any_bytes_in_any_chunks(parts, echo, data):
    """Whole, byte by byte, random splits: the same events, never an exception, at most one frame held."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splits = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    results = []
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))], splits):
        host, _sent = asking(echo=echo)
        events = []
        for chunk in chunks:
            events += host.feed(chunk)
            assert len(host._buffer) <= MAX_DATA + 13
        results.append(events)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_the_open_sequence(variant):
    """Escapes and status in libccid's order; an emulated reader accepts it and names its firmware."""
    data = [step.data.hex()[:10] for step in opening(variant)]
    assert data[0] == ("06" if variant.auto else "02")
    assert variant.auto or data[1:6] == ["010101", "", "", "", "6a"]
    assert ("b2a0004d4c" in data) == variant.pad
    assert all(len(step.data) in (0, 1, 3, 165) for step in opening(variant))
    stream = emulated(variant.name)
    line = GemPcLine(stream.connect, variant)
    line.open()
    assert line.firmware.startswith(b"VitaleGateway")


# ---- the driver in process


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_cards_in_every_variant(variant):
    """Both cards of a two-slot reader, the one of a single, T=0 and T=1; an empty slot says so."""
    stream = emulated(variant.name, EchoCard(), *([EchoCard(T1_IFSC_254)] if variant.slots > 1 else []))
    with reader_on(stream) as reader:
        present = [slot for slot in reader.slots if slot.is_present]
        assert len(present) == min(variant.slots, 2)
        for slot in present:
            assert slot.connect().transmit(READ).data == pattern(256)
            assert slot.has_pad == variant.pad
        if variant.slots == 1:
            with pytest.raises(NoCard):
                reader.slot("CPS").connect()


def looking(stream) -> GemPcReader:
    """A reader whose watch looks all the time."""
    return reader_on(stream, every=0.01)


def test_hot_plug():
    """Pulled: the session ends, the slot empties, the other works on. Put back: a new card, a new session."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard())
    with looking(stream) as reader:
        vitale, cps = (reader.slot(name).connect() for name in ("Vitale", "CPS"))
        assert vitale.transmit(READ).sw == 0x9000
        stream.remove(0)
        with pytest.raises(CardRemoved):
            vitale.transmit(READ)
        assert settled(lambda: not reader.slot("Vitale").is_present)
        assert cps.transmit(READ).sw == 0x9000
        stream.insert(0, EchoCard())
        assert settled(lambda: reader.slot("Vitale").is_present)
        with pytest.raises(CardRemoved):
            vitale.transmit(READ)
        assert reader.slot("Vitale").connect().transmit(READ).sw == 0x9000
        assert cps.transmit(READ).sw == 0x9000


def test_pulled_and_put_back_between_two_looks():
    """Nobody looked meanwhile: the next command hears of it all the same, by the notice or the lost power."""
    for drop_notice in (False, True):
        stream = emulated("gemcoresimpro2", EchoCard())
        with reader_on(stream) as reader:
            connection = reader.slot("Vitale").connect()
            stream.remove(0)
            stream.insert(0, EchoCard())
            if drop_notice:
                stream.device._notices.clear()
            with pytest.raises(CardRemoved):
                connection.transmit(READ)


def test_a_busy_line_empties_no_slot(monkeypatch):
    """Somebody takes long to type a PIN: looks that get no turn change nothing."""
    monkeypatch.setattr("reader.serial.gempc_line.BUSY", 0.001)
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard())
    with reader_on(stream, every=0.001) as reader:
        connection = reader.slot("CPS").connect()
        with reader._lines[0]._lock:
            threading.Event().wait(0.05)
            with pytest.raises(SlotBusy):
                reader.slot("Vitale").connect()
        assert connection.transmit(READ).sw == 0x9000
        assert [slot.event_counter for slot in reader.slots] == [1, 1]


def test_nothing_is_lost_by_looking():
    """A thousand looks beside a working session never end it."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard())
    with reader_on(stream, every=0.0001) as reader:
        for _ in range(20):
            connection = reader.slot("CPS").connect()
            assert all(connection.transmit(READ).sw == 0x9000 for _ in range(20))
            connection.close()
        assert reader.slot("CPS").event_counter == 1


class PinCard(EchoCard):
    """VERIFY: 9000 for 1234, else 63C2."""

    def transmit(self, apdu: bytes) -> bytes:
        if apdu[1] == 0x20:
            return b"\x90\x00" if apdu[5:] == b"1234" + b"\xff" * 4 else b"\x63\xc2"
        if apdu[1] == 0x24:
            return b"\x90\x00" if apdu[5:] == b"1234" + b"\xff" * 4 + b"5678" + b"\xff" * 4 else b"\x63\xc2"
        return super().transmit(apdu)


def test_pin_change_on_the_pad():
    """A GemPC Pinpad takes a modification with its three messages: both PIN reach the card, none the host."""
    typed = Entered(Digits("1234"), Digits("5678"), Digits("5678"))
    stream = emulated("gempcpinpad", PinCard(), outcome=typed)
    template = bytes.fromhex("0024000110") + b"\xff" * 16
    change = PinEntry(
        "modify", template, block_string=0x08, maximum=4, message_count=1, messages=(0, 1, 2), new_offset=8
    )
    with reader_on(stream) as reader:
        connection = reader.slot("Vitale").connect()
        sent = len(stream.sent)
        assert connection.verify_on_pad(change).sw == 0x9000
        assert b"1234" not in stream.sent[sent:]


def test_pin_pad():
    """The PIN typed on the reader reaches the card; not one of its digits passes on the line."""
    stream = emulated("gempcpinpad", PinCard(), outcome=Entered(Digits("1234")))
    with reader_on(stream) as reader:
        connection = reader.slot("Vitale").connect()
        assert connection.has_pad
        sent = len(stream.sent)
        assert connection.verify_on_pad(PinEntry.for_cps()).sw == 0x9000
        assert b"1234" not in stream.sent[sent:]


def test_a_line_that_loses_a_byte_now_and_then():
    """Every seventh piece from the reader is spoilt: asked for again, the answers stay right."""
    stream = emulated("gempctwin", EchoCard())
    honest, count = stream.receive, [0]

    def spoilt(seconds: float) -> bytes:
        data = honest(seconds)
        count[0] += 1
        return data[:-1] + bytes((data[-1] ^ 1,)) if data and count[0] % 7 == 0 else data

    stream.receive = spoilt
    with reader_on(stream) as reader:
        connection = reader.slot("Vitale").connect()
        assert all(connection.transmit(READ).data == pattern(256) for _ in range(50))


def test_an_unplugged_reader_comes_back():
    """The port dies under the driver: slots empty; when it is there again the cards are found again."""
    stream = emulated("gemcoresimpro2", EchoCard())
    honest = stream.send
    with looking(stream) as reader:
        connection = reader.slot("Vitale").connect()

        def dead(_data: bytes) -> None:
            raise OSError("unplugged")

        stream.send = dead
        assert settled(lambda: not reader.slot("Vitale").is_present)
        with pytest.raises(CardRemoved):
            connection.transmit(READ)
        with pytest.raises(ReaderSilent, match="reader of the Vitale slot does not answer: check its cable"):
            reader.slot("Vitale").connect()
        stream.send = honest
        assert settled(lambda: reader.slot("Vitale").is_present)
        assert reader.slot("Vitale").connect().transmit(READ).sw == 0x9000
        assert stream.opened > 1


# ---- hostile readers, with a clock of their own


def hostile(script) -> tuple[GemPcLine, HostileStream]:
    stream = HostileStream(script)
    line = GemPcLine(stream.connect, SIMPRO, stream.clock)
    line._greet = lambda _stream: None
    return line, stream


def whole(frame: bytes) -> bytes:
    return framed(Answer(Type.DATA_BLOCK, frame[7], frame[8], 0, 0, 0, b"\x90\x00").to_bytes())


def trickled(frame: bytes, seconds: float, data: bytes | None = None) -> list[tuple[float, bytes]]:
    return [(seconds, bytes((byte,))) for byte in (whole(frame) if data is None else data)]


@pytest.mark.parametrize(
    "script",
    [
        lambda _frame: [],
        lambda frame: trickled(frame, 9.0),
        lambda frame: trickled(frame, 4.0, b"\x80" * 1000),
        lambda frame: trickled(frame, 0.01, b"\x80" * 1000),
        lambda frame: [(0.0, framed(Answer(0x80, 0, frame[8], 0x80, 1).to_bytes()))] * 1000,
        lambda frame: [(4.0, framed(Answer(0x80, 0, frame[8], 0x80, 1).to_bytes()))] * 1000,
        lambda frame: [(0.0, framed(Answer(0x80, 1, frame[8]).to_bytes()))] * 100,
        lambda frame: [(0.0, framed(Answer(0x80, 0, frame[8] ^ 1).to_bytes()))] * 100,
        lambda frame: [(0.0, whole(frame)[:-1] + b"\0")] * 10,
        lambda _frame: [(0.0, NAK_FRAME)],
        lambda _frame: [(0.0, b"\x03\x06\x80\xff\xff\xff\xff")],
        lambda frame: [(0.0, whole(frame)[:-2])],
        lambda _frame: [(0.0, bytes(4096))] * 10,
        lambda frame: [(0.4, whole(frame)[:1])] * 1000,
    ],
    ids=[
        "silent", "a byte every 9 s", "time every 4 s", "time in a flood", "extensions", "slow extensions",
        "another slot", "another bSeq", "wrong LRC", "NAK for ever", "a 4 GiB answer", "cut short", "noise",
        "SYNC every 0.4 s",
    ],
)  # fmt: skip
def test_hostile_readers_are_let_go(script):
    """Whatever a reader does, an exchange of at most 20 s ends within 21 s, with OSError and nothing else."""
    line, stream = hostile(script)
    with pytest.raises(OSError):
        line.ask(0, Type.XFR_BLOCK, b"\0\0\0", b"\0\xb0\0\0\0", 20.0)
    assert stream.now <= 21.0
    assert stream.opened == 1
    stream.script = lambda frame: [(0.0, whole(frame))]
    assert line.ask(1, Type.XFR_BLOCK, b"\0\0\0", b"\0\xb0\0\0\0", 20.0).data == b"\x90\x00"
    assert stream.opened == 2, "the next exchange begins on a line that was opened again"


def test_an_honest_slow_reader_is_heard():
    """Positive twin: time requests every second and an answer in pieces within the time are taken."""
    line, stream = hostile(
        lambda frame: [(1.0, b"\x80")] * 10 + [(0.3, whole(frame)[:5]), (0.3, whole(frame)[5:])]
    )
    assert line.ask(0, Type.XFR_BLOCK, b"\0\0\0", b"\0\xb0\0\0\0", 20.0).data == b"\x90\x00"
    assert 10.0 < stream.now < 11.0


def test_a_silent_slot_leaves_the_other_alone():
    """The reader says nothing for slot 0: that card is mute, the session in slot 1 goes on (promise B5)."""
    stream = emulated("gemcoresimpro2", EchoCard(), EchoCard())
    with reader_on(stream) as reader:
        for line in reader._lines:
            line._clock = iter(range(0, 1_000_000, 3)).__next__
        vitale, cps = (reader.slot(name).connect() for name in ("Vitale", "CPS"))
        honest = stream.send
        stream.send = lambda data: None if data[2] == Type.XFR_BLOCK and data[7] == 0 else honest(data)
        with pytest.raises(CardMute):
            vitale.transmit(READ)
        assert stream.now <= 21.0
        assert cps.transmit(READ).sw == 0x9000


@given(st.lists(st.tuples(st.floats(0, 6), st.binary(max_size=30)), max_size=10))
@settings(max_examples=150, deadline=None)
def test_any_reader_at_all(said):
    """Any bytes at any time: an answer or OSError, within the time."""
    line, stream = hostile(lambda _frame: said)
    with suppress(OSError):
        line.ask(0, Type.XFR_BLOCK, b"\0\0\0", b"", 20.0)
    assert stream.now <= 21.0


# ---- ports


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ([], "wants slots ="),
        ([""], "wants slots ="),
        (["/dev/a", "/dev/b", "/dev/c"], "wants slots ="),
        (["/dev/a", "/dev/a:GemPCPinPad"], "named twice"),
        (
            ["/dev/ttyS0:GemPCTriplet"],
            "no reader variant 'GemPCTriplet' .* use one of GemPCTwin, GemPCPinPad",
        ),
        (["/dev/no-such-port"], "no serial port /dev/no-such-port: plug the reader in"),
        (["/dev/null:SEC1210"], "/dev/null is not a serial port"),
        (["nonsense://x"], "cannot be opened"),
    ],
)
def test_wrong_ports_are_said(slots, words):
    """One sentence for each list of slots that cannot work."""
    with pytest.raises(ReaderError, match=words):
        open_gempc(slots)


@pytest.fixture
def terminal():
    """A pseudo-terminal: its name, and the end a reader would hold."""
    ours, theirs = pty.openpty()
    yield os.ttyname(theirs), ours
    os.close(ours)
    os.close(theirs)


def test_nothing_answers(terminal, monkeypatch):
    """A port without a reader: said with the speed, after the two seconds of the first question."""
    monkeypatch.setattr("reader.serial.gempc_line.QUIET", 0.05)
    with pytest.raises(ReaderError, match=r"No GemPCTwin answers at /dev/.* at 115200 baud .* check cable"):
        open_gempc([terminal[0]])


def test_a_port_in_use(terminal):
    """A second program on the same port is told; when the first has closed it, it may have it."""
    first = serial_port.SerialPort(terminal[0])
    with pytest.raises(ReaderError, match="in use by another program"):
        serial_port.SerialPort(terminal[0])
    first.close()
    serial_port.SerialPort(terminal[0]).close()


def test_a_port_of_others(monkeypatch, tmp_path):
    """No permission: the sentence names the group that has it."""
    port = tmp_path / "ttyX"
    port.touch()

    def refused(*_arguments, **_named):
        raise PermissionError(13, "Permission denied")

    import serial

    monkeypatch.setattr(serial, "serial_for_url", refused)
    group = Path(port).group()
    with pytest.raises(ReaderError, match=rf"add yourself to the group {group} \(sudo usermod -aG {group}"):
        open_gempc([f"{port}:GemPCTwin"])
    assert stat.S_ISREG(port.stat().st_mode)


def test_without_pyserial(monkeypatch):
    """The sentence says which extra to install."""
    monkeypatch.setitem(__import__("sys").modules, "serial", None)
    with pytest.raises(ReaderError, match=r'pip install "vitale-gateway\[serial\]"'):
        open_gempc(["/dev/ttyS0"])


def test_a_port_that_vanishes(terminal):
    """The other end of the line is gone: OSError from every call, closing stays harmless."""
    port = serial_port.SerialPort(terminal[0])
    assert port.receive(0.0) == b""
    os.write(terminal[1], b"hello")
    assert port.receive(1.0) == b"hello"
    port.close()
    for act in (lambda: port.send(b"x"), lambda: port.receive(0.0), port.clear):
        with pytest.raises(OSError):
            act()
    port.close()


@pytest.mark.parametrize("variant", [TWIN, SIMPRO, PINPAD], ids=lambda variant: variant.name)
def test_a_real_pseudo_terminal(variant, terminal):
    """Driver, pyserial, terminal, emulated reader: the cards answer over a real line."""
    name, far_end = terminal
    stream = emulated(variant.name, EchoCard(), *([EchoCard()] if variant.slots > 1 else []))
    stop = threading.Event()

    def serve() -> None:
        os.set_blocking(far_end, False)
        while not stop.is_set():
            with suppress(BlockingIOError):
                stream.send(os.read(far_end, 4096))
            if waiting := stream.receive(0):
                os.write(far_end, waiting)
            stop.wait(0.0005)

    served = threading.Thread(target=serve)
    served.start()
    try:
        with open_gempc([f"{name}:{variant.device}"]) as reader:
            for slot in reader.slots[: min(variant.slots, 2)]:
                connection = slot.connect()
                assert all(connection.transmit(READ).data == pattern(256) for _ in range(5))
    finally:
        stop.set()
        served.join()


def test_one_line_for_each_slot():
    """Two single-slot readers on two ports: the first is the Vitale slot, the second the CPS slot."""
    streams = [emulated("gempctwin", EchoCard()), emulated("gempcpinpad", EchoCard())]
    lines = [GemPcLine(stream.connect, stream.device.variant) for stream in streams]
    with GemPcReader(lines) as reader:
        assert [slot.has_pad for slot in reader.slots] == [False, True]
        streams[1].remove(0)
        with pytest.raises(CardRemoved):
            reader.slot("CPS").connect()
        assert reader.slot("Vitale").connect().transmit(READ).sw == 0x9000


def test_the_wrong_variant_is_said():
    """A Twin that is called a two-slot reader, and an answer that no escape of the family gets."""
    stream = emulated("gempctwin", EchoCard())
    with pytest.raises(ReaderError, match=r"not a GemCorePOSPro \(has no slot 1\): correct the variant"):
        GemPcReader([GemPcLine(stream.connect, VARIANTS["gemcorepospro"])])
    stream = emulated("gempctwin", EchoCard())
    stream.device._escape = lambda _slot, _data: None
    stream.device._ccid._escape_handler = lambda _slot, _data: None
    with pytest.raises(ReaderError, match="refuses escape 02"):
        GemPcReader([GemPcLine(stream.connect, TWIN)])
