"""Every machine of the room in one table: how to start it, and what real sessions feed it.

A machine takes bytes with `feed`. `Run` hides their differences: bytes in, one list of events out,
in which neighbouring bytes are joined, so that two ways of cutting a stream can be compared.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from card.iso7816.contacts import CardContacts, TpduLink
from card.iso7816.pps import Pps
from card.iso7816.reset import AtrCollector, inverted
from card.iso7816.t0 import T0Card, T0Host
from card.iso7816.t1 import T1Card
from card.iso7816.t1block import S_IFS, S_RESYNCH, S_WTX, Codec
from card.iso7816.t1host import T1Host
from reader import vpcd
from reader.agent import machines as agent_machines
from reader.agent.frames import Flag, Frame, FrameError, Frames, Kind, LentSlot, Outcome, Reason
from reader.agent.machines import Borrower, Lender
from reader.ccid.device import CcidDevice
from reader.ccid.events import Send
from reader.ccid.frames import Answer, Command, ParametersT0, Type, secure, set_parameters, transfer
from reader.ccid.frames import power_on as power_on_message
from reader.ccid.host import CcidHost
from reader.pinpad import PinEntry
from reader.serial import comport
from reader.serial.comport import ComPort
from reader.serial.gempc import NAK_FRAME, VARIANTS, GemPcDevice, framed
from reader.serial.gempc_host import GemPcHost
from reader.serial.phoenix import Wire
from reader.serial.phoenix_device import PhoenixDevice
from reader.transport import galss
from reader.vpcd import VpcdCard
from tests.reader.byte_cards import BOTH, T1_CRC, T1_IFSC_254, EchoCard

Feed = Callable[[bytes], Iterable[Any]]

COMMANDS = tuple(
    bytes.fromhex(text)
    for text in (
        "00A4020C",
        "00B0000010",
        "00D60000034142430",
        "00880000041122334400",
        "00C0000004",
        "00B0000000",
    )
    for text in (text[: len(text) // 2 * 2],)
)
"""Cases 1 to 4, GET RESPONSE and 256 bytes."""


@dataclass
class Run:
    """One machine at work: `feed` gives events; `machine` is what is measured; `end` looks at the rest."""

    machine: object
    feed: Feed
    end: Callable[[], Iterable[Any]] = tuple
    events: list[Any] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        """Feed one piece and keep its events, neighbouring bytes joined."""
        self._keep(self.feed(data))

    def finish(self) -> list[Any]:
        """All events, with those that only show at the end."""
        self._keep(self.end())
        return self.events

    def _keep(self, events: Iterable[Any]) -> None:
        for event in events:
            if isinstance(event, bytes) and self.events and isinstance(self.events[-1], bytes):
                self.events[-1] += event
            elif event != b"":
                self.events.append(event)


@dataclass(frozen=True)
class Machine:
    """A row of the table. name: module and class. whole: takes whole messages, not a stream.

    start: a fresh machine that listens. recordings: bytes of real sessions it was fed.
    """

    name: str
    start: Callable[[], Run]
    recordings: tuple[bytes, ...]
    variant: str = ""
    whole: bool = False

    def __str__(self) -> str:
        return self.name.rpartition(".")[2] + (f"-{self.variant}" if self.variant else "")


class Sturdy(EchoCard):
    """The echoing card, for any bytes: what is no command gets 6700."""

    def transmit(self, apdu: bytes) -> bytes:
        return super().transmit(apdu) if len(apdu) > 4 else b"\x67\x00"


# ---- the machines of the card


def _served(machine: Any, execute: Callable[[bytes], bytes]) -> Feed:
    def feed(data: bytes) -> list[bytes]:
        said = [machine.feed(data)]
        while machine.command is not None:
            said.append(machine.answer(execute(machine.command)))
        return said

    return feed


def _t0_card(*, each_byte: bool) -> Callable[[], Run]:
    def start() -> Run:
        card = T0Card(each_byte=each_byte)
        return Run(card, _served(card, Sturdy().transmit))

    return start


def _t1_card(*, crc: bool) -> Callable[[], Run]:
    def start() -> Run:
        card = T1Card(254, use_crc=crc)
        return Run(card, _served(card, Sturdy().transmit))

    return start


def _contacts(atr: bytes) -> Callable[[], Run]:
    def start() -> Run:
        contacts = CardContacts(Sturdy(atr))
        contacts.reset()
        return Run(contacts, lambda data: [contacts.feed(data)], lambda: [contacts.protocol, contacts.speed])

    return start


def _host(make: Callable[[], T0Host | T1Host], command: bytes) -> Callable[[], Run]:
    def start() -> Run:
        host = make()
        host.start(command)
        return Run(host, lambda data: [host.feed(data)], lambda: [host.answer, host.failure])

    return start


def _codec(*, crc: bool) -> Callable[[], Run]:
    def start() -> Run:
        codec = Codec(use_crc=crc)

        def feed(data: bytes) -> list[Any]:
            codec.feed(data)
            return list(iter(codec.next, None))

        return Run(codec, feed)

    return start


def _collector() -> Run:
    collector = AtrCollector()
    return Run(
        collector,
        lambda data: [collector.feed(data)],
        lambda: [collector.atr, collector.failure, collector.is_done],
    )


# ---- the machines of the reader


def _flat(events: Iterable[Any]) -> list[Any]:
    return [event.data if isinstance(event, Send) else event for event in events]


def _ccid_device() -> Run:
    device = CcidDevice(2, pad=True)
    for slot in range(2):
        device.insert(slot, TpduLink(Sturdy()))
    return Run(device, lambda data: _flat(device.feed(data)))


def _gempc_device(variant: str) -> Callable[[], Run]:
    def start() -> Run:
        device = GemPcDevice(VARIANTS[variant])
        for slot in range(min(2, device.variant.slots)):
            device.insert(slot, TpduLink(Sturdy()))
        return Run(device, lambda data: _flat(device.feed(data)))

    return start


def _ccid_host() -> Run:
    host = CcidHost()
    host.command(Type.XFR_BLOCK, 0, b"\0\0\0", COMMANDS[1])
    return Run(host, host.feed)


def _gempc_host(*, echo: bool) -> Callable[[], Run]:
    def start() -> Run:
        host = GemPcHost(echo=echo)
        host.command(Type.XFR_BLOCK, 0, b"\0\0\0", COMMANDS[1])
        return Run(host, host.feed, lambda: [host.is_partial])

    return start


def _galss_frames() -> Run:
    frames = galss.Frames(galss.MAX_REQUEST)

    def feed(data: bytes) -> list[Any]:
        try:
            return [(frame,) for frame in frames.feed(data)]
        except galss.FrameError:  # declared: the connection is given up
            run.feed = lambda _data: []
            return ["refused"]

    run = Run(frames, feed)
    run.end = lambda: run.feed(b"")
    return run


def _wire(*, inverse: bool) -> Callable[[], Run]:
    def start() -> Run:
        wire = Wire()
        wire.is_inverse = inverse
        wire.send(COMMANDS[1])
        return Run(wire, lambda data: [wire.hear(data)], lambda: [wire.failure])

    return start


def _phoenix_device(*, inverse: bool) -> Callable[[], Run]:
    def start() -> Run:
        device, card = PhoenixDevice(inverse=inverse), Sturdy()
        device.insert(card)
        device.set_mode(9600, "O" if inverse else "E")
        device.set_reset(True)
        device.set_reset(False)

        def feed(data: bytes) -> list[bytes]:
            said = device.feed(data)
            assert said.startswith(
                data
            )  # the echo comes first, however much was sent; the rest is the card's
            answers = [said[len(data) :]]
            while device.command is not None:
                answers.append(device.answer(card.transmit(device.command)))
            return answers

        return Run(device, feed)

    return start


def _com_port() -> Run:
    port = ComPort(cts=False)
    port.open()

    def feed(data: bytes) -> list[Any]:
        return [event.data if isinstance(event, comport.Data) else event for event in port.feed(data)]

    return Run(port, feed)


def _vpcd_card() -> Run:
    card = VpcdCard(Sturdy())
    return Run(card, lambda data: _flat(card.feed(data)), lambda: [card.active])


def _agent_frames() -> Run:
    frames = Frames()

    def feed(data: bytes) -> list[Any]:
        try:
            return list(frames.feed(data))
        except FrameError:  # declared: the connection is given up
            return []

    return Run(frames, feed, lambda: ["refused"] if frames.is_broken else [])


def _borrower() -> Run:
    machine = Borrower()
    for number in range(2 * len(COMMANDS)):
        machine.ask(Kind.TRANSMIT, number % 2, 3, COMMANDS[number % len(COMMANDS)])
        machine.ping()
    machine.give_up(3)
    return Run(machine, lambda data: _sent(machine.feed(data)))


def _lender() -> Run:
    machine = Lender(2)
    return Run(machine, lambda data: _sent(machine.feed(data)))


def _sent(events: Iterable[Any]) -> list[Any]:
    return [event.data if isinstance(event, agent_machines.Send) else event for event in events]


# ---- recordings of real sessions


def agent_said() -> bytes:
    """What an agent sends: two slots, movements, a sign of life, answers, the end."""
    agent = Lender(2)
    gateway = Borrower()
    agent.feed(gateway.welcome(10))
    said = agent.hello((LentSlot("Vitale", Flag.PRESENT, 3), LentSlot("CPS", Flag.PRESENT | Flag.PIN, 3)))
    said += agent.moved(0, Flag(0), 4) + Frame(Kind.PONG).to_bytes()
    for number in range(2 * len(COMMANDS)):
        _request, asked = gateway.ask(Kind.TRANSMIT, number % 2, 3, COMMANDS[number % len(COMMANDS)])
        agent.feed(asked)
        said += agent.answer(number + 1, Outcome(number % len(Outcome)), bytes(number) + b"\x90\x00")
    return said + agent.bye(Reason.STOPPING)


def gateway_said() -> bytes:
    """What a gateway sends: the welcome, a session with a card, a PIN that is given up, the end."""
    gateway = Borrower()
    entry = PinEntry.for_cps().to_ccid()
    bodies = ((Kind.BEGIN, b""), (Kind.POWER_ON, b""), *((Kind.TRANSMIT, one) for one in COMMANDS))
    asked = [gateway.ask(kind, 1, 3, body)[1] for kind, body in (*bodies, (Kind.END, b""))]
    number, typed = gateway.ask(Kind.ENTER_PIN, 1, 3, entry)
    said = gateway.welcome(10) + gateway.ping() + b"".join(asked) + typed + gateway.give_up(number)
    return said + gateway.bye(Reason.STOPPING)


def t0_sent() -> bytes:
    """What a host sends to a T=0 card: headers and data of a few commands."""
    return _t0_talk()[0]


def _t0_talk() -> tuple[bytes, bytes]:
    card, host, echo = T0Card(), T0Host(), EchoCard()
    sent, said = b"", b""
    for command in COMMANDS:
        out = host.start(command)
        while out:
            sent += out
            back = card.feed(out)
            while card.command is not None:
                back += card.answer(echo.transmit(card.command))
            said += back
            out = host.feed(back)
    return sent, said


def _t1_talk(*, crc: bool) -> tuple[bytes, bytes]:
    """Both directions of a few commands over T=1, with time asked for once."""
    card, host, echo = T1Card(254, use_crc=crc), T1Host(254, use_crc=crc), EchoCard()
    sent, said = b"", b""
    for command in (*COMMANDS, b"\0\xd6\0\0\xff" + bytes(255)):
        out = host.start(command)
        while host.answer is None and not host.failure:
            sent += out
            back = card.feed(out)
            while card.command is not None:
                back += card.answer(echo.transmit(card.command))
            said += back
            out = host.feed(back)
    return sent, said


def _t1_to_card(*, crc: bool) -> bytes:
    codec = Codec(use_crc=crc)
    return codec.encode(S_RESYNCH) + codec.encode(S_IFS, b"\xfe") + _t1_talk(crc=crc)[0]


def _t1_to_host(*, crc: bool) -> bytes:
    codec = Codec(use_crc=crc)
    return (
        codec.encode(S_IFS | 0x20, b"\xfe")
        + codec.encode(S_WTX, b"\2")
        + codec.encode(0x20, b"ABC")
        + codec.encode(0x40, b"D\x90\x00")
    )


def ccid_messages() -> tuple[bytes, ...]:
    """A short session: status, power, PPS, parameters, exchanges, escape, secure entry, off."""
    commands = [
        Command(Type.GET_SLOT_STATUS, 0, 0),
        Command(Type.ESCAPE, 0, 1, b"\0\0\0", b"\2"),
        power_on_message(0, 2),
        transfer(0, 3, Pps(0, 0x11).to_bytes()),
        set_parameters(0, 4, ParametersT0()),
        *(transfer(0, 5 + at, command) for at, command in enumerate(COMMANDS)),
        power_on_message(1, 12),
        Command(Type.GET_PARAMETERS, 1, 13),
        secure(1, 14, PinEntry.for_cps().to_ccid()),
        Command(Type.POWER_OFF, 0, 15),
        Command(0x7F, 0, 16),
        Command(Type.GET_SLOT_STATUS, 9, 17),
    ]
    return tuple(command.to_bytes() for command in commands)


def _ccid_answers() -> bytes:
    block = Answer(Type.DATA_BLOCK, 0, 0, data=bytes(16) + b"\x90\x00").to_bytes()
    time = Answer(Type.DATA_BLOCK, 0, 0, status=0x80, error=1).to_bytes()
    late = Answer(Type.DATA_BLOCK, 0, 77, data=b"\x90\x00").to_bytes()
    return late + time + block


def _gempc_sent() -> bytes:
    frames = [framed(message) for message in ccid_messages()]
    return b"".join(frames[:3]) + NAK_FRAME + b"".join(frames[3:])


def _gempc_said(*, echo: bool) -> bytes:
    sent = GemPcHost(echo=echo).command(Type.XFR_BLOCK, 0, b"\0\0\0", COMMANDS[1])
    answer = framed(Answer(Type.DATA_BLOCK, 0, 0, data=bytes(16) + b"\x90\x00").to_bytes())
    spoilt = answer[:-1] + bytes((answer[-1] ^ 1,))
    return (sent if echo else b"") + b"\x50\x03" + b"\x80" + spoilt + answer


def _galss_questions() -> bytes:
    questions = ("FF000016", "07000014", "20000000 01 00A40004 02 3F00", "200001 01 00B0000010", "0700001501")
    return b"".join(galss.framed(bytes.fromhex(question)) for question in questions)


def _vpcd_session() -> bytes:
    payloads = (b"\4", b"\1", *COMMANDS, b"\4", b"\2", COMMANDS[1], b"\0")
    return b"".join(vpcd.framed(payload) for payload in payloads)


def _telnet_session() -> bytes:
    iac, sb, se, do, will = (
        bytes((value,)) for value in (comport.IAC, comport.SB, comport.SE, comport.DO, comport.WILL)
    )
    port = bytes((comport.COM_PORT,))

    def ask(what: int, value: bytes) -> bytes:
        return iac + sb + port + bytes((what,)) + comport.escape(value) + iac + se

    return (
        iac + will + port + iac + do + b"\0" + iac + do + b"\x2a"
        + ask(comport.SET_SPEED, (9600).to_bytes(4, "big"))
        + ask(comport.SET_PARITY, b"\3")
        + ask(comport.SET_CONTROL, b"\x0b")
        + ask(comport.SET_CONTROL, b"\xff")
        + COMMANDS[1] + comport.escape(b"\xff\x10\x13\xfc") + COMMANDS[1]
        + ask(comport.PURGE, b"\1")
    )  # fmt: skip


ATR_OF_VITALE = bytes.fromhex("3B751300004309EA9000")
ATR_INVERSE = bytes.fromhex("033F") + bytes.fromhex("FFFF")


def table() -> tuple[Machine, ...]:
    """One row for each machine and manner."""
    t0_to_card, t0_to_host = _t0_talk()
    lrc, crc = _t1_to_card(crc=False), _t1_to_card(crc=True)
    to_host, to_host_crc = _t1_to_host(crc=False), _t1_to_host(crc=True)
    iso = "card.iso7816."
    read = COMMANDS[1]
    pps = Pps(0, 0x11).to_bytes()
    return (
        Machine(iso + "t0.T0Card", _t0_card(each_byte=False), (t0_to_card,)),
        Machine(iso + "t0.T0Card", _t0_card(each_byte=True), (t0_to_card,), "each byte"),
        Machine(
            iso + "t0.T0Host", _host(T0Host, read), (t0_to_host, b"\x60\x60\xb0" + bytes(16) + b"\x90\x00")
        ),
        Machine(iso + "t0.T0Host", _host(T0Host, b"\0\xd6\0\0\2AB"), (b"\x60\x29\xd6\x90\x00",), "write"),
        Machine(iso + "t1.T1Card", _t1_card(crc=False), (lrc,)),
        Machine(iso + "t1.T1Card", _t1_card(crc=True), (crc,), "crc"),
        Machine(iso + "t1host.T1Host", _host(lambda: T1Host(254), read), (to_host, _t1_talk(crc=False)[1])),
        Machine(
            iso + "t1host.T1Host", _host(lambda: T1Host(use_crc=True), bytes(300)), (to_host_crc,), "crc"
        ),
        Machine(iso + "t1block.Codec", _codec(crc=False), (lrc, to_host)),
        Machine(iso + "t1block.Codec", _codec(crc=True), (crc, to_host_crc), "crc"),
        Machine(iso + "contacts.CardContacts", _contacts(b"\x3b\x00"), (t0_to_card, pps + t0_to_card), "t0"),
        Machine(iso + "contacts.CardContacts", _contacts(T1_IFSC_254), (lrc,), "t1"),
        Machine(iso + "contacts.CardContacts", _contacts(T1_CRC), (crc,), "t1 crc"),
        Machine(
            iso + "contacts.CardContacts",
            _contacts(BOTH),
            (Pps(1, 0x13).to_bytes() + lrc, t0_to_card),
            "both",
        ),
        Machine(iso + "reset.AtrCollector", _collector, (ATR_OF_VITALE, T1_CRC, ATR_INVERSE)),
        Machine("reader.ccid.device.CcidDevice", _ccid_device, ccid_messages(), whole=True),
        *(
            Machine("reader.serial.gempc.GemPcDevice", _gempc_device(name), (_gempc_sent(),), name)
            for name in VARIANTS
        ),
        Machine("reader.ccid.host.CcidHost", _ccid_host, (_ccid_answers(),)),
        Machine(
            "reader.serial.gempc_host.GemPcHost", _gempc_host(echo=True), (_gempc_said(echo=True),), "echo"
        ),
        Machine("reader.serial.gempc_host.GemPcHost", _gempc_host(echo=False), (_gempc_said(echo=False),)),
        Machine("reader.serial.phoenix.Wire", _wire(inverse=False), (read + b"\xb0" + bytes(18),)),
        Machine("reader.serial.phoenix.Wire", _wire(inverse=True), (bytes(5) + bytes(18),), "inverse"),
        Machine("reader.serial.phoenix_device.PhoenixDevice", _phoenix_device(inverse=False), (t0_to_card,)),
        Machine(
            "reader.serial.phoenix_device.PhoenixDevice",
            _phoenix_device(inverse=True),
            (inverted(t0_to_card),),
            "inverse",
        ),
        Machine("reader.serial.comport.ComPort", _com_port, (_telnet_session(),)),
        Machine("reader.vpcd.VpcdCard", _vpcd_card, (_vpcd_session(),)),
        Machine("reader.transport.galss.Frames", _galss_frames, (_galss_questions(),)),
        Machine("reader.agent.frames.Frames", _agent_frames, (agent_said(), gateway_said()), "agent"),
        Machine("reader.agent.machines.Borrower", _borrower, (agent_said(),)),
        Machine("reader.agent.machines.Lender", _lender, (gateway_said(),)),
    )


LIES = (
    b"\0",
    b"\xff",
    b"\xff\xff",
    b"\xff\xff\xff\x7f",
    struct.pack("<I", 1 << 30),
    b"\x0f\x01\0\0",
    b"\x10\x01\0\0",
)
"""Lengths as these lines write them: nothing, 255, 64 KiB, 2 GiB, 1 GiB, the most, and one more."""
