"""GALSS, the historic French reader software: the commands of its card slots (LAD), both ends, no I/O.

A reader of that time has a LAD ("lecteur de cartes à puce") per slot: 0 takes the Vitale, 1 the CPS. Software
asks through the GALSS call `Echange`; the orders below are those that the LGPL reader driver of the ANS
Cryptolib puts into it (reader-galss.c, gal_err.h):

    order       question                                answer
    presence    00 LAD 16                               CR state CPTR
    power on    00 LAD 14                               CR state CPTR ATR
    power off   00 LAD 15 01                            CR state CPTR
    incoming    00 LAD 00 CPTR CLA INS P1 P2 P3 data    CR state CPTR [data] SW1 SW2
    outgoing    00 LAD 01 CPTR CLA INS P1 P2 P3         CR state CPTR data SW1 SW2

CPTR counts the movements of cards in the slot. A command says which count it believes in: a card that was
changed meanwhile is never spoken to by mistake (CR 16).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address

from reader import tpdu
from reader.connection import Connection
from reader.errors import CardMute, CardProtocolError, CardRemoved, NoCard, ReaderError
from reader.reader import Reader
from reader.slot import Slot
from reader.watch import LOOK_EVERY, Place, Watch

LAD_VITALE, LAD_CPS = 0, 1

ABSENT, PRESENT, POWERED = 0, 1, 3
"""Bits 0 and 1 of the state byte."""

MAX_ANSWER = 3 + 256 + 2
MAX_QUESTION = 4 + 5 + 255


class Order(IntEnum):
    """Third byte of a question."""

    INCOMING = 0x00
    OUTGOING = 0x01
    POWER_ON = 0x14
    POWER_OFF = 0x15
    PRESENCE = 0x16


class Report(IntEnum):
    """CR, the first byte of every answer."""

    DONE = 0x00
    UNKNOWN_APPLICATION = 0x01
    UNKNOWN_COMMAND = 0x02
    REFUSED = 0x03
    REINITIALISED = 0x04
    TIMEOUT = 0x05
    RECEIVE_ABORTED = 0x06
    SEND_ABORTED = 0x07
    HARDWARE = 0x08
    UNSUPPORTED_CARD = 0x10
    MUTE = 0x11
    STILL_PRESENT = 0x12
    INCONSISTENT = 0x13
    NOT_EXECUTED = 0x14
    VALUE_REFUSED = 0x15
    WRONG_COUNTER = 0x16
    CARD_ABSENT = 0x17


EXECUTION = {
    Order.PRESENCE: 0xFF,
    Order.POWER_ON: 0x07,
    Order.POWER_OFF: 0x07,
    Order.INCOMING: 0x20,
    Order.OUTGOING: 0x20,
}
"""The execution time that `Echange` is given with each order."""


class GalssError(IntEnum):
    """What `Echange` itself returns: 0, or why the question did not reach the reader."""

    NONE = 0x0000
    INTERNAL = 0x0001
    EXCLUSIVITY = 0x0004
    SEQUENCE = 0x0008
    TIME_EXCEEDED = 0x0100
    TRANSMISSION = 0x0200
    TIMEOUT = 0x0400
    PARAMETER = 0x4000


class LadDevice:
    """The reader's end: questions about the cards in these slots, in LAD order; `answer` never raises."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = tuple(slots)
        self._connections: dict[int, Connection] = {}

    def answer(self, question: bytes) -> bytes:
        """One question, one answer of at most MAX_ANSWER bytes, whatever the question holds."""
        if len(question) < 3:
            return bytes((Report.UNKNOWN_COMMAND,))
        application, lad, order = question[:3]
        if application:
            return bytes((Report.UNKNOWN_APPLICATION,))
        if lad >= len(self._slots):
            return bytes((Report.VALUE_REFUSED,))
        try:
            report, body = self._carry_out(lad, order, question[3:])
        except (NoCard, CardRemoved):
            report, body = Report.CARD_ABSENT, b""
        except CardMute:
            report, body = Report.MUTE, b""
        except CardProtocolError:
            report, body = Report.UNSUPPORTED_CARD, b""
        except ReaderError:
            report, body = Report.REFUSED, b""
        return bytes((report, self._state(lad), self._counter(lad))) + body

    def is_powered(self, lad: int) -> bool:
        """True while the card of this LAD has power."""
        return self._state(lad) == POWERED

    def end(self) -> None:
        """The session of the software that asked is over: every card loses its power and its PIN."""
        for lad in tuple(self._connections):
            self._release(lad)

    def _carry_out(self, lad: int, order: int, rest: bytes) -> tuple[Report, bytes]:
        if order == Order.PRESENCE:
            return (Report.DONE, b"") if not rest else (Report.INCONSISTENT, b"")
        if order == Order.POWER_ON:
            return self._power_on(lad) if not rest else (Report.INCONSISTENT, b"")
        if order == Order.POWER_OFF:
            return self._power_off(lad, rest)
        if order in (Order.INCOMING, Order.OUTGOING):
            return self._command(lad, order, rest)
        return Report.UNKNOWN_COMMAND, b""

    def _power_on(self, lad: int) -> tuple[Report, bytes]:
        self._connections.pop(lad, None)
        connection = self._slots[lad].connect()
        self._connections[lad] = connection
        return Report.DONE, connection.atr

    def _power_off(self, lad: int, rest: bytes) -> tuple[Report, bytes]:
        """Parameter 01 leaves the card in; 00 wants it out, which only a hand can do here."""
        if rest not in (b"\0", b"\1"):
            return Report.VALUE_REFUSED, b""
        self._release(lad)
        still_there = rest == b"\0" and self._slots[lad].is_present
        return (Report.STILL_PRESENT if still_there else Report.DONE), b""

    def _command(self, lad: int, order: int, rest: bytes) -> tuple[Report, bytes]:
        if len(rest) < 6 or len(rest) != 6 + (rest[5] if order == Order.INCOMING else 0):
            return Report.INCONSISTENT, b""
        if rest[0] != self._counter(lad):
            return Report.WRONG_COUNTER, b""
        if not self._slots[lad].is_present:
            return Report.CARD_ABSENT, b""
        if self._state(lad) != POWERED:
            return Report.REFUSED, b""
        without_length = order == Order.INCOMING and rest[5] == 0  # case 1
        command = rest[1:5] if without_length else rest[1:]
        answer = self._slots[lad].exchange(self._connections[lad], command)
        if not 2 <= len(answer) <= MAX_ANSWER - 3:
            return Report.INCONSISTENT, b""
        return Report.DONE, answer

    def _state(self, lad: int) -> int:
        if not self._slots[lad].is_present:
            return ABSENT
        connection = self._connections.get(lad)
        if connection is None:
            return PRESENT
        try:
            connection.check()
        except ReaderError:
            self._connections.pop(lad, None)
            return PRESENT
        return POWERED

    def _counter(self, lad: int) -> int:
        return self._slots[lad].event_counter & 0xFF

    def _release(self, lad: int) -> None:
        connection = self._connections.pop(lad, None)
        if connection is not None:
            with suppress(ReaderError):  # a slot somebody else keeps for himself
                connection.close()


