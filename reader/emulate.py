"""The emulated reader as a program: cards from images in its slots, a plug for its host, orders meanwhile.

One thread does everything (`Loop`); protocols are machines without I/O behind a `Plug`. An image belongs to
one program at a time, and what the card writes it commits itself: this program may be ended at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from reader.errors import ReaderError
from reader.keypad import Keypad
from reader.pinpad import Digits, Outcome
from reader.reader import SLOT_NAMES
from reader.slot import Card, Observer
from reader.transport.claim import Claim, Taken
from reader.transport.control import ControlServer, Reply, Request
from reader.transport.loop import Loop

OpenCard = Callable[[str, str], Card]
"""(path of an image, name of the slot) to the card; raises ReaderError."""

Say = Callable[[str], None]


class Plug(Protocol):
    """What connects the slots to a host."""

    def insert(self, slot: int, card: Card) -> None:
        """A card is put in."""
        ...

    def remove(self, slot: int) -> None:
        """The card is pulled out."""
        ...

    def state(self, slot: int) -> str:
        """What is going on in this slot, in words."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class ObservedCard:
    """A card whose exchanges an observer sees."""

    def __init__(self, card: Card, name: str, observer: Observer) -> None:
        self._card, self._name, self._observer = card, name, observer

    def power_on(self) -> bytes:
        """Reset; the ATR."""
        atr = self._card.power_on()
        self._observer(self._name, b"", atr)
        return atr

    def power_off(self) -> None:
        """Take the power away."""
        self._card.power_off()

    def transmit(self, apdu: bytes) -> bytes:
        """One command, one answer."""
        answer = self._card.transmit(apdu)
        self._observer(self._name, apdu, answer)
        return answer


class Bay:
    """One slot as the person sees it: its name, its image, and the claim on that while the card is in."""

    def __init__(self, number: int, name: str) -> None:
        self.number, self.name = number, name
        self.image = ""
        self.claim: Claim | None = None

    @property
    def is_full(self) -> bool:
        """A card is in."""
        return self.claim is not None


def slot_names(count: int) -> tuple[str, ...]:
    """One slot is just the card's; two and more begin with Vitale and CPS."""
    if count == 1:
        return ("Card",)
    return (*SLOT_NAMES, *(f"Slot {number}" for number in range(len(SLOT_NAMES), count)))[:count]


class Emulator:
    """Bays, a plug and a keypad. `open_card` makes cards of images; `say` prints a line.

    `observer`: sees every exchange (a redacting Trace). Every refusal is a ReaderError with one sentence.
    """

    def __init__(
        self, loop: Loop, slots: int, open_card: OpenCard, say: Say, observer: Observer | None = None
    ) -> None:
        self.loop = loop
        self.bays = tuple(Bay(number, name) for number, name in enumerate(slot_names(slots)))
        self.plug: Plug | None = None
        self.keypad: Keypad | None = None
        self._open_card, self._say, self._observer = open_card, say, observer
        self._shown: dict[int, str] = {}

    def name(self, slot: int) -> str:
        """The slot's name."""
        return self.bays[slot].name

    def bay(self, wanted: str) -> Bay:
        """The bay of this name or number; the only one answers to any name."""
        for bay in self.bays:
            if wanted.lower() in (bay.name.lower(), str(bay.number)):
                return bay
        if len(self.bays) == 1 and wanted.lower() in (name.lower() for name in SLOT_NAMES):
            return self.bays[0]
        names = ", ".join(f"{bay.name} ({bay.number})" for bay in self.bays)
        raise ReaderError(f"The reader has no slot {wanted}: use one of {names}.", slot=wanted)

    def insert(self, bay: Bay, image: str = "") -> None:
        """Put the card of `image` into the bay, or the one that was there last."""
        if bay.is_full:
            raise ReaderError(f"There is a card in the {bay.name} slot: remove it first.", slot=bay.name)
        image = image or bay.image
        if not image:
            raise ReaderError(f"The {bay.name} slot never had a card: name an image.", slot=bay.name)
        claim = _claimed(image, bay.name)
        try:
            card = self._open_card(image, bay.name)
        except BaseException:
            claim.release()
            raise
        bay.image, bay.claim = image, claim
        if self._observer is not None:
            card = ObservedCard(card, bay.name, self._observer)
        self._plug().insert(bay.number, card)
        self.show(bay.number)

    def remove(self, bay: Bay) -> None:
        """Pull the card out of the bay, whoever is using it."""
        if not bay.is_full:
            raise ReaderError(f"The {bay.name} slot is empty.", slot=bay.name)
        self._pull(bay)
        self.show(bay.number)

    def _pull(self, bay: Bay) -> None:
        claim, bay.claim = bay.claim, None
        self._plug().remove(bay.number)
        if claim is not None:
            claim.release()

    def state(self, bay: Bay) -> str:
        """One line: the slot, its card, what is going on."""
        if not bay.is_full:
            return f"{bay.name:<7} empty"
        return f"{bay.name:<7} {Path(bay.image).name}, {self._plug().state(bay.number)}"

    def show(self, slot: int) -> None:
        """Say what is going on in a slot, when it is news."""
        line = self.state(self.bays[slot])
        if self._shown.get(slot) != line:
            self._shown[slot] = line
            self._say(line)

    def close(self) -> None:
        """Cards out, host disconnected, claims given back."""
        if self.keypad is not None:
            self.keypad.close()
        self._say = lambda _line: None
        for bay in self.bays:
            if bay.is_full:
                self._pull(bay)
        if self.plug is not None:
            self.plug.close()

    def _plug(self) -> Plug:
        if self.plug is None:
            raise ReaderError("The reader is not connected to anything.")
        return self.plug


