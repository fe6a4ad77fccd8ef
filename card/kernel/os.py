"""The card operating system: bytes in, bytes out, and the one error door of the card.

What happens here and nowhere else: class bytes (ISO 7816-4, 5.4.1), command chaining (5.3.3),
GET RESPONSE (ISO 7816-3, 12.2.4), lengths, and turning refusals into status words.
No byte string makes `transmit` raise; a power cut simulated by the storage passes through.

Answer rules: data that fits Le is returned at once; without Le it waits behind 61xx;
a case 2 command with too small an Le gets 6Cxx. Waiting data dies with the next other command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from card.iso7816.apdu import ApduError, CommandAPDU, ResponseAPDU
from card.iso7816.status import OK, StatusWord, exact_length, more_available
from card.kernel.applet import DONE, Applet
from card.kernel.errors import CardError
from card.kernel.memory import Memory

SHORT_LENGTH = 255
CHAIN_LIMIT = 4096

_SELECT, _GET_RESPONSE = 0xA4, 0xC0
_MEMORY_FAILURE, _NO_DIAGNOSIS = StatusWord(0x6581), StatusWord(0x6F00)


class CardOS:
    """A card as a reader slot holds it: `power_on`, `transmit`, `power_off`.

    max_length: longest command data in one APDU; above 255 extended APDUs are understood.
    """

    def __init__(
        self,
        memory: Memory,
        applets: Sequence[Applet],
        atr: bytes,
        rng: Callable[[int], bytes] = os.urandom,
        *,
        max_length: int = SHORT_LENGTH,
    ) -> None:
        self.memory = memory
        self.rng = rng
        self._applets = tuple(applets)
        self._atr = atr
        self._max_length = max_length
        self._powered = False
        self._chain: CommandAPDU | None = None
        self._forget()

    def power_on(self) -> bytes:
        """Cold or warm reset: clears everything volatile and returns the ATR."""
        for applet in self._applets:
            applet.reset()
        self._forget()
        self._powered = True
        return self._atr

    def power_off(self) -> None:
        """The contacts are dead; everything volatile is gone."""
        for applet in self._applets:
            applet.reset()
        self._forget()
        self._powered = False

    def transmit(self, apdu: bytes) -> bytes:
        """One command APDU in, one response APDU out. Never raises, whatever the bytes."""
        try:
            command = CommandAPDU.parse(apdu)
        except ApduError:
            self._forget_transfer()
            return b"\x67\x00"
        if len(apdu) > 5 and apdu[4] == 0 and self._max_length == SHORT_LENGTH:
            self._forget_transfer()  # an extended length field, not understood by this card
            return b"\x67\x00"
        response = self.process(command)
        return response.data + response.sw.to_bytes()

    def process(self, command: CommandAPDU) -> ResponseAPDU:
        """Carry out one command; every refusal becomes a status word here."""
        try:
            if not self._powered:
                return ResponseAPDU(b"", _NO_DIAGNOSIS)
            return self._process(command)
        except CardError as error:
            self._current.interrupted()
            return ResponseAPDU(b"", error.sw)
        except OSError:
            return ResponseAPDU(b"", _MEMORY_FAILURE)
        except Exception:  # the last resort of a card is a status word (promise A10)
            return ResponseAPDU(b"", _NO_DIAGNOSIS)

    def _process(self, command: CommandAPDU) -> ResponseAPDU:
        if command.cla == 0 and command.ins == _GET_RESPONSE:
            self._chain = None
            self._current.interrupted()
            return self._get_response(command)
        self._waiting = b""
        if len(command.data) > self._max_length:
            self._chain = None
            raise CardError(0x6700)
        if command.cla or self._chain is not None:
            linked = self._check_class(command)
            if linked is None:
                self._current.interrupted()
                return DONE
            command = linked
        if command.ne > self._max_length + 1:
            command = replace(command, ne=self._max_length + 1)
        if command.ins == _SELECT and command.p1 == 4 and len(self._applets) > 1:
            return self._answer(command, self._select_applet(command))
        return self._answer(command, self._current.process(command))

    def _forget(self) -> None:
        self._current = self._applets[0]
        self._forget_transfer()

    def _forget_transfer(self) -> None:
        self._waiting = b""
        self._chain = None
        self._current.interrupted()

    # ---- class byte and chaining

    def _check_class(self, command: CommandAPDU) -> CommandAPDU | None:
        """The command to carry out, or None while a chain is still growing."""
        chain, self._chain = self._chain, None
        cla = command.cla
        if cla >= 0x80:
            if cla not in self._current.proprietary_classes:
                raise CardError(0x6E00)
            return command
        if cla & 0xE0 == 0x20:
            raise CardError(0x6E00)  # reserved for future use (table 2)
        if cla & 0x40 or cla & 0x03:
            raise CardError(0x6881)  # logical channels: this card has the basic one only
        if cla & 0x0C:
            raise CardError(0x6882)  # secure messaging: its keys are issuer secrets
        return self._link(chain, command)

    def _link(self, chain: CommandAPDU | None, command: CommandAPDU) -> CommandAPDU | None:
        if chain is not None and _header(chain) != _header(command):
            if command.cla & 0x10:
                raise CardError(0x6883)
            chain = None  # another plain command ends the chain and is carried out
        if not command.cla & 0x10:
            return command if chain is None else replace(command, data=chain.data + command.data)
        if command.ins not in self._current.chained_instructions:
            raise CardError(0x6884)
        grown = replace(command, data=(chain.data if chain else b"") + command.data)
        if len(grown.data) > CHAIN_LIMIT:
            raise CardError(0x6700)
        self._chain = grown
        return None

    # ---- applets

    def _select_applet(self, command: CommandAPDU) -> ResponseAPDU:
        owner = self._current
        if not owner.owns(command.data):
            owner = next((applet for applet in self._applets if applet.owns(command.data)), owner)
        response = owner.process(command)  # a refused SELECT leaves the old applet current
        if owner is not self._current:
            self._current.deselect()
            self._current = owner
        return response

    # ---- answers

    def _answer(self, command: CommandAPDU, response: ResponseAPDU) -> ResponseAPDU:
        data, ne = response.data, command.ne
        size = len(data)
        if size <= ne or not size:
            return response
        if ne and not command.data and size <= 256:
            return ResponseAPDU(b"", exact_length(size))
        self._waiting = data[ne:]
        return ResponseAPDU(data[:ne], more_available(size - ne))

    def _get_response(self, command: CommandAPDU) -> ResponseAPDU:
        waiting, size = self._waiting, len(self._waiting)
        if command.p1 or command.p2 or command.data:
            self._waiting = b""
            raise CardError(0x6A86)
        if not waiting:
            raise CardError(0x6985)
        ne = min(command.ne or 256, self._max_length + 1)
        if size < ne and ne != 256 and size <= 256:
            raise CardError(exact_length(size))
        self._waiting = waiting[ne:]
        return ResponseAPDU(waiting[:ne], more_available(size - ne) if size > ne else OK)


def _header(command: CommandAPDU) -> tuple[int, int, int]:
    return command.ins, command.p1, command.p2