@dataclass(frozen=True, slots=True)
class LadAnswer:
    """An answer taken apart: `report` (CR), `state` 0, 1 or 3, `counter` (CPTR), and what the card said."""

    report: int
    state: int
    counter: int
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> LadAnswer:
        """Raises OSError when these bytes are no answer; a lone CR is a refusal of the reader itself."""
        if len(raw) == 1 and raw[0]:
            return cls(raw[0], ABSENT, 0, b"")
        if not 3 <= len(raw) <= MAX_ANSWER:
            raise OSError("the reader's answer has not the length of one")
        return cls(raw[0], raw[1] & 3, raw[2], raw[3:])


Exchange = Callable[[Order, bytes], bytes]
"""Order and question to the reader, its answer back; raises OSError (TimeoutError) when none comes."""


class LadCard:
    """The host's end: a card in a LAD as a slot of ours holds it, from its insertion to its removal.

    counter: CPTR when the card was found. `gone` is called when the reader says that it is another card or
    none; from then on every call raises OSError.
    """

    def __init__(self, exchange: Exchange, lad: int, counter: int, gone: Callable[[], None]) -> None:
        self._exchange, self._lad, self.counter, self._gone = exchange, lad, counter, gone
        self.has_left = False

    def power_on(self) -> bytes:
        """Cold reset; the ATR, empty when the reader does not support the card. CPTR is read again."""
        answer = self._ask(Order.POWER_ON)
        if answer.report == Report.UNSUPPORTED_CARD:
            return b""
        answer = self._done(answer)
        self.counter = answer.counter
        return answer.body

    def power_off(self) -> None:
        """Take the power away, the card stays in."""
        if not self.has_left:
            self._ask(Order.POWER_OFF, b"\1")

    def transmit(self, apdu: bytes) -> bytes:
        """One short command; its answer, collected with GET RESPONSE in case 4 (ISO 7816-3:2006, 12.2.1)."""
        return tpdu.transmit(apdu, self._command)

    def _command(self, command: bytes, outgoing: bool) -> bytes:
        """One command; repeated once when only the count was stale and the card is still under power."""
        order = Order.OUTGOING if outgoing else Order.INCOMING
        answer = self._ask(order, bytes((self.counter,)) + command)
        if answer.report == Report.WRONG_COUNTER and answer.state == POWERED:
            self.counter = answer.counter
            answer = self._ask(order, bytes((self.counter,)) + command)
        return self._done(answer).body

    def _ask(self, order: Order, rest: bytes = b"") -> LadAnswer:
        if self.has_left:
            raise OSError("the card has left the reader")
        return LadAnswer.parse(self._exchange(order, question(self._lad, order, rest)))

    def _done(self, answer: LadAnswer) -> LadAnswer:
        if answer.report == Report.DONE:
            return answer
        if answer.report in (Report.WRONG_COUNTER, Report.CARD_ABSENT):
            self.has_left = True
            self._gone()
            raise OSError("the card has left the reader")
        if answer.report in (Report.MUTE, Report.TIMEOUT):
            raise TimeoutError("the card is mute")
        raise OSError(f"the reader reports CR {answer.report:02X}")


