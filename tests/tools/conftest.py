"""A practice with software cards, and a receiver for it: real certificates, real signatures, no network."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from card.issuer import generate_key
from card.layout.nir import nir_key
from gateway.billing.engine import price
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.clock import SimulatedClock
from gateway.cms.policy import policy_named
from gateway.cms.signed import SoftwareSigner
from gateway.exchange.mailbox import Maildir
from gateway.lots.fse import Fse, encode_fse
from gateway.lots.lot import Lot, LotHeader, build_lot
from gateway.lots.numbering import LotNumbers, compostage
from gateway.lots.organism import Organism
from gateway.lots.parties import InsuredIds, PractitionerIds
from gateway.lots.sealing import Opened, SealedLot, open_sealed, seal
from gateway.pki import Purpose
from tools.pki import Authority
from tools.receiver.config import ReceiverConfig
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.service import Parts, assemble

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NIR = "2801962643002"
BORN = date(1980, 3, 1)
BILLING = "991000009"
NATIONAL_ID = "810009999996"
SERIAL = "80250000019900000001"


@dataclass
class Practice:
    """A practice of the bench: one practitioner, one patient, both cards as software keys."""

    authority: Authority
    cps: SoftwareSigner
    vitale_key: RSAPrivateKey
    vitale_certificate: bytes
    policy_name: str = "modern"
    now: datetime = NOW
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @cached_property
    def tables(self) -> Tables:
        """The dated tables."""
        return Tables.load()

    def request(self, **changes: object) -> CareRequest:
        """A consultation of a general practitioner, third-party payment of the AMO share."""
        beneficiary = Beneficiary(BORN)
        base = CareRequest(
            self.now.date() - timedelta(days=1), Practitioner(), beneficiary, (Act("G"),), third_party="amo"
        )
        return replace(base, **changes)  # type: ignore[arg-type]

    def fse(
        self, number: int, *, nir: str = NIR, mode: int = 3, complementary: str = "", **changes: object
    ) -> Fse:
        """A signed invoice; `changes` go into the care request."""
        request = self.request(**changes)
        insured = InsuredIds(
            nir, f"{nir_key(nir):02d}", "01", "349", "0349", BORN,
            contract_type="01" if complementary else "", complementary_number=complementary,
        )  # fmt: skip
        secured = mode in (3, 4)
        draft = encode_fse(
            number, self.now, PractitionerIds(BILLING, NATIONAL_ID, "DOCTEUR TEST"), insured, request,
            price(request, self.tables), mode=mode, vitale_serial=SERIAL if secured else "", cps_serial="42",
        )  # fmt: skip
        if not secured:
            return draft.sealed(cps_signature=self.cps.sign_digest(draft.digest))
        seal = self.vitale_key.sign(draft.digest, PKCS1v15(), Prehashed(SHA256()))
        return draft.sealed(seal, self.vitale_certificate, self.cps.sign_digest(draft.digest))

    def numbers(self, at: int | None = None) -> LotNumbers:
        """Numbers for the next lot."""
        count = next(self.counter) if at is None else at
        return LotNumbers(count % 999 + 1, self.now.date(), f"{count:06d}", compostage(self.now, count))

    def lot(self, *fses: Fse, numbers: LotNumbers | None = None) -> Lot:
        """A signed lot of these invoices."""
        family = "signed" if fses[0].mode in (3, 4) else "without-vitale"
        header = LotHeader(
            BILLING,
            NATIONAL_ID,
            "DOCTEUR TEST",
            fses[0].destination,
            numbers or self.numbers(),
            self.now,
            family,
        )
        draft = build_lot(header, fses)
        return draft.signed(self.cps.sign_digest(draft.digest), self.cps.certificate)

    def seal(self, lot: Lot) -> SealedLot:
        """The lot as a message to the receiver."""
        return seal(
            lot,
            sender="cabinet@practice.test",
            recipient=Organism("01", "999", "349").address,
            recipient_certificate=self.authority.receiver_keys().decryption.certificate,
            policy=policy_named(self.policy_name),
            signer=self.cps if self.policy_name == "modern" else None,
            rng=os.urandom,
            now=self.now,
        )

    def message(self, *numbers: int, **changes: object) -> bytes:
        """A sealed lot of simple invoices with these numbers."""
        return self.seal(self.lot(*(self.fse(number, **changes) for number in numbers))).message  # type: ignore[arg-type]

    def open(self, message: bytes, when: datetime | None = None) -> Opened:
        """What the practice finds in an answer."""
        return open_sealed(
            message,
            key=self.authority.practice_keys("practice").decryption,
            policy=policy_named(self.policy_name),
            trust=self.authority.trust(),
            purpose=Purpose.RECEIVER_SIGNATURE,
            when=when or self.now,
        )


@dataclass
class Bench:
    """A practice and a receiver that knows it, on one simulated clock, without threads."""

    practice: Practice
    parts: Parts
    clock: SimulatedClock
    maildir: Path

    def handle(self, raw: bytes):  # type: ignore[no-untyped-def]
        """Hand one message to the receiver."""
        return self.parts.receiver.handle(raw)

    def deliver(self) -> list[bytes]:
        """Deliver the outbox; every message now in the practice's mailbox, oldest first."""
        self.parts.postman.deliver()
        return [raw for _, raw in Maildir(self.maildir).pending()]

    def open(self, raw: bytes) -> Opened:
        """What the practice finds in an answer, now."""
        return self.practice.open(raw, self.clock.now())

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Ask the ledger."""
        return self.parts.ledger.rows(query, *values)


def make_cards(authority: Authority, now: datetime) -> tuple[SoftwareSigner, RSAPrivateKey, bytes]:
    """A CPS signer, and the key and certificate of a Vitale."""
    key = generate_key()
    modulus = key.public_key().public_numbers().n.to_bytes(256, "big")
    expiry = now.date() + timedelta(days=1000)
    certificate = authority.issuer.issue_vitale(bytes.fromhex(SERIAL), modulus, expiry)
    return authority.software_cps(NATIONAL_ID, now), key, certificate


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One test authority for the whole session."""
    return Authority.create(tmp_path_factory.mktemp("authority") / "authority", NOW)


