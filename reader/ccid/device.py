"""The emulated reader: CCID messages in, events out. No line, no clock, no keypad: those are its caller's.

A slot is absent, present without power, or active (6.2.6). Exchanges are at TPDU level: what XfrBlock carries
is a PPS request, a T=0 command or a T=1 block, and a card link carries it out. One answer per command, with
the command's own bSlot and bSeq; the answer to a PIN entry comes when the person has typed, and until then
the slot's card is busy. No bytes of a host and nothing a card does make `feed` raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from card.iso7816.atr import DI, FI, MAX_LENGTH, Atr, AtrError
from card.iso7816.pps import Pps, PpsError
from card.iso7816.t1block import lrc
from reader.ccid.events import AskPin, CardLink, EntryEnded, Event, PowerChanged, Send
from reader.ccid.frames import (
    ANSWERED_BY,
    FAILED,
    HEADER,
    HEADER_SIZE,
    MAX_ANSWER_DATA,
    MAX_DATA,
    TIME_EXTENSION,
    Error,
    Icc,
    ParametersT0,
    ParametersT1,
    Type,
)
from reader.pinpad import Digits, Entered, NotEntered, Outcome, PinEntry, PinError

CLOCK_RUNNING, CLOCK_STOPPED = 0, 1
"""bClockStatus (6.2.2)."""

OFFSET_SPEED, OFFSET_CONVENTION, OFFSET_CLOCK_STOP, OFFSET_IFSC = 10, 11, 14, 15
"""Where these bytes are in a SetParameters message: what bError names (6.1.7)."""


Parameters = ParametersT0 | ParametersT1
EscapeHandler = Callable[[int, bytes], bytes | None]
"""(slot, data) of an escape command to the data of its answer, or None when the reader does not know it."""


class _Refused(Exception):
    """A command that gets bmCommandStatus 'failed' with this bError."""

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


class _Slot:
    """One slot: the card's link, whether it has power, what was agreed, and a PIN entry under way."""

    __slots__ = ("active", "atr", "entry", "link", "number", "parameters", "seq", "state")

    def __init__(self, number: int) -> None:
        self.number = number
        self.link: CardLink | None = None
        self.atr: Atr | None = None
        self.parameters: Parameters = ParametersT0()
        self.entry: PinEntry | None = None
        self.seq = 0
        self.active = False
        self.state: int = Icc.ABSENT


_Handler = Callable[["_Slot", int, bytes, bytes], tuple[int, bytes]]
"""(slot, bSeq, parameters, data) to the answer's last header byte and its data."""


