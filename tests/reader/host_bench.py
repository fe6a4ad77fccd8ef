"""Readers for the tests of the host drivers: emulated ones in this process, hostile ones with their clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from card.iso7816.contacts import ApduCard, TpduLink
from reader.ccid.card import Abilities, CcidCard, PinPadCard
from reader.ccid.device import CcidDevice
from reader.ccid.events import AskPin, Event, Send
from reader.ccid.frames import Answer
from reader.ccid.host import Answered, CcidHost
from reader.gempc import GemPcReader
from reader.pinpad import Outcome
from reader.serial.gempc import VARIANTS, GemPcDevice
from reader.serial.gempc_line import GemPcLine

S = TypeVar("S", bound="DeviceStream")


class DeviceStream:
    """An emulated reader at the other end of a line, in this process."""

    def __init__(self, device: GemPcDevice, outcome: Outcome | None = None) -> None:
        self.device, self.outcome = device, outcome
        self.sent = bytearray()
        self._waiting = bytearray()
        self._lock = threading.RLock()
        self.opened, self.now = 0, 0.0

    def connect(self) -> DeviceStream:
        self.opened += 1
        return self

    def clock(self) -> float:
        """Time passes only while nothing waits to be read."""
        return self.now

    def happened(self, events: Iterable[Event]) -> None:
        """Take the events of the device: what it sends waits to be read; a PIN is typed at once."""
        for event in events:
            if isinstance(event, Send):
                self._waiting += event.data
            elif isinstance(event, AskPin) and self.outcome is not None:
                self.happened(self.device.extend())
                self.happened(self.device.enter(event.slot, self.outcome))

    def send(self, data: bytes) -> None:
        with self._lock:
            self.sent += data
            self.happened(self.device.feed(data))

    def receive(self, seconds: float) -> bytes:
        with self._lock:
            received = bytes(self._waiting)
            self._waiting.clear()
            self.now += 0 if received else seconds
            return received

    def insert(self, slot: int, card: ApduCard) -> None:
        with self._lock:
            self.happened(self.device.insert(slot, TpduLink(card)))

    def remove(self, slot: int) -> None:
        with self._lock:
            self.happened(self.device.remove(slot))

    def close(self) -> None:
        self._waiting.clear()


Lie = Callable[[bytes], bytes]


class LyingStream(DeviceStream):
    """An emulated reader whose answers pass through `lie` (whole frames in, any bytes out)."""

    lie: Lie = staticmethod(lambda frame: frame)

    def happened(self, events: Iterable[Event]) -> None:
        said = [Send(self.lie(event.data)) if isinstance(event, Send) else event for event in events]
        super().happened(said)


def settled(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """True once `condition()` holds; looks every 5 ms."""
    waiting = threading.Event()
    for _ in range(int(seconds * 200)):
        if condition():
            return True
        waiting.wait(0.005)
    return False


NEVER = 3600.0
"""Seconds between two looks of a watch that a test does not want."""


def reader_on(stream: DeviceStream, every: float = NEVER) -> GemPcReader:
    """The driver's reader on this stream."""
    return GemPcReader([GemPcLine(stream.connect, stream.device.variant, stream.clock)], every)


def emulated(
    variant: str, *cards: ApduCard, outcome: Outcome | None = None, kind: type[S] = DeviceStream
) -> S:
    """An emulated reader of this variant with cards in its first slots."""
    stream = kind(GemPcDevice(VARIANTS[variant]), outcome)
    for number, card in enumerate(cards):
        stream.insert(number, card)
    return stream


Script = Callable[[bytes], Sequence[tuple[float, bytes]]]


class HostileStream:
    """Answers each command with `script(frame)`: pieces, each after so many seconds of a clock of its own."""

    def __init__(self, script: Script) -> None:
        self.script, self.now, self.opened = script, 0.0, 0
        self.pieces: list[tuple[float, bytes]] = []
        self.frame = b""

    def connect(self) -> HostileStream:
        self.opened += 1
        return self

    def clock(self) -> float:
        return self.now

    def send(self, data: bytes) -> None:
        self.frame = data if len(data) > 3 else self.frame  # to a NAK it says the same again
        self.pieces += self.script(self.frame)

    def receive(self, seconds: float) -> bytes:
        if not self.pieces or self.pieces[0][0] > seconds:
            self.now += seconds
            if self.pieces:
                after, data = self.pieces[0]
                self.pieces[0] = (after - seconds, data)
            return b""
        after, data = self.pieces.pop(0)
        self.now += after
        return data

    def close(self) -> None:
        self.pieces.clear()


class DirectAsk:
    """`Ask` for a CcidCard, answered by a CcidDevice; keeps what was asked."""

    def __init__(self, device: CcidDevice, slot: int = 0, outcome: Outcome | None = None) -> None:
        self.device, self.slot, self.outcome = device, slot, outcome
        self.host = CcidHost()
        self.asked: list[tuple[int, bytes]] = []

    def __call__(self, kind: int, parameters: bytes, data: bytes, _seconds: float) -> Answer:
        self.asked.append((kind, data))
        events = list(self.device.feed(self.host.command(kind, self.slot, parameters, data)))
        for event in events:
            if isinstance(event, Send):
                for said in self.host.feed(event.data):
                    if isinstance(said, Answered):
                        return said.answer
            elif isinstance(event, AskPin) and self.outcome is not None:
                events += self.device.extend()
                events += self.device.enter(event.slot, self.outcome)
        raise TimeoutError("the device said nothing")


def card_in(
    card: ApduCard, *, outcome: Outcome | None = None, abilities: Abilities | None = None
) -> tuple[CcidCard, DirectAsk]:
    """A card in an emulated CCID reader, as the driver holds it."""
    device = CcidDevice(1, pad=outcome is not None)
    device.insert(0, TpduLink(card))
    ask = DirectAsk(device, outcome=outcome)
    kind = CcidCard if outcome is None else PinPadCard
    return kind(ask, "CPS", abilities or Abilities(), lambda: None), ask
