"""Lines for the tests of Phoenix interfaces: no port, no time that really passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reader.serial.phoenix import WIRINGS, PhoenixCard, Wiring
from reader.serial.phoenix_device import PhoenixDevice


class SlowClock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def straight(data: bytes) -> bytes:
    """A line that spoils nothing."""
    return data


class DeviceLine:
    """A line with an emulated interface at its other end. spoil: what happens to the card's bytes."""

    def __init__(self, device: PhoenixDevice, clock: SlowClock, piece: int = 65_536) -> None:
        self.device, self.clock, self.piece = device, clock, piece
        self.spoil: Callable[[bytes], bytes] = straight
        self.fast = True
        self.modes: list[tuple[int, bool]] = []
        self.waiting = b""

    def send(self, data: bytes) -> None:
        back = self.device.feed(data)
        self.waiting += back[: len(data)] + self.spoil(back[len(data) :] + self._worked())

    def _worked(self) -> bytes:
        said = b""
        while (command := self.device.command) is not None:
            said += self.device.answer(self.device.carry_out(command))
        return said

    def receive(self, seconds: float) -> bytes:
        if not self.waiting:
            self.clock.now += seconds
            if seconds > self.device.patience()[1]:
                self.waiting += self.device.silence()
            return b""
        piece, self.waiting = self.waiting[: self.piece], self.waiting[self.piece :]
        self.clock.now += 0.001
        return piece

    def clear(self) -> None:
        self.waiting = b""

    def set_reset(self, asserted: bool) -> None:
        self.waiting += self.spoil(self.device.set_reset(asserted))

    def is_cts(self) -> bool:
        return self.device.cts

    def supports(self, speed: int) -> bool:
        return self.fast

    def set_mode(self, speed: int, *, odd: bool) -> None:
        self.modes.append((speed, odd))
        self.device.set_mode(speed, "O" if odd else "E")

    def close(self) -> None:
        self.device.hang_up()


class TalkingLine(DeviceLine):
    """A line that says what the test wants after each reset and each sending, echo first; then silence."""

    def __init__(
        self, clock: SlowClock, after_reset: bytes, answers: Iterable[bytes], *, echo: bool = True
    ) -> None:
        super().__init__(PhoenixDevice(), clock)
        self.after_reset, self.answers, self.echo = after_reset, iter(answers), echo
        self.sent: list[bytes] = []

    def set_reset(self, asserted: bool) -> None:
        if not asserted:
            self.waiting += self.after_reset

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self.waiting += (data if self.echo else b"") + next(self.answers, b"")

    def is_cts(self) -> bool:
        return False


def phoenix(card, wiring: Wiring = WIRINGS["phoenix"], *, inverse: bool = False, piece: int = 65_536):
    """A card in an emulated interface, and the host's card object for it: (host card, line)."""
    clock, device = SlowClock(), PhoenixDevice(wiring, inverse=inverse)
    device.insert(card)
    line = DeviceLine(device, clock, piece)
    return PhoenixCard(line, wiring, clock, clock.sleep), line


def listening(after_reset: bytes, *answers: bytes, echo: bool = True):
    """A host on a line that talks by itself: (host card, line)."""
    clock = SlowClock()
    line = TalkingLine(clock, after_reset, answers, echo=echo)
    return PhoenixCard(line, WIRINGS["phoenix"], clock, clock.sleep), line