class CcidDevice:
    """A reader with this many slots. `pad`: it has a keypad; `auto`: it does PPS and parameters by itself."""

    def __init__(
        self,
        slots: int = 1,
        *,
        pad: bool = False,
        auto: bool = False,
        all_messages: bool = False,
        escape: EscapeHandler = lambda _slot, _data: None,
    ) -> None:
        self._slots = tuple(_Slot(number) for number in range(slots))
        self._pad, self._auto, self._all_messages, self._escape_handler = pad, auto, all_messages, escape
        self._events: list[Event] = []
        self._handlers: dict[int, _Handler] = {
            Type.XFR_BLOCK: self._xfr_block,
            Type.GET_SLOT_STATUS: self._get_slot_status,
            Type.POWER_ON: self._power_on,
            Type.POWER_OFF: self._power_off,
            Type.GET_PARAMETERS: self._get_parameters,
            Type.RESET_PARAMETERS: self._reset_parameters,
            Type.SET_PARAMETERS: self._set_parameters,
            Type.ESCAPE: self._escape,
            Type.ICC_CLOCK: self._clock,
            Type.SECURE: self._secure,
        }

    # ---- cards and digits: the hand's side

    def insert(self, slot: int, link: CardLink) -> list[Event]:
        """A card is put in, without power; one that was there is taken out first."""
        events = self.remove(slot)
        place = self._slots[slot]
        place.link, place.state = link, Icc.INACTIVE
        return events

    def remove(self, slot: int) -> list[Event]:
        """The card is pulled out; a PIN entry under way for it fails."""
        place = self._slots[slot]
        if place.link is None:
            return []
        self._cut(place)
        place.link, place.state = None, Icc.ABSENT
        if place.entry is not None:
            self._end_entry(place)
            self._answer(Type.DATA_BLOCK, place, place.seq, FAILED, Error.ICC_MUTE)
        return self._taken()

    def is_present(self, slot: int) -> bool:
        """True while a card is in the slot."""
        return self._slots[slot].link is not None

    def is_active(self, slot: int) -> bool:
        """True while the card in the slot has power."""
        return self._slots[slot].active

    def pending(self, slot: int) -> PinEntry | None:
        """The PIN entry this slot waits for."""
        return self._slots[slot].entry

    def enter(self, slot: int, outcome: Outcome) -> list[Event]:
        """What became of the PIN entry of this slot; nothing when none is under way. The digits are wiped."""
        place = self._slots[slot]
        entry, place.entry = place.entry, None
        if entry is None:
            return []
        try:
            status, error, data = 0, 0, self._carried_out(place, entry, outcome)
        except _Refused as refusal:
            status, error, data = FAILED, refusal.error, b""
        finally:
            _wipe(outcome)
        self._events.append(EntryEnded(place.number, _status_word(place, outcome, data)))
        self._answer(Type.DATA_BLOCK, place, place.seq, status, error, 0, data)
        return self._taken()

    def give_up_entries(self) -> list[Event]:
        """The host that asked for digits is gone: nobody is answered."""
        for place in self._slots:
            if place.entry is not None:
                self._end_entry(place)
        return self._taken()

    def extend(self) -> list[Event]:
        """A request for more time (6.2.6) for each slot that waits for digits."""
        for place in self._slots:
            if place.entry is not None:
                self._answer(Type.DATA_BLOCK, place, place.seq, TIME_EXTENSION, 1)
        return self._taken()

    # ---- messages: the host's side

    def feed(self, message: bytes) -> list[Event]:
        """One message of the host, whole or not; its answer and what else happens."""
        if len(message) < HEADER_SIZE:
            return self._torn(message)
        kind, length, number, seq, parameters = HEADER.unpack_from(message)
        answer = ANSWERED_BY.get(kind, Type.SLOT_STATUS)
        if number >= len(self._slots):
            return [Send(_packed(answer, number, seq, FAILED | Icc.ABSENT, Error.BAD_SLOT))]
        place = self._slots[number]
        try:
            if length != len(message) - HEADER_SIZE or length > MAX_DATA:
                raise _Refused(Error.BAD_LENGTH)
            handler = self._handlers.get(kind)
            if handler is None:
                raise _Refused(Error.NOT_SUPPORTED)
            specific, data = handler(place, seq, parameters, message[HEADER_SIZE:])
        except _Refused as refusal:
            self._answer(answer, place, seq, FAILED, refusal.error)
        else:
            if place.entry is None or kind != Type.SECURE:
                self._answer(answer, place, seq, 0, 0, specific, data)
        return self._taken()

    def _torn(self, message: bytes) -> list[Event]:
        """Less than a header: answered when it says at least where it belongs."""
        if len(message) < 7:
            return []
        kind, number, seq = message[0], message[5], message[6]
        state = self._slots[number].state if number < len(self._slots) else Icc.ABSENT
        error = Error.BAD_LENGTH if number < len(self._slots) else Error.BAD_SLOT
        return [Send(_packed(ANSWERED_BY.get(kind, Type.SLOT_STATUS), number, seq, FAILED | state, error))]

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _answer(
        self, kind: int, place: _Slot, seq: int, status: int, error: int, last: int = 0, data: bytes = b""
    ) -> None:
        self._events.append(Send(_packed(kind, place.number, seq, status | place.state, error, last, data)))

    # ---- one method a command

    def _get_slot_status(
        self, place: _Slot, _seq: int, _parameters: bytes, _data: bytes
    ) -> tuple[int, bytes]:
        return (CLOCK_RUNNING if place.active else CLOCK_STOPPED), b""

    def _power_on(self, place: _Slot, _seq: int, parameters: bytes, _data: bytes) -> tuple[int, bytes]:
        if parameters[0] > 3:
            raise _Refused(Error.BAD_PARAMETER_7)
        link = _free(place)
        try:
            atr = link.power_on()
        except OSError:
            atr = b""
        if not 2 <= len(atr) <= MAX_LENGTH:
            self._cut(place)
            raise _Refused(Error.ICC_MUTE)
        if atr[0] not in (0x3B, 0x3F):
            self._cut(place)
            raise _Refused(Error.BAD_ATR_TS)
        self._powered(place, atr)
        if self._auto:
            self._negotiate(place, link)
        return 0, atr

    def _powered(self, place: _Slot, atr: bytes) -> None:
        try:
            place.atr = Atr.parse(atr)
        except AtrError:
            place.atr = None
        place.parameters = ParametersT0()
        place.state = Icc.ACTIVE
        if not place.active:
            place.active = True
            self._events.append(PowerChanged(place.number, True))

    def _negotiate(self, place: _Slot, link: CardLink) -> None:
        """PPS for the speed of TA1 and the first protocol, as a reader does that needs no help."""
        atr = place.atr
        if atr is None:
            return
        protocol = atr.protocols[0]
        speed = atr.groups[0].ta if atr.groups and atr.groups[0].ta is not None else 0x11
        if atr.wants_pps:
            request = Pps(protocol, speed)
            try:
                agreed = request.is_agreed_by(Pps.parse(link.exchange(request.to_bytes())))
            except (OSError, PpsError):
                agreed = False
            if not agreed:
                speed = 0x11
                with suppress(OSError):
                    link.power_on()
        place.parameters = ParametersT1(speed) if protocol == 1 else ParametersT0(speed)
        if protocol == 1:
            link.set_protocol(1)

    def _power_off(self, place: _Slot, _seq: int, _parameters: bytes, _data: bytes) -> tuple[int, bytes]:
        if place.entry is not None:
            raise _Refused(Error.SLOT_BUSY)
        self._cut(place)
        return CLOCK_STOPPED, b""

    def _xfr_block(self, place: _Slot, _seq: int, parameters: bytes, data: bytes) -> tuple[int, bytes]:
        if parameters[1] or parameters[2]:
            raise _Refused(Error.BAD_LEVEL)
        if not data:
            raise _Refused(Error.BAD_LENGTH)
        return 0, self._exchanged(_active(place), data)

    def _exchanged(self, link: CardLink, data: bytes) -> bytes:
        try:
            answer = link.exchange(data)
        except OSError:
            raise _Refused(Error.ICC_MUTE) from None
        if not answer:
            raise _Refused(Error.ICC_MUTE)
        if len(answer) > MAX_ANSWER_DATA:
            raise _Refused(Error.OVERRUN)
        return answer

    def _get_parameters(self, place: _Slot, _seq: int, _parameters: bytes, _data: bytes) -> tuple[int, bytes]:
        _active(place)
        return place.parameters.protocol, place.parameters.to_bytes()

    def _reset_parameters(
        self, place: _Slot, _seq: int, _parameters: bytes, _data: bytes
    ) -> tuple[int, bytes]:
        _active(place).set_protocol(0)
        place.parameters = ParametersT0()
        return 0, place.parameters.to_bytes()

    def _set_parameters(self, place: _Slot, _seq: int, parameters: bytes, data: bytes) -> tuple[int, bytes]:
        if parameters[0] > 1:
            raise _Refused(Error.BAD_PARAMETER_7)
        if len(data) != (7 if parameters[0] else 5):
            raise _Refused(Error.BAD_LENGTH)
        wanted: Parameters = ParametersT1.parse(data) if parameters[0] else ParametersT0.parse(data)
        _check_parameters(wanted)
        link = _active(place)
        if place.atr is not None and wanted.protocol not in place.atr.protocols:
            raise _Refused(Error.PROTOCOL_NOT_SUPPORTED)
        link.set_protocol(wanted.protocol)
        place.parameters = wanted
        return wanted.protocol, wanted.to_bytes()

    def _escape(self, place: _Slot, _seq: int, _parameters: bytes, data: bytes) -> tuple[int, bytes]:
        answer = self._escape_handler(place.number, data)
        if answer is None:
            raise _Refused(Error.NOT_SUPPORTED)
        return 0, answer

    def _clock(self, place: _Slot, _seq: int, parameters: bytes, _data: bytes) -> tuple[int, bytes]:
        if parameters[0] > 1:
            raise _Refused(Error.BAD_PARAMETER_7)
        _active(place)
        return parameters[0], b""

    def _secure(self, place: _Slot, seq: int, parameters: bytes, data: bytes) -> tuple[int, bytes]:
        if not self._pad:
            raise _Refused(Error.NOT_SUPPORTED)
        if parameters[1] or parameters[2]:
            raise _Refused(Error.BAD_LEVEL)
        _active(place)
        try:
            entry = PinEntry.parse_ccid(data, all_messages=self._all_messages)
        except PinError as wrong:
            raise _Refused(wrong.offset) from None
        place.entry, place.seq = entry, seq
        self._events.append(AskPin(place.number, entry))
        return 0, b""

    # ---- PIN entry

    def _carried_out(self, place: _Slot, entry: PinEntry, outcome: Outcome) -> bytes:
        """The card's answer to the filled command, or the reader's own status word."""
        if isinstance(outcome, NotEntered):
            raise _Refused(outcome.error)
        objection = entry.objection(outcome)
        if objection is not None:
            return objection
        link = _active(place)
        command = entry.fill(outcome.digits, outcome.new)
        if link.protocol == 1:
            command = _block(entry.teo_prologue, command)
        return self._exchanged(link, command)

    def _end_entry(self, place: _Slot) -> None:
        place.entry = None
        self._events.append(EntryEnded(place.number))

    def _cut(self, place: _Slot) -> None:
        """Take the power away from what is in the slot."""
        if place.link is not None:
            with suppress(OSError):
                place.link.power_off()
            place.state = Icc.INACTIVE
        if place.active:
            place.active = False
            self._events.append(PowerChanged(place.number, False))