def _claimed(image: str, slot: str) -> Claim:
    try:
        return Claim(Path(image).resolve())
    except Taken:
        raise ReaderError(
            f"The card image {image} is in another emulated reader: remove it there, or copy it for the "
            f"{slot} slot.",
            slot=slot,
        ) from None
    except OSError as problem:
        raise ReaderError(
            f"The card image {image} for the {slot} slot cannot be used ({problem.strerror}): "
            "its folder must exist and be writable.",
            slot=slot,
        ) from None


class Orders:
    """What `vitale-reader control` may ask: status, insert, remove, pin, cancel."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._known: dict[str, Callable[[Request, Reply], None]] = {
            "status": self._status,
            "insert": self._insert,
            "remove": self._remove,
            "pin": self._pin,
            "cancel": self._cancel,
        }

    def serve(self, path: Path) -> ControlServer:
        """Take orders at this path while the loop runs."""
        return ControlServer(self._emulator.loop, path, self)

    def __call__(self, request: Request, reply: Reply) -> None:
        """One order; refusals are answered too."""
        order = self._known.get(_text(request, "do"))
        if order is None:
            reply({"ok": False, "text": f"Orders are {', '.join(self._known)}."})
            return
        try:
            order(request, reply)
        except ReaderError as refusal:
            reply({"ok": False, "text": str(refusal)})

    def _status(self, _request: Request, reply: Reply) -> None:
        reply({"ok": True, "text": "\n".join(map(self._emulator.state, self._emulator.bays))})

    def _insert(self, request: Request, reply: Reply) -> None:
        bay = self._emulator.bay(_text(request, "slot"))
        self._emulator.insert(bay, _text(request, "image"))
        reply({"ok": True, "text": self._emulator.state(bay)})

    def _remove(self, request: Request, reply: Reply) -> None:
        bay = self._emulator.bay(_text(request, "slot"))
        self._emulator.remove(bay)
        reply({"ok": True, "text": self._emulator.state(bay)})

    def _pin(self, request: Request, reply: Reply) -> None:
        lines = request.get("lines")
        texts: Sequence[Any] = lines if isinstance(lines, list) else ()
        try:
            typed = [Digits(text if isinstance(text, str) else "") for text in texts]
        except ValueError as wrong:
            reply({"ok": False, "text": f"The keypad has digits only: {wrong}."})
            return
        self._keypad().type(typed, lambda ok, text: reply({"ok": ok, "text": text}), reply.is_awaited)

    def _cancel(self, _request: Request, reply: Reply) -> None:
        done = self._keypad().cancel()
        reply({"ok": done, "text": "Cancelled." if done else "No host asks for a PIN: nothing to cancel."})

    def _keypad(self) -> Keypad:
        if self._emulator.keypad is None:
            raise ReaderError("This reader has no keypad: start it with --serial gempcpinpad.")
        return self._emulator.keypad


def _text(request: Request, key: str) -> str:
    value = request.get(key)
    return value if isinstance(value, str) else ""


class SerialPad:
    """What the keypad knows of the reader it is part of."""

    def __init__(self, emulator: Emulator, plug: PadPlug) -> None:
        self._emulator, self._plug = emulator, plug

    def name(self, slot: int) -> str:
        """The slot's name."""
        return self._emulator.name(slot)

    def enter(self, slot: int, outcome: Outcome) -> bytes:
        """Hand over what became of an entry."""
        return self._plug.enter(slot, outcome)

    def extend(self) -> None:
        """Ask the host for more time."""
        self._plug.extend()


class PadPlug(Protocol):
    """A plug whose reader has a keypad."""

    def enter(self, slot: int, outcome: Outcome) -> bytes:
        """What became of a PIN entry."""
        ...

    def extend(self) -> None:
        """Ask the host for more time."""
        ...
