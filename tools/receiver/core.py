"""The receiver without its network: one message in, one answer out, everything durable in between.

`examine` does all that needs no ledger (crypto, parsing, prices) and may run in any thread; `record` writes
a group of examined messages in ONE transaction {id, digest, claims, ARL, scheduled payment} and is called
by one writer. `handle` is both, for one message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from card.layout.nir import nir_key
from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.failpoint import failpoint
from gateway.lots.fse import FseView
from gateway.lots.refusal import LotRefusal
from gateway.lots.verify import VerifiedLot
from gateway.pki import OppositionList
from gateway.records.arl import Arl
from tools.receiver import codes
from tools.receiver.adjudication import NOTHING, REJECTED, Adjudicator, Decision
from tools.receiver.answers import Answer, LotKey
from tools.receiver.detail import encode_detail
from tools.receiver.faults import Faults
from tools.receiver.ledger import Claim, KnownLot, Ledger, LotRecord, Refusal
from tools.receiver.opening import Gate, Named, Opening
from tools.receiver.reply import Reply, Secretary, acknowledge
from tools.receiver.vault import Vault


@dataclass(frozen=True)
class Judged:
    """A message examined: what it deserves if the ledger does not know it yet."""

    raw: bytes = field(repr=False)
    message: bytes = field(repr=False)
    when: datetime
    opening: Opening
    arl: Arl | None
    reply: Reply
    lot: LotRecord | None = None
    claims: tuple[Claim, ...] = ()

    @property
    def error(self) -> tuple[str, str]:
        """Class and code of the refusal; both empty for a positive ARL."""
        if self.arl is not None:
            return self.arl.error_class, self.arl.error_code
        refusal = self.opening.refusal
        return ("", "") if refusal is None else (refusal.error_class, refusal.error_code)

    @property
    def answer(self) -> Answer:
        """The answer to a message seen for the first time."""
        error_class, code = self.error
        return Answer(
            key=None if self.lot is None else self.lot.key,
            positive=self.arl is not None and self.arl.positive,
            error_class=error_class,
            code=code,
            arl=self.reply.clear,
            message=self.reply.message,
            reason=self.opening.reason,
            invoices=0 if self.arl is None else self.arl.invoices,
        )


@dataclass(frozen=True)
class Payday:
    """When a claim received now is returned: `days` of `day_seconds` later."""

    days: int
    day_seconds: float

    def after(self, received: float) -> float:
        """Seconds since the epoch."""
        return received + self.days * self.day_seconds


class Receiver:
    """Opens, verifies, decides and records lots."""

    def __init__(
        self,
        *,
        gate: Gate,
        opposition: OppositionList | None,
        adjudicator: Adjudicator,
        secretary: Secretary,
        ledger: Ledger,
        vault: Vault,
        clock: Clock,
        payday: Payday,
        faults: Faults | None = None,
    ) -> None:
        self.ledger, self.faults = ledger, faults or Faults()
        self._gate, self._opposition, self._adjudicator = gate, opposition, adjudicator
        self._secretary, self._vault, self._clock, self._payday = secretary, vault, clock, payday

    def handle(self, raw: bytes) -> Answer:
        """Examine one message and record it in one transaction."""
        return self.record([self.examine(raw)])[0]

    # Without the ledger

    def examine(self, raw: bytes) -> Judged:
        """Open, verify, decide, and write the ARL this message deserves. Never raises on any bytes."""
        when = self._clock.now()
        opening = self._gate.open(raw, when)
        message = hashlib.sha256(raw).digest()
        if opening.verified is None or opening.named is None:
            return self._refused(raw, message, when, opening)
        try:
            return self._judge(raw, message, when, opening)
        except (ValueError, ArithmeticError, LookupError, GatewayError) as error:
            reason = str(error) if isinstance(error, GatewayError) else type(error).__name__
            refusal = LotRefusal(
                "2003", "a field of an invoice is not usable; check the software that wrote it"
            )
            return self._refused(raw, message, when, replace(opening, refusal=refusal, reason=reason))

    def _judge(self, raw: bytes, message: bytes, when: datetime, opening: Opening) -> Judged:
        """The lot stands; now each invoice on its own."""
        verified, named = opening.verified, opening.named
        assert verified is not None
        assert named is not None
        views = [fse.view() for fse in verified.fses]
        refusals = tuple(self._invoice_refusals(verified, views))
        if refusals:
            opening = replace(opening, reason=str(refusals[0]))
        arl = acknowledge(named, when, refusals)
        lot = self._lot(raw, named, verified, arl, when)
        claims = () if refusals else self._claims(verified, views, when)
        reply = self._secretary.arl(arl)
        return Judged(raw, message, when, opening, arl, reply, replace(lot, arl=reply.clear), claims)

    def _refused(self, raw: bytes, message: bytes, when: datetime, opening: Opening) -> Judged:
        assert opening.refusal is not None
        if opening.named is None:
            return Judged(raw, message, when, opening, None, Reply(b"", b""))
        arl = acknowledge(opening.named, when, (opening.refusal,))
        return Judged(raw, message, when, opening, arl, self._secretary.arl(arl))

    def _invoice_refusals(self, verified: VerifiedLot, views: Sequence[FseView]) -> Iterable[LotRefusal]:
        """What makes a lot negative although its signatures stand: opposition, then keys of NIR."""
        if self.faults.take("negative-arl"):
            yield LotRefusal("2003", "refused on demand: the fault negative-arl is set")
        for view, record in zip(views, verified.lot.first_records, strict=True):
            serial = view.vitale_serial.strip()
            if serial and self._opposition is not None and self._opposition.lookup(serial) is not None:
                sentence = "the Vitale card is on the opposition list; make a degraded sheet"
                yield LotRefusal("6001", sentence, record=record, invoice=view.number)
            if f"{nir_key(view.nir):02d}" != view.nir_key:
                sentence = "the key of the insured person's number is wrong; read the card again"
                yield LotRefusal("2003", sentence, record=record, invoice=view.number, position=25)

    def _lot(self, raw: bytes, named: Named, verified: VerifiedLot, arl: Arl, when: datetime) -> LotRecord:
        return LotRecord(
            key=LotKey(named.sender, named.file_id, named.compostage),
            digest=named.digest,
            positive=arl.positive,
            error_class=arl.error_class,
            code=arl.error_code,
            practitioner=verified.lot.billing_number,
            organism=named.organism,
            number=named.lot_number,
            date=named.lot_date.isoformat(),
            invoices=len(verified.fses),
            received_at=when.timestamp(),
            content=raw,
            arl=b"",
        )

    def _claims(self, verified: VerifiedLot, views: Sequence[FseView], when: datetime) -> tuple[Claim, ...]:
        due = self._payday.after(when.timestamp())
        return tuple(
            self._claim(view, record, self._adjudicator.decide(view), due)
            for view, record in zip(views, verified.lot.first_records, strict=True)
        )

    def _claim(self, view: FseView, record: int, decision: Decision, due: float) -> Claim:
        sealed = self._vault.seal(
            encode_detail(view, decision), claim_label(view.billing_number, view.number)
        )
        return Claim(
            record=record,
            practitioner=view.billing_number,
            number=view.number,
            first=True,
            decision=decision.outcome,
            code=decision.code,
            amo_paid=decision.amo_paid,
            amc_paid=decision.amc_paid,
            due_at=None if decision.outcome == NOTHING else due,
            detail=sealed,
        )

    # With the ledger

    def record(self, batch: Sequence[Judged]) -> list[Answer]:
        """Record a group in one transaction; StoreError means that nothing of it was kept."""
        failpoint("receiver-record-before")
        with self.ledger.transaction():
            answers = [self._record(judged) for judged in batch]
            failpoint("receiver-record-inside")
        failpoint("receiver-record-after")
        return answers

    def _record(self, judged: Judged) -> Answer:
        lot = judged.lot
        if lot is None:
            return self._record_refusal(judged)
        known = self.ledger.find_lot(lot.key)
        if known is not None and known.digest == lot.digest:
            return self._again(lot.key, known, judged.when)
        if known is not None:
            return self._other_content(judged, "3003", "this file was already received with another content")
        if lot.positive and self.ledger.lot_number_taken(lot):
            return self._other_content(judged, "3003", "a lot of this number and date was already received")
        mail = self.ledger.keep_mail("arl", lot.key.sender, judged.reply.message)
        self.ledger.keep_lot(lot, self._settle(lot.practitioner, judged.claims), mail)
        self._post(judged, mail)
        return judged.answer

    def _again(self, key: LotKey, known: KnownLot, when: datetime) -> Answer:
        """The same lot once more: the stored ARL goes out again, byte for byte."""
        if known.message:
            self.ledger.post(known.mail, when.timestamp())
        return Answer(
            key=key,
            positive=known.positive,
            error_class=known.error_class,
            code=known.code,
            arl=known.arl,
            message=known.message,
            repeated=True,
            invoices=known.invoices,
        )

    def _other_content(self, judged: Judged, code: str, sentence: str) -> Answer:
        """A known id with other content: refused, alarmed, and the first lot stays as it is."""
        assert judged.opening.named is not None
        refusal = LotRefusal(code, f"{sentence}; look for a second gateway with the same numbers")
        arl = acknowledge(judged.opening.named, judged.when, (refusal,))
        opening = replace(judged.opening, verified=None, refusal=refusal, reason=str(refusal))
        refused = replace(
            judged, opening=opening, arl=arl, reply=self._secretary.arl(arl), lot=None, claims=()
        )
        return replace(self._record_refusal(refused), alarm=True)

    def _record_refusal(self, judged: Judged) -> Answer:
        """A message that is no lot. The same bytes again get the same stored answer."""
        known = self.ledger.find_refusal(judged.message)
        if known is not None:
            message = b"" if known.mail is None else self.ledger.read_mail(known.mail)
            if known.mail is not None:
                self.ledger.post(known.mail, judged.when.timestamp())
            return replace(judged.answer, arl=known.arl, message=message, repeated=True)
        answer, mail = judged.answer, None
        if answer.message and judged.opening.named is not None:
            mail = self.ledger.keep_mail("arl", judged.opening.named.sender, answer.message)
            self._post(judged, mail)
        at = judged.when.timestamp()
        subject = "" if judged.opening.named is None else judged.opening.named.compostage
        self.ledger.keep_refusal(
            Refusal(
                judged.message, at, subject, answer.error_class, answer.code, answer.reason, answer.arl, mail
            )
        )
        return answer

    def _settle(self, practitioner: str, claims: Sequence[Claim]) -> list[Claim]:
        """Claims whose number this practitioner has used before become rejects: never paid twice."""
        known = self.ledger.known_numbers(practitioner, [claim.number for claim in claims])
        settled = []
        for claim in claims:
            settled.append(
                _already_paid(claim, self._payday, self._clock) if claim.number in known else claim
            )
            known.add(claim.number)
        return settled

    def _post(self, judged: Judged, mail: int) -> None:
        """Put the ARL into the outbox, or what a fault makes of it."""
        at, faults = judged.when.timestamp(), self.faults
        if not judged.reply.message or faults.take("drop-arl"):
            return
        if judged.arl is not None and (wrong := _wrong_arl(judged.arl, faults)) is not None:
            mail = self.ledger.keep_mail("arl", judged.arl.destination, self._secretary.arl(wrong).message)
        self.ledger.post(mail, at, copies=2 if faults.take("duplicate-arl") else 1)


def claim_label(practitioner: str, number: int) -> bytes:
    """What binds a sealed detail to its claim."""
    return f"{practitioner}/{number}".encode("ascii")


def _already_paid(claim: Claim, payday: Payday, clock: Clock) -> Claim:
    due = claim.due_at if claim.due_at is not None else payday.after(clock.now().timestamp())
    return replace(
        claim, first=False, decision=REJECTED, code=codes.ALREADY_PAID, amo_paid=0, amc_paid=0, due_at=due
    )


def _wrong_arl(arl: Arl, faults: Faults) -> Arl | None:
    if faults.take("arl-wrong-digest"):
        return replace(arl, digest=hashlib.sha256(arl.digest).digest())
    if faults.take("arl-other-lot"):
        return replace(arl, lot_number=arl.lot_number % 999 + 1)
    return None
