"""Secret codes: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (ISO 7816-4, 11.5.6 to 11.5.10).

Order of every comparison: count → commit → compare → (success) mark. The counter is written by
`Memory.put_at_once`, so that neither a power cut nor an abandoned transaction gives a try back.
"""

from __future__ import annotations

import hmac

from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.iso7816.status import remaining_tries
from card.kernel.access import PIN_CHANGE, PIN_RESET, Conditions, read_rules
from card.kernel.applet import DONE
from card.kernel.errors import CardError, ImageError
from card.kernel.memory import Memory
from card.kernel.session import Session

SIZE = 8
PAD = b"\xff"


class Pin:
    """One secret code in memory. Its value never leaves this class."""

    def __init__(self, memory: Memory, key: str) -> None:
        self._memory = memory
        self._key = key
        rule = memory.get(f"{key}/rule")
        if rule is None or len(rule) < 2:
            raise ImageError(f"The card image has a secret code without rules ({key}); make the card again.")
        self.reference = int(key.rpartition("/")[2], 16)
        self.max_tries, self._digits = rule[0], rule[1]
        self.acl = rule[2:]
        self.rules: Conditions = read_rules(self.acl)

    @property
    def tries_left(self) -> int:
        """0 is blocked; a lost counter counts as blocked."""
        return (self._memory.get(f"{self._key}/tries") or b"\0")[0]

    @property
    def uses_left(self) -> int | None:
        """How often this code may still unblock another one; None is for ever."""
        value = self._memory.get(f"{self._key}/uses")
        return None if value is None else int.from_bytes(value, "big")

    def verify(self, candidate: bytes) -> bool:
        """Compare, paying a try first; raises 6983 when blocked, 6984 when used up.

        True restores the counter. A power cut in between leaves the try paid (attack K2).
        """
        left = self.tries_left
        if left == 0:
            raise CardError(0x6983)
        if self.uses_left == 0:
            raise CardError(0x6984)
        self._memory.put_at_once(f"{self._key}/tries", bytes((left - 1,)))
        if not hmac.compare_digest(candidate, self._memory.get(self._key) or b""):
            return False
        self._memory.put_at_once(f"{self._key}/tries", bytes((self.max_tries,)))
        return True

    def change(self, value: bytes | None) -> None:
        """A new value (None keeps the old one) and a full counter, together or not at all."""
        with self._memory.transaction():
            if value is not None:
                self._memory.put(self._key, value)
            self._memory.put(f"{self._key}/tries", bytes((self.max_tries,)))

    def use(self) -> None:
        """Pay one unblocking; raises 6984 when none is left."""
        left = self.uses_left
        if left is None:
            return
        if left == 0:
            raise CardError(0x6984)
        self._memory.put_at_once(f"{self._key}/uses", (left - 1).to_bytes(2, "big"))

    def check_form(self, value: bytes) -> None:
        """8 bytes: the digits of this code, then FF (6700, 6A80). Costs no try."""
        if len(value) != SIZE:
            raise CardError(0x6700)
        digits = value[: self._digits]
        if not (digits.isdigit() and value[self._digits :] == PAD * (SIZE - self._digits)):
            raise CardError(0x6A80)

    def set(self, value: bytes, max_tries: int) -> None:
        """Personalisation: value, number of tries and number of digits at once."""
        digits = len(value.rstrip(PAD))
        with self._memory.transaction():
            self._memory.put(f"{self._key}/rule", bytes((max_tries, digits)) + self.acl)
            self._memory.put(f"{self._key}/tries", bytes((max_tries,)))
            self._memory.put(self._key, value)
        self.max_tries, self._digits = max_tries, digits


class PinCommands:
    """The three commands on secret codes, and what they do to the security status."""

    def __init__(self, session: Session) -> None:
        self._session = session
        memory = session.memory
        keys = [key[: -len("/rule")] for key in memory.keys("pin/") if key.endswith("/rule")]
        self.pins = {pin.reference: pin for pin in (Pin(memory, key) for key in keys)}
        self._unblocks = {0x01: 0x02}  # the PUK of each PIN

    def verify(self, command: CommandAPDU) -> ResponseAPDU:
        """20: without data a question (9000, 63Cx, 6983), never a proof (attack K1)."""
        pin = self._pin(command, p1=(0x00,))
        if not command.data:
            return self._state(pin)
        pin.check_form(command.data)
        self._compare(pin, command.data)
        return DONE

    def change(self, command: CommandAPDU) -> ResponseAPDU:
        """24: old code and new code; there is no form without the old one (attack K3)."""
        pin = self._pin(command, p1=(0x00,))
        if len(command.data) != 2 * SIZE:
            raise CardError(0x6700)
        old, new = command.data[:SIZE], command.data[SIZE:]
        self._session.require(pin.rules[PIN_CHANGE])
        pin.check_form(old)
        pin.check_form(new)
        self._compare(pin, old)
        pin.change(new)
        return DONE

    def reset(self, command: CommandAPDU) -> ResponseAPDU:
        """2C: P1 00 PUK and new PIN, 01 PUK, 02 new PIN, 03 nothing (PUK verified before)."""
        pin = self._pin(command, p1=(0x00, 0x01, 0x02, 0x03))
        puk = self.pins.get(self._unblocks.get(pin.reference, -1))
        if puk is None:
            raise CardError(0x6A88)
        with_puk, with_new = command.p1 in (0x00, 0x01), command.p1 in (0x00, 0x02)
        if len(command.data) != SIZE * (with_puk + with_new):
            raise CardError(0x6700)
        new = command.data[-SIZE:] if with_new else None
        if new is not None:
            pin.check_form(new)
        if with_puk:
            puk.check_form(command.data[:SIZE])
            self._compare(puk, command.data[:SIZE])
        self._session.require(pin.rules[PIN_RESET])
        self._unblock(pin, puk, new)
        return DONE

    def _unblock(self, pin: Pin, puk: Pin, new: bytes | None) -> None:
        security = self._session.security
        security.set_pin(puk.reference, verified=False)  # one proof, one unblocking
        security.set_pin(pin.reference, verified=False)
        puk.use()
        pin.change(new)

    def _compare(self, pin: Pin, candidate: bytes) -> None:
        self._session.security.set_pin(pin.reference, verified=False)
        if not pin.verify(candidate):
            raise CardError(remaining_tries(pin.tries_left))
        self._session.security.set_pin(pin.reference, verified=True)

    def _state(self, pin: Pin) -> ResponseAPDU:
        if pin.tries_left == 0:
            raise CardError(0x6983)
        if self._session.security.has_pin(pin.reference):
            return DONE
        raise CardError(remaining_tries(pin.tries_left))

    def _pin(self, command: CommandAPDU, p1: tuple[int, ...]) -> Pin:
        if command.p1 not in p1:
            raise CardError(0x6A86)
        pin = self.pins.get(command.p2)
        if pin is None:
            raise CardError(0x6A88)
        return pin
