"""Driver `gempc`: a reader of the GemPC-Twin family on a serial port, without pcscd.

slots = ["PORT:VARIANT"] for a reader of two slots or more (0 is Vitale, 1 is CPS), or one port per slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from reader.ccid.card import Abilities, CcidCard, PinPadCard
from reader.ccid.frames import Answer, Icc, Type
from reader.errors import ReaderError, SlotBusy
from reader.reader import Reader
from reader.serial.gempc import VARIANTS, Variant
from reader.serial.gempc_host import Moved
from reader.serial.gempc_line import BUSY, GemPcLine
from reader.slot import Slot
from reader.stream import LineBusy, Stream
from reader.watch import LOOK_EVERY, Place, Watch

DEFAULT = VARIANTS["gempctwin"]

TPDU_READER, AUTO_READER = 0x0001_0230, 0x0001_00B2
"""dwFeatures of the family: TPDU level; of a SEC1210 also automatic parameters and PPS."""

FAST, SLOW = 500_000, 344_086
"""dwMaxDataRate of the readers with a GemCore of their own, and of the GemPC Twin."""

STATUS_SECONDS = 2.0


class GemPcSlot:
    """One slot of a reader on a line: finds its card, and a new one after every movement."""

    def __init__(self, line: GemPcLine, number: int, slot: Slot) -> None:
        self._line, self._number, self._slot = line, number, slot
        self._card: CcidCard | None = None
        variant = line.variant
        features = AUTO_READER if variant.auto else TPDU_READER
        self._abilities = Abilities(features, SLOW if variant is DEFAULT else FAST, variant.pad)

    def look(self) -> CcidCard | None:
        """GetSlotStatus once; OSError when the reader does not answer."""
        card = self._card
        before = card.power if card else 0
        answer = self._line.ask(self._number, Type.GET_SLOT_STATUS, b"\0\0\0", b"", STATUS_SECONDS)
        if card is not None and (card.has_left or card.was_out(answer.icc, before)):
            card.has_left, card = True, None
        if answer.icc not in (Icc.ACTIVE, Icc.INACTIVE):
            card = None
        elif card is None:
            kind = PinPadCard if self._abilities.has_pad else CcidCard
            card = kind(self._ask, self._slot.name, self._abilities, self._slot.remove, self._line.clock)
        self._card = card
        return card

    def moved(self, notice: Moved) -> None:
        """The reader says that cards moved: a card found before is not there any more, or was out."""
        if self._card is not None and notice.changed(self._number):
            self._card.has_left = True

    def _ask(self, kind: int, parameters: bytes, data: bytes, seconds: float) -> Answer:
        try:
            return self._line.ask(self._number, kind, parameters, data, seconds)
        except LineBusy:
            raise SlotBusy(self._slot.name, BUSY) from None


class GemPcReader(Reader):
    """Our named slots on one or two lines. The first look is taken at once, later ones in a thread a line."""

    def __init__(self, lines: Sequence[GemPcLine | None], every: float = LOOK_EVERY) -> None:
        """lines: one line for all slots, or one for each (None: that slot stays empty)."""
        super().__init__()
        self._lines: list[GemPcLine] = []
        self._watches: list[Watch] = []
        try:
            self._begin(lines, every)
        except BaseException:
            self.close()
            raise

    def _begin(self, lines: Sequence[GemPcLine | None], every: float) -> None:
        for place, line in enumerate(lines):
            if line is None:
                continue
            self._lines.append(line)
            slots = (
                self.slots if len(lines) == 1 and line.variant.slots > 1 else self.slots[place : place + 1]
            )
            ours = [GemPcSlot(line, number, slot) for number, slot in enumerate(slots)]
            line.listen(_telling(ours))
            line.open()
            places = [Place(slot, found.look) for slot, found in zip(slots, ours, strict=True)]
            for each in places:
                each.look()
            self._watches.append(Watch(_looking(places), every, f"gempc-watch-{place}"))

    def close(self) -> None:
        """End the watch, let the cards go and give the ports back."""
        for watch in self._watches:
            watch.close()
        super().close()
        for line in self._lines:
            line.close()


def _telling(slots: Sequence[GemPcSlot]) -> Callable[[Moved], None]:
    def tell(notice: Moved) -> None:
        for slot in slots:
            slot.moved(notice)

    return tell


def _looking(places: Sequence[Place]) -> Callable[[], None]:
    def look() -> None:
        for place in places:
            with suppress(OSError):
                place.look()

    return look


def open_gempc(slots: Sequence[str]) -> Reader:
    """The reader at these ports; raises ReaderError, one sentence, for everything that can be wrong."""
    from reader.transport.serial_port import SerialPort  # noqa: PLC0415 - ports stay in transport

    described = [_described(text) for text in slots]
    _check(described)

    def line(port: str, variant: Variant) -> GemPcLine | None:
        def connect() -> Stream:
            return SerialPort(port)

        return GemPcLine(connect, variant, name=port) if port else None

    try:
        return GemPcReader([line(port, variant) for port, variant in described])
    except OSError as problem:
        raise ReaderError(
            f"The reader at {described[0][0]} fell silent ({problem}): check cable and power."
        ) from None


def _described(text: str) -> tuple[str, Variant]:
    """PORT or PORT:VARIANT; the variant is a GemPCTwin when none is named. An empty text is an empty slot."""
    port, mark, name = text.strip().rpartition(":")
    if not mark or name.isdecimal() or "/" in name:  # a bare port, or the end of an rfc2217 address
        return text.strip(), DEFAULT
    for variant in VARIANTS.values():
        if name.lower() in (variant.name, variant.device.lower()):
            return port, variant
    known = ", ".join(variant.device for variant in VARIANTS.values())
    raise ReaderError(f"There is no reader variant {name!r} (in {text!r}): use one of {known}.")


def _check(described: Sequence[tuple[str, Variant]]) -> None:
    ports = [port for port, _variant in described if port]
    if not ports or len(described) > 2:
        raise ReaderError(
            'The driver gempc wants slots = ["PORT:VARIANT"] of a two-slot reader, or one port per slot.'
        )
    if len(set(ports)) != len(ports):
        raise ReaderError(f"The port {ports[0]} is named twice: name a reader with two slots once.")
