"""From a message to a verified lot: the checks of the receiver, in their order (billing facts 10, item 11).

envelope → decrypt → gzip limit → records, counters, totals → certificate chain → opposition → signatures.
Until the signer is known every failure is the same refusal, whatever was wrong (promise A9): in `modern`
the signer is known once the SignedData stands, in `sesam` once the lot's own card signature stands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from gateway.cms.enveloped import DecryptionKey, recipient_of
from gateway.cms.policy import Policy
from gateway.errors import GatewayError, InputError
from gateway.exchange.message import Subject, parse
from gateway.lots.modes import DEGRADED, DESYNCHRONISED, DRE, SECURED, WITHOUT_VITALE, mode_of
from gateway.lots.organism import destination_of
from gateway.lots.refusal import LotRefusal
from gateway.lots.sealing import Opened, open_sealed
from gateway.lots.verify import VerifiedLot, verify_lot
from gateway.pki import Purpose, Trust, VitaleAuthority
from tools.receiver.outside import DESCRIPTIONS as OUTSIDE
from tools.receiver.outside import in_our_shape, open_outside
from tools.receiver.parties import Party

ENVELOPE_CODE = "1000"
_SHEETS = frozenset({mode_of(code).family for code in (SECURED, DESYNCHRONISED, WITHOUT_VITALE)})
_DEGRADED = frozenset({mode_of(DEGRADED).family})
DESCRIPTIONS = {
    "SESAM/FSE/Z": _SHEETS,
    "SESAMTEST/FSE/Z": _SHEETS,
    "SESAM/DRE/Z": frozenset({DRE}),
    "SESAMTEST/DRE/Z": frozenset({DRE}),
    **dict.fromkeys(OUTSIDE, _DEGRADED),
}
"""What a message may carry: the families of modes that its lot may be of."""
_FILE_ID = re.compile(rb"[0-9A-Z]{6}")
_SUBJECT = re.compile(rb"^Subject: ([!-~]+)\r\n", re.MULTILINE)
_HEAD = 4096
_NO_DATE = date(2000, 1, 1)


@dataclass(frozen=True)
class Named:
    """What an ARL names. Zeros where nothing could be read; `digest` is of the file, else of the message."""

    sender: str
    compostage: str
    digest: bytes
    file_id: str = "000000"
    lot_number: int = 0
    lot_date: date = _NO_DATE
    organism: str = ""
    invoices: int = 0


@dataclass(frozen=True)
class Opening:
    """The outcome: a verified lot, or a refusal. `named` is None when the message names no sender.

    `reason` is for the local log only; with class E it is the only place where the cause is said.
    """

    named: Named | None
    verified: VerifiedLot | None = field(default=None, repr=False)
    refusal: LotRefusal | None = None
    reason: str = ""


class Gate:
    """Opens messages under one policy, each with the key of who it is sealed to. Any thread may call it.

    The first party's key is tried on what names nobody known here.
    """

    def __init__(
        self, parties: Sequence[Party], policy: Policy, trust: Trust, vitale: VitaleAuthority, limit: int
    ) -> None:
        self._parties, self._policy, self._trust, self._vitale = tuple(parties), policy, trust, vitale
        self._by_name = {one.key.issuer_and_serial: one for one in self._parties}
        self._limit = limit

    def open(self, raw: bytes, when: datetime) -> Opening:
        """Never raises on any bytes."""
        try:
            party = self._addressee(raw)
            opened = self._unseal(raw, party.key, when)
        except Exception as error:
            return opaque(raw, error)
        try:
            return self._verify(raw, opened, party, when)
        except Exception as error:
            return opaque(raw, error)

    def _addressee(self, raw: bytes) -> Party:
        """Whose key the envelope names; with one key there is nothing to look up."""
        if len(self._parties) == 1:
            return self._parties[0]
        try:
            name = recipient_of(parse(raw).payload, self._policy)
        except GatewayError:
            return self._parties[0]
        return self._by_name.get(name, self._parties[0])

    def _unseal(self, raw: bytes, key: DecryptionKey, when: datetime) -> Opened:
        try:
            opened = open_sealed(
                raw,
                key=key,
                policy=self._policy,
                trust=self._trust,
                purpose=Purpose.CPS_SIGNATURE,
                when=when,
                limit=self._limit,
            )
        except LotRefusal:
            if self._policy.signed:
                raise
            opened = open_outside(raw, key, self._policy, self._limit)
        if opened.envelope.description not in DESCRIPTIONS:
            raise InputError("the message is opened, but what it carries is neither FSE, DRE nor B2")
        return opened

    def _verify(self, raw: bytes, opened: Opened, party: Party, when: datetime) -> Opening:
        named = _read_names(opened)
        try:
            degraded = DESCRIPTIONS[opened.envelope.description] == _DEGRADED
            payload = in_our_shape(opened.payload) if degraded else opened.payload
            verified = verify_lot(
                payload, self._trust, self._vitale, when, signer=opened.signer, degraded=degraded
            )
        except LotRefusal as refusal:
            if opened.signer is None and not _is_after_lot_signature(refusal):
                return opaque(raw, refusal)
            return Opening(named, refusal=refusal, reason=str(refusal))
        try:
            _agree(opened, verified)
            _is_for(party, named)
        except (
            LotRefusal
        ) as refusal:  # nobody signed the outside: it is the mail that is refused, not the file
            return opaque(raw, refusal)
        return Opening(named, verified)


def _is_for(party: Party, named: Named) -> None:
    """A party reads its own mail only: what is for another is as if it could not be opened."""
    if party.number not in ("", named.organism):
        raise LotRefusal("1000", "the lot is sealed to another organism or insurer than the one it is for")


def _is_after_lot_signature(refusal: LotRefusal) -> bool:
    """The verifier looks at an invoice's own signatures only when the lot's signature stands."""
    return refusal.error_class == "S" and refusal.invoice > 0


def opaque(raw: bytes, error: Exception) -> Opening:
    """One refusal for everything; the digest it names is that of the message, the sender's own input."""
    reason = getattr(error, "reason", "") or (
        str(error) if isinstance(error, GatewayError) else type(error).__name__
    )
    refusal = LotRefusal(ENVELOPE_CODE, "the message cannot be opened; seal the lot again and send it")
    subject = _read_subject(raw)
    if subject is None:
        return Opening(None, refusal=refusal, reason=reason)
    # INVENTED(arl-envelope-digest): an ARL of class E names the SHA-256 of the mail: the file was never seen.
    digest = hashlib.sha256(raw).digest()
    return Opening(Named(subject.sender, subject.compostage, digest), refusal=refusal, reason=reason)