class LadHost:
    """What software knows of one LAD: asks for presence and says when there is another card than before.

    `look` gives a new card, None when the slot is empty, or the very card it gave before.
    """

    def __init__(self, exchange: Exchange, lad: int, gone: Callable[[], None] = lambda: None) -> None:
        self._exchange, self._lad, self._gone = exchange, lad, gone
        self._card: LadCard | None = None

    def look(self) -> LadCard | None:
        """Test presence once; raises OSError when the reader does not answer or has no such LAD."""
        answer = LadAnswer.parse(self._exchange(Order.PRESENCE, question(self._lad, Order.PRESENCE)))
        if answer.report not in (Report.DONE, Report.CARD_ABSENT):
            raise OSError(f"the reader reports CR {answer.report:02X} for LAD {self._lad}")
        if answer.state == ABSENT:
            self._card = None
        elif self._card is None or self._card.has_left or self._card.counter != answer.counter:
            self._card = LadCard(self._exchange, self._lad, answer.counter, self._gone)
        return self._card


def question(lad: int, order: Order, rest: bytes = b"") -> bytes:
    """The bytes of a question."""
    return bytes((0, lad, order)) + rest


class GalssReader(Reader):
    """The Vitale and CPS slots of a GALSS reader: LAD 0 and 1 behind one `exchange`.

    The first look is taken at once: raises OSError when the reader does not answer. Later ones, in a thread,
    keep the slots as the hardware is; a reader that falls silent has empty slots until it speaks again.
    """

    def __init__(self, exchange: Exchange, close: Callable[[], None], every: float = LOOK_EVERY) -> None:
        super().__init__()
        self._close = close
        hosts = [LadHost(exchange, lad, slot.remove) for lad, slot in enumerate(self.slots)]
        self._places = [Place(slot, host.look) for slot, host in zip(self.slots, hosts, strict=True)]
        for place in self._places:
            place.look()
        self._watch = Watch(self._look, every, "galss-watch")

    def close(self) -> None:
        """End the watch, let both cards go and hang up."""
        self._watch.close()
        super().close()
        self._close()

    def _look(self) -> None:
        for place in self._places:
            with suppress(OSError):
                place.look()


def open_galss(slots: Sequence[str]) -> Reader:
    """Driver `galss`: the reader whose stand-in line is at HOST:PORT; LAD 0 is Vitale, LAD 1 is CPS.

    Raises ReaderError, one sentence, when the address is not one or nothing answers there.
    """
    from reader.transport.galss import GalssLink, connector  # noqa: PLC0415 - sockets stay in transport

    if len(slots) != 1:
        raise ReaderError('The driver galss wants one address for both slots: write slots = ["HOST:PORT"].')
    host, port = loopback_address(slots[0])
    link = GalssLink(connector(host, port))
    try:
        return GalssReader(link.exchange, link.close)
    except OSError as problem:
        link.close()
        raise ReaderError(
            f"No GALSS reader answers at {host}:{port} ({problem.strerror or problem}): start it "
            "(vitale-reader emulate --galss) or correct the address."
        ) from None


def loopback_address(text: str) -> tuple[str, int]:
    """HOST and PORT of HOST:PORT on this machine: PINs pass in clear on this line. Raises ReaderError."""
    host, mark, port = text.strip().rpartition(":")
    if not mark or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ReaderError(f"The GALSS address {text!r} is not HOST:PORT: write 127.0.0.1:3000, for example.")
    try:
        is_here = host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise ReaderError(
            f"The GALSS address {text!r} is elsewhere: PINs pass in clear on this line, use 127.0.0.1."
        )
    return host.strip("[]"), int(port)
