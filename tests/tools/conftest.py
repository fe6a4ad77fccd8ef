"""A practice with software cards, and a receiver for it: real certificates, real signatures, no network."""

from __future__ import annotations

import hashlib
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
from gateway.lots.parties import InsuredIds, PractitionerIds
from gateway.lots.sealing import Envelope, Opened, SealedLot, open_sealed, seal, seal_content
from gateway.pki import Purpose
from gateway.records import b2, security
from tools.pki import Authority
from tools.receiver.config import ReceiverConfig
from tools.receiver.insured import Insured, InsuredBase
from tools.receiver.insurers import InsurerBase
from tools.receiver.service import Parts, assemble

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NIR = "2801962643002"
BORN = date(1980, 3, 1)
BILLING = "991000009"
NATIONAL_ID = "810009999996"
SERIAL = "80250000019900000001"
KINDS = {kind.NAME: kind for kind in (*b2.RECORDS, security.SecurityStart)}


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
        self, number: int, *, nir: str = NIR, mode: int = 3, complementary: str = "",
        where: tuple[str, str, str] = ("01", "349", "0349"), **changes: object,
    ) -> Fse:  # fmt: skip
        """A signed invoice; `where`: régime, caisse, centre; other `changes` go into the care request."""
        request = self.request(**changes)
        insured = InsuredIds(
            nir, f"{nir_key(nir):02d}", *where, BORN,
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

    def forged(self, fse: Fse, **changes: dict[str, object]) -> Fse:
        """The same invoice with fields changed, record by record (r2, r2S, r4, r5, r7H), signed again."""
        records = [fse.records[at : at + 128] for at in range(0, len(fse.records), 128)]
        signed = [self.changed(record, **changes) for record in records if record[10:11] not in b"VPK"]
        return self.signed(b"".join(signed), with_seal=fse.mode in (3, 4))

    @staticmethod
    def changed(record: bytes, **changes: dict[str, object]) -> bytes:
        """A record with the fields changed that are given for its kind."""
        name = (record[:1] + record[10:11]).decode().strip()
        kind = KINDS[name]
        return kind.encode(**kind.decode(record) | changes.get(f"r{name}", {}))

    def signed(self, records: bytes, *, with_seal: bool) -> Fse:
        """Records 2 to 7H with the seals of this practice's cards."""
        digest = hashlib.sha256(records).digest()
        pieces = b""
        if with_seal:
            pieces += security.split(self.vitale_key.sign(digest, PKCS1v15(), Prehashed(SHA256())), "V")
        pieces += security.split(self.cps.sign_digest(digest), "P")
        if with_seal:
            pieces += security.split(self.vitale_certificate, "K")
        return Fse.parse(records + pieces)

    def dre(self, number: int, *, complementary: str, **changes: object) -> Fse:
        """The demand to an insurer that goes with an invoice: its records, complementary amounts only."""
        asked = {"third_party": "full", "beneficiary": Beneficiary(BORN, complementary="tm100")}
        fse = self.fse(number, mode=1, complementary=complementary, **asked | changes)  # type: ignore[arg-type]
        base = sum(line.base_cents for line in fse.view().lines)
        return self.forged(
            fse,
            r4={"amo": 0},
            r5={"fees_amo": 0, "insured_share": base},
            r7H={"mode": 9, "centre": "", "organism": complementary[-3:]},
        )

    def numbers(self, at: int | None = None) -> LotNumbers:
        """Numbers for the next lot."""
        count = next(self.counter) if at is None else at
        return LotNumbers(count % 999 + 1, self.now.date(), f"{count:06d}", compostage(self.now, count))

    def lot(self, *fses: Fse, numbers: LotNumbers | None = None) -> Lot:
        """A signed lot of these invoices."""
        family = fses[0].invoice.mode.family
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
            recipient=lot.header.destination.address,
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

    def wrap(self, payload: bytes, **changes: object) -> bytes:
        """Any payload as a message of this practice, signed and sealed as a lot would be."""
        practice = self.practice
        lot = practice.lot(practice.fse(1))
        envelope = Envelope(
            sender="cabinet@practice.test",
            recipient="01349@349.01.rss.fr",
            sender_number=lot.header.sender,
            compostage=lot.header.numbers.compostage,
            count=1,
            description="SESAM/FSE/Z",
        )
        return seal_content(
            payload,
            replace(envelope, **changes),  # type: ignore[arg-type]
            recipient_certificate=practice.authority.receiver_keys().decryption.certificate,
            policy=policy_named("modern"),
            signer=practice.cps,
            rng=os.urandom,
            now=lot.header.created,
        )

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
        insurers: InsurerBase | None = None,
        **changes: object,
    ) -> Bench:
        state, clock = tmp_path / f"state{len(benches)}", SimulatedClock(NOW)
        config = replace(
            ReceiverConfig(practice.authority.directory, state, tmp_path / "mail", clock=clock), **changes
        )
        practice.policy_name = config.policy
        known = {BILLING: (Practitioner(),)} if practitioners is None else practitioners
        bench = Bench(practice, assemble(config, people, known, insurers), clock, config.maildir)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.parts.ledger.close()


@pytest.fixture
def bench(build: Callable[..., Bench]) -> Bench:
    """A receiver under the profile `modern`."""
    return build()
