"""A two-slot reader for the demo and `make run`: in this process, or through real PC/SC.

Real PC/SC means: `vitale-reader emulate` as a program of its own on a serial line, a pcscd of our own with
libccid before it, and the gateway's PC/SC driver. Nothing of the machine is changed, all ends with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from gateway.errors import GatewayError
from reader.emulated import EmulatedReader
from reader.pcsc import PcscReader
from reader.reader import Reader
from reader.transport.control import ask
from tools.bench import Bench
from tools.pcscd import Pcscd

MODEL = "gemcoresimpro2"
NAME = "Vitale Gateway"
PATIENCE_SECONDS, LOOK_SECONDS = 20.0, 0.02
SOCKET = "PCSCLITE_CSOCK_NAME"

Say = Callable[[str], None]


class TwoSlots(Protocol):
    """What the demo does with a reader: cards by the name of their profile."""

    @property
    def reader(self) -> Reader:
        """What the gateway is given."""
        ...

    def insert(self, slot: str, profile: str) -> None:
        """Put the card of this profile in; the one inside is taken out."""
        ...

    def remove(self, slot: str) -> None:
        """Take the card out, if there is one."""
        ...


@contextmanager
def two_slots(bench: Bench, say: Say, *, pcsc: bool) -> Iterator[TwoSlots]:
    """An empty reader for the length of the block."""
    with ExitStack() as stack:
        yield _real(bench, say, stack) if pcsc else _InProcess(bench, stack.enter_context(EmulatedReader()))


class _InProcess:
    """Cards and reader in this process."""

    def __init__(self, bench: Bench, reader: EmulatedReader) -> None:
        self._bench, self.reader = bench, reader

    def insert(self, slot: str, profile: str) -> None:
        self.remove(slot)
        self.reader.slot(slot).insert(self._bench.card(profile))

    def remove(self, slot: str) -> None:
        self.reader.slot(slot).remove()


class _OverPcsc:
    """The reader as pcscd shows it; cards are moved by orders to the program that emulates it."""

    def __init__(self, bench: Bench, reader: Reader, control: Path) -> None:
        self._bench, self.reader, self._control = bench, reader, control

    def insert(self, slot: str, profile: str) -> None:
        self.remove(slot)
        self._order(do="insert", slot=slot, image=str(self._bench.card_file(profile).absolute()))
        self._wait(slot, present=True)

    def remove(self, slot: str) -> None:
        if self.reader.slot(slot).is_present:
            self._order(do="remove", slot=slot)
            self._wait(slot, present=False)

    def _order(self, **request: str) -> None:
        answer = ask(self._control, request, PATIENCE_SECONDS)
        if not answer.get("ok"):
            raise GatewayError(str(answer.get("text") or "The emulated reader refused."))

    def _wait(self, slot: str, *, present: bool) -> None:
        place = self.reader.slot(slot)
        _until(lambda: place.is_present == present, lambda: f"pcscd does not see the {slot} slot change")


def _real(bench: Bench, say: Say, stack: ExitStack) -> TwoSlots:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitale-reader-")))
    link, log = folder / "tty", folder / "reader.log"
    with log.open("wb") as output:
        emulator = subprocess.Popen(
            [sys.executable, "-m", "reader.cli", "emulate", "--serial", MODEL, "--link", str(link),
             "--pcscd-conf", str(folder / "conf")],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    stack.callback(_end, emulator)
    _until(
        lambda: "Ready." in log.read_text() or emulator.poll() is not None,
        lambda: "the emulated reader does not start",
    )
    if emulator.poll() is not None:
        raise GatewayError(f"The emulated reader has ended: {log.read_text().strip()}")
    pcscd = stack.enter_context(Pcscd(folder / "conf", folder / "pcscd.log"))
    os.environ[SOCKET] = pcscd.socket_name  # read by libpcsclite once, at the first call
    stack.callback(os.environ.pop, SOCKET, None)
    reader = stack.enter_context(PcscReader([NAME]))
    _until(lambda: reader.slot("CPS").why_empty is None, lambda: f"{reader.slot('CPS').emptiness()}")
    say(f"pcscd and libccid see the emulated reader ({MODEL}); other programs too, with")
    say(f"  export {SOCKET}={pcscd.socket_name}")
    return _OverPcsc(bench, reader, Path(f"{link}.control"))


def _until(reached: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait for something that other programs do; GatewayError when it does not come."""
    for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
        if reached():
            return
        threading.Event().wait(LOOK_SECONDS)
    raise GatewayError(f"After {PATIENCE_SECONDS:.0f} s {what()}: try again, or without --pcsc.")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
