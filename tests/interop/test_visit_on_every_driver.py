"""One visit with both cards, through every driver that needs no pcscd: the same rights and signatures as in
this process, whatever carries the commands."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from card.kernel.storage import FileStorage
from card.personalise import open_card
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.secret import Secret
from reader.agent.driver import open_agent
from reader.cli import open_emulated
from reader.errors import CardRemoved
from reader.galss import open_galss
from reader.gempc import open_gempc
from reader.phoenix import open_phoenix
from reader.pinpad import Digits, PinEntry
from reader.reader import Reader
from reader.transport.rfc2217 import Rfc2217Server
from tests.gateway.agent.hosting import hosting
from tests.interop.bench_pcscd import Emulated, free_ports, wait_for

PIN = Secret("1234")
DIGESTS = [hashlib.sha256(text).digest() for text in (b"fse", b"lot")]


def visit(reader: Reader, *, on_pad: bool = False) -> tuple[Any, ...]:
    """CPS open, PIN, Vitale rights, card to card, seal, two signatures: everything a card said."""
    with (
        CpsSession.open(reader.slot("CPS").connect()) as cps,
        VitaleSession.open(reader.slot("Vitale").connect()) as vitale,
    ):
        cps.verify_pin_on_pad() if on_pad else cps.verify_pin(PIN)
        vitale.authenticate(cps)
        rights = vitale.read_rights()
        seal = vitale.seal(DIGESTS[0])
        signatures = [cps.sign_digest(digest) for digest in DIGESTS]
        return cps.holder, cps.certificate, cps.situations, vitale.serial, rights, seal, *signatures


class Away(Emulated):
    """An emulated reader that is connected in another way than a serial line."""

    def __init__(self, folder: Path, images: list[Path], *where: str) -> None:
        super().__init__(folder, images)
        self._where = list(where)


@pytest.fixture(scope="module")
def images(card_file: Callable[..., Path]) -> list[Path]:
    """A family's Vitale and a practitioner's CPS."""
    return [card_file("vitale-family"), card_file("cps-gp-sector1")]


@pytest.fixture(scope="module")
def in_process(images: list[Path]) -> tuple[Any, ...]:
    """What the cards say with nothing in between."""
    with open_emulated([str(image) for image in images]) as reader:
        return visit(reader)


def timed(reader: Reader, *, on_pad: bool = False) -> tuple[tuple[Any, ...], float]:
    """The second of two visits and its milliseconds."""
    visit(reader, on_pad=on_pad)
    begun = time.perf_counter()
    said = visit(reader, on_pad=on_pad)
    return said, (time.perf_counter() - begun) * 1000


VARIANTS = ["GemCoreSIMPro2", "SEC1210", "GemCorePOSPro"]


@pytest.mark.interop
@pytest.mark.parametrize("variant", VARIANTS)
def test_gempc(variant, images, in_process, tmp_path, record_property):
    """Driver gempc on a pseudo-terminal, both slots of a two-slot reader."""
    with Emulated(tmp_path / "reader", images, serial=variant.lower()) as emulated:
        with open_gempc([f"{emulated.link}:{variant}"]) as reader:
            said, milliseconds = timed(reader)
        assert said == in_process
        assert emulated.control("status").returncode == 0
    record_property(f"visit on gempc {variant}", {"ms": round(milliseconds)})


@pytest.mark.interop
def test_gempc_two_ports(images, in_process, tmp_path):
    """Driver gempc on two single-slot readers, the one with a PIN pad holding the CPS."""
    with (
        Emulated(tmp_path / "one", images[:1], serial="gempctwin") as vitale,
        Emulated(tmp_path / "two", images[1:], serial="gempcpinpad") as cps,
        open_gempc([f"{vitale.link}:GemPCTwin", f"{cps.link}:GemPCPinPad"]) as reader,
    ):
        assert reader.slot("CPS").has_pad
        assert visit(reader) == in_process


@pytest.mark.interop
def test_galss(images, in_process, tmp_path, record_property):
    """Driver galss over the stand-in line: LAD 0 is the Vitale, LAD 1 the CPS."""
    address = f"127.0.0.1:{free_ports()}"
    with (
        Away(tmp_path / "reader", images, "--galss", address),
        open_galss([address]) as reader,
    ):
        said, milliseconds = timed(reader)
    assert said == in_process
    record_property("visit on galss", {"ms": round(milliseconds)})


@pytest.mark.interop
def test_phoenix(images, in_process, record_property):
    """Driver phoenix over RFC 2217: one byte-level interface for each card."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Rfc2217Server()) for _ in images]
        for server, image in zip(servers, images, strict=True):
            server.insert(open_card(FileStorage(image)))
        reader = stack.enter_context(open_phoenix([server.url for server in servers]))
        wait_for(lambda: all(slot.is_present for slot in reader.slots), lambda: "no card is seen")
        said, milliseconds = timed(reader)
    assert said == in_process
    record_property("visit on phoenix", {"ms": round(milliseconds)})


@dataclass
class Person:
    """Types one PIN at the agent."""

    pin: str

    def ask(self, slot: str, entry: PinEntry, cancelled: threading.Event) -> Digits:
        return Digits(self.pin)

    def heard(self, slot: str, status: bytes) -> None:
        assert status == b"\x90\x00"


@pytest.mark.interop
def test_agent(images, in_process, tmp_path, record_property):
    """Driver agent: both cards in a reader lent over TLS; the PIN is typed there, the rest is the same."""
    with ExitStack() as stack:
        hosted = stack.enter_context(hosting(tmp_path))
        identity = hosted.enrolled("desk-1", "cabinet")
        reader = open_agent(["desk-1"], lobby=hosted.lobby, practice="cabinet")
        hosted.opens()
        cards = dict(zip(("Vitale", "CPS"), (open_card(FileStorage(image)) for image in images), strict=True))
        hosted.agent(identity, pins=Person("1234"), **cards)
        wait_for(lambda: all(slot.is_present for slot in reader.slots), lambda: "no card is seen")
        said, milliseconds = timed(reader, on_pad=True)
    assert said == in_process
    record_property("visit on agent", {"ms": round(milliseconds)})


@pytest.mark.interop
@pytest.mark.parametrize("driver", ["gempc", "galss"])
def test_a_card_pulled_and_put_back(driver, images, in_process, tmp_path):
    """Pulled in the middle of a session: it ends in one sentence; put back, a new visit is whole."""
    address = f"127.0.0.1:{free_ports()}"
    where = ("--galss", address) if driver == "galss" else ("--serial", "sec1210")
    with Away(tmp_path / "reader", images, *where) as emulated:
        opened = open_galss([address]) if driver == "galss" else open_gempc([f"{emulated.link}:SEC1210"])
        with opened as reader:
            cps = CpsSession.open(reader.slot("CPS").connect())
            assert emulated.control("remove", "CPS").returncode == 0
            with pytest.raises(CardRemoved):
                cps.verify_pin(PIN)
            wait_for(lambda: not reader.slot("CPS").is_present, lambda: "the slot does not empty")
            assert emulated.control("insert", "CPS").returncode == 0
            wait_for(lambda: reader.slot("CPS").is_present, lambda: "the card is not found again")
            assert visit(reader) == in_process