def _read_subject(raw: bytes) -> Subject | None:
    """The Subject alone, whatever else is wrong with the message: what damage it has must not show."""
    match = _SUBJECT.search(raw[:_HEAD].partition(b"\r\n\r\n")[0] + b"\r\n")
    try:
        return None if match is None else Subject.parse(match[1].decode("ascii"))
    except (ValueError, InputError):
        return None


def _read_names(opened: Opened) -> Named:
    """File id, lot number and date as the file says them, for the ARL; zeros where they are not usable."""
    outside, payload = opened.envelope, opened.payload
    file_id, number = payload[49:55], payload[147:150]
    try:
        lot_date = datetime.strptime(payload[199:205].decode("ascii"), "%y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        lot_date = _NO_DATE
    return Named(
        sender=outside.sender_number,
        compostage=outside.compostage,
        digest=hashlib.sha256(payload).digest(),
        file_id=file_id.decode() if _FILE_ID.fullmatch(file_id) else "000000",
        lot_number=int(number) if number.isdigit() else 0,
        lot_date=lot_date,
        organism=_read_destination(payload[27:41]),
        invoices=outside.count,
    )


def _read_destination(field: bytes) -> str:
    """The fourteen digits of who the file is for; "" when they are nobody's."""
    try:
        return destination_of(field.decode("ascii")).number
    except (InputError, UnicodeDecodeError):
        return ""


def _agree(opened: Opened, verified: VerifiedLot) -> None:
    """Outside and inside tell one story: sender, signer, compostage and count (attacks L1 to L7)."""
    outside, lot = opened.envelope, verified.lot
    if lot.family not in DESCRIPTIONS[outside.description]:
        raise LotRefusal("4008", "the message announces one of FSE, DRE and B2, and brings another")
    if (
        outside.sender_number != verified.file.sender
        or lot.billing_number.rjust(14, "0") != outside.sender_number
    ):
        raise LotRefusal("5006", "the sender of the message is not the professional of the lot")
    if lot.compostage and lot.compostage != outside.compostage:
        raise LotRefusal("5006", "the lot was signed for another message: its compostage differs")
    if outside.count != len(verified.fses):
        raise LotRefusal("4003", "the subject announces another number of invoices than the lot holds")
