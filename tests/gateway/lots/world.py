"""A practitioner, a Vitale card and their authorities, from fixed TEST-ONLY keys: always the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.billing.engine import Price, PricedLine
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.cms.enveloped import DecryptionKey
from gateway.cms.signed import SoftwareSigner
from gateway.lots.fse import Fse, FseDraft, encode_fse
from gateway.lots.lot import Lot, LotHeader, build_lot
from gateway.lots.numbering import LotNumbers
from gateway.lots.organism import Organism
from gateway.lots.parties import InsuredIds, PractitionerIds
from gateway.pki import Trust, VitaleAuthority

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "lots"
KEYS = VECTORS / "TEST-ONLY-keys"
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
BILLING, NATIONAL_ID, OTHER_ID = "991234564", "899900000012", "899900000020"
SERIAL = "80250000000000000017"
PRACTITIONER = PractitionerIds(BILLING, NATIONAL_ID, "DOCTEUR TEST UN")
INSURED = InsuredIds("2501962643002", "68", "01", "349", "0349", date(1950, 1, 31))
ORGANISM = Organism("01", "999", "349")


def read_hex(path: Path) -> bytes:
    """A binary vector, kept as lines of hexadecimal digits."""
    return bytes.fromhex(path.read_text("ascii"))


def write_hex(path: Path, data: bytes) -> None:
    """Keep a binary vector as lines of hexadecimal digits."""
    digits = data.hex().upper()
    lines = [digits[at : at + 96] for at in range(0, len(digits), 96)]
    path.write_text("\n".join([*lines, ""]), "ascii")


def priced(*, codes: tuple[str, ...] = ("G",), unit: int = 3000, third_party: str = "amo") -> Price:
    """A price of one line for each code: 70 % and a complementary share of the rest."""
    amo, amc = unit * 7 // 10, unit - unit * 7 // 10
    lines = tuple(
        PricedLine(code, 1, Decimal(1), unit, unit, 70, amo, amc, unit + 100, 100, 0, "0") for code in codes
    )
    count = len(codes)
    return Price(
        unit * count,
        amo * count,
        amc * count,
        0,
        100 * count,
        (unit + 100) * count,
        lines,
        (),
        "10",
        "0",
        third_party,
    )


@dataclass(frozen=True)
class World:
    """Signers and trust. `cps` signs as the practitioner, `other_cps` as somebody else with a good card."""

    trust: Trust
    vitale_authority: VitaleAuthority
    cps: SoftwareSigner
    other_cps: SoftwareSigner
    receiver: DecryptionKey
    vitale_key: RSAPrivateKey
    vitale_certificate: bytes

    @classmethod
    def load(cls) -> World:
        """From the committed test keys."""
        return cls(
            trust=Trust.load(KEYS / "trust"),
            vitale_authority=VitaleAuthority.load(KEYS / "trust"),
            cps=_signer("cps"),
            other_cps=_signer("other-cps"),
            receiver=DecryptionKey(_key("receiver"), read_hex(KEYS / "receiver.cert.der.hex")),
            vitale_key=_key("vitale"),
            vitale_certificate=read_hex(KEYS / "vitale.cert.7f21.hex"),
        )

    @cached_property
    def request(self) -> CareRequest:
        """A consultation the day before."""
        rights = Beneficiary(date(1950, 1, 31))
        return CareRequest(date(2026, 11, 19), Practitioner(), rights, (Act("G"),), third_party="amo")

    def draft(
        self,
        number: int = 1,
        *,
        price: Price | None = None,
        practitioner: PractitionerIds = PRACTITIONER,
        insured: InsuredIds = INSURED,
        mode: int = 3,
        pathway: str = "T",
    ) -> FseDraft:
        """An unsigned invoice."""
        return encode_fse(
            number,
            NOW,
            practitioner,
            insured,
            replace(self.request, pathway=pathway),
            price or priced(),
            mode=mode,
            vitale_serial=SERIAL if mode in (3, 4) else "",
            cps_serial="8025000000000042",
        )

    def seal(self, digest: bytes) -> bytes:
        """What the Vitale card answers."""
        return self.vitale_key.sign(digest, PKCS1v15(), Prehashed(SHA256()))

    def sealed(self, draft: FseDraft, cps: SoftwareSigner | None = None) -> Fse:
        """Both signatures, or those of the mode."""
        if draft.mode == 5:
            return draft.sealed()
        signature = (cps or self.cps).sign_digest(draft.digest)
        if draft.mode == 1:
            return draft.sealed(cps_signature=signature)
        return draft.sealed(self.seal(draft.digest), self.vitale_certificate, signature)

    def fse(self, number: int = 1, **changes: object) -> Fse:
        """A signed invoice."""
        return self.sealed(self.draft(number, **changes))  # type: ignore[arg-type]

    def lot(self, *fses: Fse, cps: SoftwareSigner | None = None, **changes: object) -> Lot:
        """A signed lot."""
        signer = cps or self.cps
        draft = build_lot(replace(header(), **changes), fses)  # type: ignore[arg-type]
        if draft.header.family == "degraded":
            return draft.signed()
        return draft.signed(signer.sign_digest(draft.digest), signer.certificate)


def header(lot_number: int = 7) -> LotHeader:
    """A lot of the practitioner for the test organism."""
    numbers = LotNumbers(lot_number, NOW.date(), f"{lot_number:06d}", f"20261120093000{lot_number:05d}")
    return LotHeader(BILLING, NATIONAL_ID, "Docteur Test Un", ORGANISM, numbers, NOW)


def seeded(size: int) -> bytes:
    """Bytes that look random and never change."""
    return b"".join(sha256(f"seed {n}".encode()).digest() for n in range(size // 32 + 1))[:size]


def _key(name: str) -> RSAPrivateKey:
    key = load_pem_private_key((KEYS / f"TEST-ONLY-{name}.key.pem").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def _signer(name: str) -> SoftwareSigner:
    return SoftwareSigner(_key(name), read_hex(KEYS / f"{name}.cert.der.hex"))