@pytest.fixture(scope="session")
def cards(authority: Authority) -> tuple[SoftwareSigner, RSAPrivateKey, bytes]:
    """A CPS and a Vitale as software keys."""
    return make_cards(authority, NOW)


@pytest.fixture
def practice(authority: Authority, cards: tuple[SoftwareSigner, RSAPrivateKey, bytes]) -> Practice:
    """A practice whose numbers start anew."""
    return Practice(authority, *cards)


@pytest.fixture(scope="session")
def present(tmp_path_factory: pytest.TempPathFactory) -> Practice:
    """A practice of today, with its own authority: for receivers that run as programs."""
    now = datetime.now(UTC).replace(microsecond=0)
    authority = Authority.create(tmp_path_factory.mktemp("present") / "authority", now)
    return Practice(authority, *make_cards(authority, now), now=now)


@pytest.fixture
def people() -> InsuredBase:
    """The caisse knows one person, with rights and no exemption."""
    rights = ((date(2020, 1, 1), date(2030, 12, 31)),)
    return InsuredBase([Insured(NIR, f"{BORN:%y%m%d}", rights, name="TEST", first_name="ANNE")])


@pytest.fixture
def build(tmp_path: Path, practice: Practice, people: InsuredBase) -> Iterator[Callable[..., Bench]]:
    """Makes benches: `build(faults=…, people=…, policy=…, …)`, each closed at the end."""
    benches: list[Bench] = []

    def make(
        *,
        people: InsuredBase = people,
        practitioners: dict[str, tuple[Practitioner, ...]] | None = None,
        **changes: object,
    ) -> Bench:
        state, clock = tmp_path / f"state{len(benches)}", SimulatedClock(NOW)
        config = replace(
            ReceiverConfig(practice.authority.directory, state, tmp_path / "mail", clock=clock), **changes
        )
        practice.policy_name = config.policy
        known = {BILLING: (Practitioner(),)} if practitioners is None else practitioners
        bench = Bench(practice, assemble(config, people, known), clock, tmp_path / "mail")
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.parts.ledger.close()


@pytest.fixture
def bench(build: Callable[..., Bench]) -> Bench:
    """A receiver under the profile `modern`."""
    return build()
