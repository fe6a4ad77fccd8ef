"""Promise B3: every transport is transparent.

APDU cases 1 to 4, every length from 0 to 256 and the edges of extended lengths, get the same answers in this
process, at the contacts (T=0, T=1), through CCID, the serial line, a Phoenix interface, vpcd, GALSS, and
through a stock pcscd with libccid and with vpcd's driver.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from card.iso7816.atr import Atr
from card.iso7816.contacts import ApduCard, CardContacts
from card.iso7816.t0 import T0Host
from card.iso7816.t1 import ifsc_of, uses_crc
from card.iso7816.t1host import T1Host
from reader import tpdu
from reader.ccid.events import Send
from reader.emulated import EmulatedReader
from reader.galss import LadDevice, open_galss
from reader.slot import Card, Slot
from reader.transport.galss import GalssServer
from reader.vpcd import VpcdCard, framed
from tests.interop import b3_bench
from tests.interop.b3_bench import ATR_T0, ATR_T1, answers, commands, expected, extended_commands, length_card
from tests.interop.bench_pcscd import DRIVERS, Pcscd, end, free_ports, needs, vpcd_conf
from tests.reader.host_bench import card_in, emulated, reader_on
from tests.reader.phoenix_lines import phoenix
from tools.pcscd import TOGETHER

ROOT = Path(__file__).resolve().parents[2]

EXPECTED = [expected(command).to_bytes().hex() for command in commands()]


class AtContacts:
    """A card spoken to byte by byte at its contact, T=0 or T=1 as its ATR says."""

    def __init__(self, card: ApduCard) -> None:
        self._contacts = CardContacts(card)
        self._t1: T1Host | None = None

    def power_on(self) -> bytes:
        raw = self._contacts.reset()
        atr = Atr.parse(raw)
        self._t1 = T1Host(ifsc_of(atr), use_crc=uses_crc(atr)) if atr.protocols[0] else None
        return raw

    def power_off(self) -> None:
        self._contacts.power_off()

    def transmit(self, apdu: bytes) -> bytes:
        if self._t1 is not None:
            return self._said(self._t1, apdu)
        return tpdu.transmit(apdu, lambda command, _outgoing: self._said(T0Host(), command))

    def _said(self, host: T0Host | T1Host, command: bytes) -> bytes:
        sent = host.start(command)
        while sent:
            received = b"".join(self._contacts.feed(sent[at : at + 1]) for at in range(len(sent)))
            sent = b"".join(host.feed(received[at : at + 1]) for at in range(len(received)))
        assert host.answer is not None, host.failure
        return host.answer


class BehindVpcd:
    """A card behind the messages of vpcd."""

    def __init__(self, card: ApduCard) -> None:
        self._machine = VpcdCard(card)

    def _order(self, payload: bytes) -> bytes:
        said = [event.data for event in self._machine.feed(framed(payload)) if isinstance(event, Send)]
        return said[0][2:] if said else b""

    def power_on(self) -> bytes:
        self._order(b"\x01")
        return self._order(b"\x04")

    def power_off(self) -> None:
        self._order(b"\x00")

    def transmit(self, apdu: bytes) -> bytes:
        return self._order(apdu)


@contextmanager
def held(card: Card) -> Iterator[Slot]:
    """The card in a slot of its own."""
    slot = Slot("Vitale")
    slot.insert(card)
    yield slot


@contextmanager
def on_serial(variant: str, card: ApduCard) -> Iterator[Slot]:
    """Driver gempc and an emulated reader of this variant."""
    with reader_on(emulated(variant, card)) as reader:
        yield reader.slot("Vitale")


@contextmanager
def on_galss(card: ApduCard) -> Iterator[Slot]:
    """Driver galss, loopback TCP and an emulated reader."""
    far = EmulatedReader()
    far.insert("Vitale", card)
    with GalssServer(LadDevice(far.slots)) as server, open_galss([f"127.0.0.1:{server.port}"]) as reader:
        yield reader.slot("Vitale")


Path_ = Callable[[ApduCard], Any]

IN_PROCESS: dict[str, tuple[Path_, bytes]] = {
    "memory": (held, ATR_T0),
    "T=0": (lambda card: held(AtContacts(card)), ATR_T0),
    "T=1": (lambda card: held(AtContacts(card)), ATR_T1),
    "CCID T=0": (lambda card: held(card_in(card)[0]), ATR_T0),
    "CCID T=1": (lambda card: held(card_in(card)[0]), ATR_T1),
    "serial T=0": (lambda card: on_serial("gempctwin", card), ATR_T0),
    "serial T=1": (lambda card: on_serial("sec1210", card), ATR_T1),
    "Phoenix T=0": (lambda card: held(phoenix(card)[0]), ATR_T0),
    "Phoenix T=1": (lambda card: held(phoenix(card)[0]), ATR_T1),
    "vpcd": (lambda card: held(BehindVpcd(card)), ATR_T0),
    "GALSS": (on_galss, ATR_T0),
}

SHORT_ONLY = {"T=0", "CCID T=0", "serial T=0", "Phoenix T=0", "GALSS"}
"""T=0 commands and LAD orders have one byte for a length."""

VPCD_MOST = 65_533
"""Two bytes of length for data and status word."""


def different(said: list[str], wanted: list[str]) -> list[tuple[int, str, str]]:
    """Where answers differ: place, what was said, what was wanted (both cut short)."""
    pairs = zip(said, wanted, strict=False)
    wrong = [(at, one[:60], two[:60]) for at, (one, two) in enumerate(pairs) if one != two]
    return wrong if len(said) == len(wanted) else [*wrong, (len(said), "the end", "more")]


@pytest.mark.parametrize("name", IN_PROCESS)
def test_every_length(name, record_property):
    """All commands through one transport: the answers are the expected ones, byte for byte."""
    place, atr = IN_PROCESS[name]
    with place(length_card(atr)) as slot:
        said = answers(slot.connect(), commands())
    assert not different(said, EXPECTED)
    record_property("promise B3", {"lengths": len(said), "paths": 1})


@pytest.mark.parametrize("name", [name for name in IN_PROCESS if name not in SHORT_ONLY])
def test_extended_lengths(name, record_property):
    """The edges of extended lengths where the transport has them."""
    place, atr = IN_PROCESS[name]
    most = VPCD_MOST if name == "vpcd" else 65_536
    wanted = [expected(command).to_bytes().hex() for command in extended_commands(most)]
    with place(length_card(atr, extended=True)) as slot:
        said = answers(slot.connect(), extended_commands(most))
    assert not different(said, wanted)
    record_property("promise B3", {"lengths": len(said)})


@pytest.mark.parametrize("name", sorted(SHORT_ONLY))
def test_no_extended_length_is_cut_silently(name):
    """Where a transport has none, an extended command is refused (6700), never shortened."""
    place, atr = IN_PROCESS[name]
    with place(length_card(atr, extended=True)) as slot:
        said = answers(slot.connect(), extended_commands())
    assert set(said) == {"6700"}


@pytest.mark.parametrize("at", [0, 5, 700, 2_000])
def test_a_transport_that_changes_a_byte_is_caught(at):
    """Positive twin of the comparison: one flipped bit, one answer too few, are both seen."""

    class Flipping(BehindVpcd):
        count = 0

        def transmit(self, apdu: bytes) -> bytes:
            said = super().transmit(apdu)
            self.count += 1
            return (
                said[:-3] + bytes((said[-3] ^ 1,)) + said[-2:] if len(said) > 2 and self.count > at else said
            )

    with held(Flipping(length_card())) as slot:
        said = answers(slot.connect(), commands())
    assert different(said, EXPECTED)[0][0] >= at // 2
    assert different(EXPECTED[:-1], EXPECTED)


@pytest.fixture
def program() -> Iterator[Callable[..., None]]:
    """Starts a program of the bench and waits until it is ready."""
    with ExitStack() as stack:

        def start(*words: object) -> None:
            command = [*TOGETHER, sys.executable, "-m", b3_bench.__name__, *map(str, words)]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.callback(end, process)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

        yield start


def through_pcscd(pcscd: Pcscd, *patterns: str, most: int) -> dict[str, Any]:
    """All commands through this daemon, in a client of their own."""
    command = [sys.executable, "-m", b3_bench.__name__, "client", *patterns, str(most)]
    done = subprocess.run(
        command, cwd=ROOT, env=pcscd.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def check(read: dict[str, Any], most: int, record_property: Callable[..., None]) -> None:
    """Both slots, short and extended, said what is expected."""
    wanted = [expected(command).to_bytes().hex() for command in extended_commands(most)]
    assert not different(read["Vitale"], EXPECTED)
    assert not different(read["CPS"], EXPECTED)
    assert not different(read["CPS extended"], wanted)
    record_property("promise B3", {"lengths": 2 * len(EXPECTED) + len(wanted), "paths": 2})


@pytest.mark.interop
@pytest.mark.usefixtures("pyscard")
def test_through_pcscd_and_libccid(program, tmp_path, record_property):
    """Stock pcscd and libccid on our serial reader: slot 0 speaks T=0, slot 1 T=1 with extended lengths."""
    needs("pcscd", files=(DRIVERS / "libccidtwin.so",))
    most = 65_536
    program("serial", tmp_path / "tty", tmp_path / "conf")
    with Pcscd(tmp_path, conf_dir=tmp_path / "conf", level="--error") as pcscd:
        check(through_pcscd(pcscd, "Twin 00 00", "Twin 00 01", most=most), most, record_property)


@pytest.mark.interop
@pytest.mark.usefixtures("pyscard")
def test_through_pcscd_and_vpcd(program, tmp_path, record_property):
    """Stock pcscd and vpcd's driver: whole APDUs in both slots, as long as its two bytes of length allow."""
    needs("pcscd", files=(DRIVERS / "libifdvpcd.so",))
    port = free_ports(2)
    with Pcscd(tmp_path, reader_conf=vpcd_conf(port), level="--error") as pcscd:
        program("vpcd", port)
        check(
            through_pcscd(pcscd, "Virtual PCD 00 00", "Virtual PCD 00 01", most=32_767),
            32_767,
            record_property,
        )
