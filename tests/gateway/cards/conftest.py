"""Two personalised cards in a reader, and a tiny card made of files for what a real card would never do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import cycle

import pytest

from card.iso7816 import tlv
from card.issuer import TestIssuer, generate_key
from card.kernel.storage import MemoryStorage
from card.personalise import load_profile, open_card, personalise
from gateway.cards.cps import CpsSession
from gateway.secret import Secret
from reader.connection import Connection
from reader.emulated import EmulatedReader
from reader.slot import Card, Slot
from reader.trace import Trace

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)

Twist = Callable[[bytes, bytes], bytes]
Tree = Mapping[bytes, Mapping[int, bytes]]


class TinyCard:
    """Applications (AID → FID → content), SELECT and READ BINARY; `twist(command, answer)` makes it lie."""

    def __init__(self, tree: Tree, twist: Twist = lambda _command, answer: answer) -> None:
        self.tree, self.twist = tree, twist
        self.exchanges = 0
        self.power_on()

    def power_on(self) -> bytes:
        self.files: Mapping[int, bytes] = next(iter(self.tree.values()), {})
        self.content = b""
        return b"\x3b\x00"

    def power_off(self) -> None:
        self.content = b""

    def transmit(self, apdu: bytes) -> bytes:
        self.exchanges += 1
        return self.twist(apdu, self._honest(apdu))

    def _honest(self, apdu: bytes) -> bytes:
        ins, p1, data = apdu[1], apdu[2], apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""
        if ins == 0xA4 and p1 == 4:
            self.files = self.tree.get(data, self.files)
            return b"\x90\x00" if data in self.tree else b"\x6a\x82"
        if ins == 0xA4 and (fid := int.from_bytes(data, "big")) in self.files:
            self.content = self.files[fid]
            return tlv.encode(0x62, tlv.encode(0x80, len(self.content).to_bytes(2, "big"))) + b"\x90\x00"
        if ins == 0xB0:
            at = apdu[2] << 8 | apdu[3]
            return self.content[at : at + (apdu[4] or 256)] + b"\x90\x00"
        return b"\x6a\x82" if ins == 0xA4 else b"\x6d\x00"


@pytest.fixture
def tiny() -> Callable[..., tuple[TinyCard, Connection]]:
    """Builds a tiny card and a connection to it in the slot of that name."""

    def build(
        tree: Tree, twist: Twist = lambda _c, a: a, slot: str = "Vitale"
    ) -> tuple[TinyCard, Connection]:
        card, place = TinyCard(tree, twist), Slot(slot)
        place.insert(card)
        return card, place.connect()

    return build


class TwistedCard:
    """A real card whose answers pass through `lie`."""

    def __init__(self, card: Card, lie: Twist) -> None:
        self.card, self.lie = card, lie
        self.power_on, self.power_off = card.power_on, card.power_off

    def transmit(self, apdu: bytes) -> bytes:
        return self.lie(apdu, self.card.transmit(apdu))


class Bench:
    """A two-slot reader with two personalised cards in it, and a trace of everything said."""

    pin = Secret("1234")

    def __init__(self, images: Mapping[str, bytes]) -> None:
        self.reader, self.trace = EmulatedReader(), Trace()
        self.reader.observe(self.trace)
        self.cards: dict[str, Card] = {
            name: open_card(MemoryStorage(image)) for name, image in images.items()
        }
        for name, card in self.cards.items():
            self.reader.insert(name, card)

    def connect(self, name: str) -> Connection:
        return self.reader.slot(name).connect()

    def pull(self, name: str) -> None:
        self.reader.slot(name).remove()

    def put_back(self, name: str) -> None:
        if not self.reader.slot(name).is_present:
            self.reader.insert(name, self.cards[name])

    def twist(self, name: str, lie: Twist) -> None:
        """From now on the card in this slot answers `lie(command, honest answer)`."""
        self.pull(name)
        self.reader.insert(name, TwistedCard(self.cards[name], lie))

    def verified_cps(self) -> CpsSession:
        session = CpsSession.open(self.connect("CPS"))
        session.verify_pin(self.pin)
        return session

    def count(self, words: str) -> int:
        return sum(words in line for line in self.trace.lines())


@pytest.fixture(scope="session")
def issuer() -> TestIssuer:
    """One TEST issuer for all the cards of these tests."""
    return TestIssuer.make(now=NOW)


@pytest.fixture(scope="session")
def new_image(issuer: TestIssuer) -> Callable[[str], bytes]:
    """The image of a freshly personalised card, by profile name; each is made once."""

    keys = cycle([generate_key() for _ in range(3)])  # neighbours differ, no key is made twice

    @cache
    def image(profile: str) -> bytes:
        storage = MemoryStorage()
        personalise(load_profile(profile), storage, issuer, NOW, key_source=lambda: next(keys))
        return storage.read()

    return image


@pytest.fixture
def bench(new_image: Callable[[str], bytes]) -> Bench:
    """A reader with the family's Vitale and a general practitioner's CPS, as new."""
    return Bench({"Vitale": new_image("vitale-family"), "CPS": new_image("cps-gp-sector1")})


@pytest.fixture
def bench_of(new_image: Callable[[str], bytes]) -> Callable[..., Bench]:
    """Builds a bench from slot name → profile name."""
    return lambda **profiles: Bench({slot: new_image(profile) for slot, profile in profiles.items()})