def _free(place: _Slot) -> CardLink:
    """The card of the slot, unless it waits for digits."""
    if place.entry is not None:
        raise _Refused(Error.SLOT_BUSY)
    if place.link is None:
        raise _Refused(Error.ICC_MUTE)
    return place.link


def _active(place: _Slot) -> CardLink:
    """The card of the slot, under power and not waiting for digits."""
    link = _free(place)
    if not place.active:
        raise _Refused(Error.ICC_MUTE)
    return link


def _check_parameters(wanted: Parameters) -> None:
    """Refuse what no reader can do; bError names the byte (6.1.7)."""
    if FI[wanted.speed >> 4] is None or DI[wanted.speed & 0x0F] is None:
        raise _Refused(OFFSET_SPEED)
    if wanted.clock_stop > 3:
        raise _Refused(OFFSET_CLOCK_STOP)
    if isinstance(wanted, ParametersT1):
        if wanted.checksum & 0xFC != 0x10:
            raise _Refused(OFFSET_CONVENTION)
        if not 1 <= wanted.ifsc <= 254:
            raise _Refused(OFFSET_IFSC)
    elif wanted.convention & 0xFD:
        raise _Refused(OFFSET_CONVENTION)


def _block(prologue: bytes, command: bytes) -> bytes:
    """The T=1 block that carries the filled command: NAD and PCB as the host wants them, LEN and LRC ours."""
    block = prologue[:2] + bytes((min(len(command), 254),)) + command[:254]
    return block + lrc(block)


def _status_word(place: _Slot, outcome: Outcome, data: bytes) -> bytes:
    """What the host is told in the end: of the card (T=1: before the check byte) or of the reader."""
    if isinstance(outcome, NotEntered):
        return outcome.status
    in_a_block = len(data) > 2 and place.link is not None and place.link.protocol == 1
    return data[-3:-1] if in_a_block else data[-2:]


def _wipe(outcome: Outcome) -> None:
    if isinstance(outcome, Entered):
        typed: Sequence[Digits | None] = (outcome.digits, outcome.new, outcome.again)
        for digits in typed:
            if digits is not None:
                digits.wipe()


def _packed(
    kind: int, slot: int, seq: int, status: int, error: int, last: int = 0, data: bytes = b""
) -> bytes:
    return HEADER.pack(kind, len(data), slot, seq, bytes((status, error, last))) + data
