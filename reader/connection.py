"""A connection to the card in a slot: commands in, whole answers out.

A chain of small steps, one job each: format (short or extended lengths), chain long data (CLA b5),
correct the length once (6Cxx), collect the rest (61xx). Every length in an answer of a card is
hostile until checked, and every loop has an end: see MAX_EXCHANGES and MAX_ANSWER.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from card.iso7816.apdu import ApduError, CommandAPDU, ResponseAPDU
from reader.errors import CardProtocolError

if TYPE_CHECKING:
    from reader.errors import ReaderError
    from reader.pinpad import PinEntry
    from reader.slot import Exclusive, Slot

MAX_ANSWER = 65_536
"""Bytes of one answer, GET RESPONSE included."""

MAX_EXCHANGES = 300
"""Raw exchanges for one command: 65,536 bytes by 256 and some corrections."""

SLOWEST = 16
"""Bytes an answer must give on average, after eight free ones: crumbs would hold the slot (B5)."""

CHAINING = 0x10
"""CLA b5: this command is not the last of a chain (ISO/IEC 7816-4:2005, 5.1.1.1)."""

GET_RESPONSE = 0xC0


class Connection:
    """A powered card and who may speak to it; made by `Slot.connect()`.

    `atr` is the answer to reset, `events` the slot's event count this connection is bound to, `resets` how
    many resets were asked through it, `ended` why the link ended it (None: it did not). Set `extended` once
    the card has said that it takes extended lengths.
    """

    def __init__(self, slot: Slot, events: int, atr: bytes) -> None:
        self._slot = slot
        self.events = events
        self.atr = atr
        self.extended = False
        self.resets = 0
        self.ended: ReaderError | None = None

    def __repr__(self) -> str:
        return f"Connection({self._slot.name!r})"

    @property
    def slot_name(self) -> str:
        """The slot's name, for sentences."""
        return self._slot.name

    @property
    def tenure(self) -> int:
        """Another number inside another `exclusive()` of a card that other programs share, for ever 0 else.

        Others may have selected something in between; what they reset ends the connection by itself.
        """
        return self._slot.owner.tenure

    @property
    def has_pad(self) -> bool:
        """True when the reader can ask for the PIN itself (`verify_on_pad`)."""
        return self._slot.has_pad

    def exclusive(self) -> Exclusive:
        """`with connection.exclusive():` no other thread and no other program speaks to this card meanwhile.

        Re-entrant. Waiting is bounded: SlotBusy. To hold both cards, take the CPS first, then the Vitale.
        """
        return self._slot.owner

    def check(self) -> None:
        """Raise CardRemoved or SlotTaken when this connection can no longer be used."""
        self._slot.check(self)

    def reset(self) -> None:
        """Cold reset of the same card: it forgets PIN, selection and environment; `atr` is read again."""
        with self._slot.owner:
            self.check()
            self.resets += 1
            self.atr = self._slot.power_on()

    def close(self) -> None:
        """End the connection and take the card's power away. Never raises because the card has gone."""
        self._slot.release(self)

    def transmit(self, command: CommandAPDU) -> ResponseAPDU:
        """Send a command of any length and give the whole answer, never 61xx nor 6Cxx.

        Raises CardRemoved, SlotTaken, SlotBusy, CardMute, CardProtocolError.
        """
        with self._slot.owner:
            if len(command.data) > 255 and not self.extended:
                for link in _chain(command):
                    answer = self._corrected(link)
                    if link.cla & CHAINING and answer.sw != 0x9000:
                        return answer
                command = link
            else:
                answer = self._corrected(command)
            if answer.sw >> 8 == 0x61:
                return self._collected(command, answer)
            return answer

    def verify_on_pad(self, entry: PinEntry) -> ResponseAPDU:
        """Let the reader ask for the PIN on its pad; the status word of the card, or 6400, 6401 of the pad.

        The PIN never passes here (PC/SC part 10, 2.5.2). Raises NoPinPad and what `transmit` raises.
        """
        with self._slot.owner:
            return self._parsed(self._slot.verify_on_pad(self, entry), 0)

    def _corrected(self, command: CommandAPDU) -> ResponseAPDU:
        """The answer, asked again with the exact length when the card says 6Cxx: once."""
        answer = self._exchange(command)
        if (exact := answer.sw.exact_length) is None:
            return answer
        command = CommandAPDU(command.cla, command.ins, command.p1, command.p2, command.data, exact)
        answer = self._exchange(command)
        if answer.sw.exact_length is not None:
            raise CardProtocolError(self.slot_name, "it refuses the length it asked for itself")
        return answer

    def _collected(self, command: CommandAPDU, answer: ResponseAPDU) -> ResponseAPDU:
        """The rest of an answer announced by 61xx (ISO/IEC 7816-4:2005, 5.1.3)."""
        parts, size = [answer.data], len(answer.data)
        cla = _channel(command.cla)
        for step in range(MAX_EXCHANGES):
            more = answer.sw.more_available
            if more is None:
                return ResponseAPDU(b"".join(parts), answer.sw)
            answer = self._corrected(CommandAPDU(cla, GET_RESPONSE, 0, 0, b"", more))
            parts.append(answer.data)
            size += len(answer.data)
            if size > MAX_ANSWER or (not answer.data and answer.sw.more_available is not None):
                break
            if step > 8 + size // SLOWEST:
                raise CardProtocolError(self.slot_name, "it gives its answer in crumbs")
        raise CardProtocolError(self.slot_name, "its answer never comes to an end")

    def _exchange(self, command: CommandAPDU) -> ResponseAPDU:
        ne = command.ne
        if ne > 256 and not self.extended:
            ne = 256
            command = CommandAPDU(command.cla, command.ins, command.p1, command.p2, command.data, ne)
        return self._parsed(self._slot.exchange(self, command.to_bytes()), ne)

    def _parsed(self, raw: bytes, ne: int) -> ResponseAPDU:
        """The answer in `raw`, at most `ne` bytes of data; CardProtocolError when it cannot be one."""
        try:
            answer = ResponseAPDU.parse(raw)
        except ApduError:
            raise CardProtocolError(self.slot_name, "an answer without a status word") from None
        if len(answer.data) > ne:
            raise CardProtocolError(self.slot_name, "an answer longer than what was asked")
        if not (0x6100 <= answer.sw < 0x7000 or 0x9000 <= answer.sw < 0xA000):
            raise CardProtocolError(self.slot_name, "a status word that does not exist")
        return answer


def _chain(command: CommandAPDU) -> Iterator[CommandAPDU]:
    """The links of a long command: 255 bytes each, CLA b5 set on all but the last."""
    data = command.data
    if command.cla & CHAINING:
        raise ValueError("a command that is itself a link of a chain has at most 255 data bytes")
    last = (len(data) - 1) // 255 * 255
    for at in range(0, last, 255):
        yield CommandAPDU(command.cla | CHAINING, command.ins, command.p1, command.p2, data[at : at + 255])
    yield CommandAPDU(command.cla, command.ins, command.p1, command.p2, data[last:], command.ne)


def _channel(cla: int) -> int:
    """The class of a GET RESPONSE to a command of class `cla`: same logical channel, nothing else."""
    return cla & 0x4F if cla & 0xC0 == 0x40 else cla & 0x03
