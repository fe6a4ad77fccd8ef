"""The receiver without its network: one message in, one answer out, everything durable in between.

`examine` does all that needs no ledger (crypto, parsing, prices) and may run in any thread; `record` writes
a group of examined messages in ONE transaction {id, digest, claims, ARL, scheduled payment} and is called
by one writer. `handle` is both, for one message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.failpoint import failpoint
from gateway.lots.refusal import LotRefusal
from gateway.lots.verify import VerifiedLot
from gateway.pki import OppositionList
from gateway.records.arl import Arl
from tools.receiver.answers import Answer, LotKey
from tools.receiver.book import RELAYED, Book, Claim
from tools.receiver.checks import Subject, refusals
from tools.receiver.claims import Claims, Clerk, already_paid
from tools.receiver.faults import Faults
from tools.receiver.ledger import KnownLot, Ledger, LotRecord, Refusal
from tools.receiver.opening import Gate, Named, Opening, opaque
from tools.receiver.reply import Reply, Secretary, acknowledge
from tools.receiver.wrong import wrong_arl


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
    claims: Claims = field(default_factory=Claims)

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


class Receiver:
    """Opens, verifies, decides and records lots."""

    def __init__(
        self,
        *,
        gate: Gate,
        opposition: OppositionList | None,
        clerk: Clerk,
        secretary: Secretary,
        ledger: Ledger,
        clock: Clock,
        faults: Faults | None = None,
    ) -> None:
        self.ledger, self.faults = ledger, faults or Faults()
        self._gate, self.opposition, self._clerk = gate, opposition, clerk
        self._secretary, self._clock = secretary, clock
        self._shown = self.faults.clock(clock)

    def handle(self, raw: bytes) -> Answer:
        """Examine one message and record it in one transaction."""
        return self.record([self.examine(raw)])[0]

    # Without the ledger

    def examine(self, raw: bytes) -> Judged:
        """Open, verify, decide, and write the ARL this message deserves. Never raises on any bytes."""
        when = self._shown.now()
        opening = self._on_demand(raw, self._gate.open(raw, when))
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
        triples = zip(verified.fses, views, verified.lot.first_records, strict=True)
        asked = () if opening.refusal is None else (opening.refusal,)
        found = (*asked, *refusals([Subject(*three) for three in triples], self.opposition))
        if found:
            opening = replace(opening, reason=str(found[0]))
        arl = acknowledge(named, when, found)
        lot = self._lot(raw, named, verified, arl, when)
        claims = Claims() if found else self._clerk.claims(verified, views, when.timestamp())
        reply = self._secretary.arl(arl)
        return Judged(raw, message, when, opening, arl, reply, replace(lot, arl=reply.clear), claims)

    def _on_demand(self, raw: bytes, opening: Opening) -> Opening:
        """The fault `negative-arl`: a conform lot is refused, or its mail is said not to open."""
        fault = self.faults.take("negative-arl") if opening.verified is not None else None
        if fault is None:
            return opening
        code = "2003" if fault.value is None else f"{fault.value:04.0f}"
        refusal = LotRefusal(code, "refused on demand: the fault negative-arl is set")
        return opaque(raw, refusal) if refusal.error_class == "E" else replace(opening, refusal=refusal)

    def _refused(self, raw: bytes, message: bytes, when: datetime, opening: Opening) -> Judged:
        assert opening.refusal is not None
        if opening.named is None:
            return Judged(raw, message, when, opening, None, Reply(b"", b""))
        arl = acknowledge(opening.named, when, (opening.refusal,))
        return Judged(raw, message, when, opening, arl, self._secretary.arl(arl))

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
        lot, ledger = judged.lot, self.ledger
        if lot is None:
            return self._record_refusal(judged)
        known = ledger.find_lot(lot.key)
        if known is not None and known.digest == lot.digest:
            return self._again(lot.key, known)
        if (refusal := self._used_before(lot, known)) is not None:
            return self._other_content(judged, refusal)
        mail = ledger.keep_mail("arl", lot.key.sender, judged.reply.message)
        claims = self._settle(ledger.caisses, judged.claims.caisse)
        shares = self._settle(ledger.insurers, _still_due(judged.claims.insurers, claims))
        ledger.keep_lot(lot, claims, shares, mail)
        self._post(judged, mail)
        return judged.answer

    def _used_before(self, lot: LotRecord, known: KnownLot | None) -> LotRefusal | None:
        """A number of this lot that belongs to another one (billing facts 2, numbering)."""
        advice = "look for a second gateway with the same numbers"
        if known is not None:
            sentence = f"this file was already received with another content; {advice}"
            return LotRefusal("3003", sentence, record=1, position=50)
        if self.ledger.compostage_taken(lot.key):
            return LotRefusal("3005", f"this mail number was already used for another file; {advice}")
        if lot.positive and self.ledger.lot_number_taken(lot):
            sentence = f"a lot of this number and date was already received; {advice}"
            return LotRefusal("3004", sentence, record=2, position=20)
        return None

    def _again(self, key: LotKey, known: KnownLot) -> Answer:
        """The same lot once more: the stored ARL goes out again, byte for byte."""
        if known.message:
            self.ledger.post(known.mail, self._now())
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

    def _other_content(self, judged: Judged, refusal: LotRefusal) -> Answer:
        """A known id with other content: refused, alarmed, and the first lot stays as it is."""
        assert judged.opening.named is not None
        arl = acknowledge(judged.opening.named, judged.when, (refusal,))
        opening = replace(judged.opening, verified=None, refusal=refusal, reason=str(refusal))
        reply = self._secretary.arl(arl)
        refused = replace(judged, opening=opening, arl=arl, reply=reply, lot=None, claims=Claims())
        return replace(self._record_refusal(refused), alarm=True)

    def _record_refusal(self, judged: Judged) -> Answer:
        """A message that is no lot. The same bytes again get the same stored answer."""
        known = self.ledger.find_refusal(judged.message)
        if known is not None:
            message = b"" if known.mail is None else self.ledger.read_mail(known.mail)
            if known.mail is not None:
                self.ledger.post(known.mail, self._now())
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

    def _settle(self, book: Book, claims: Sequence[Claim]) -> list[Claim]:
        """Claims whose number this practitioner has used before become rejects: never paid twice.

        So do those that take the place of an invoice that was accepted: only what was refused is rectified.

        A share that the caisse hands on although its DRE came first is no demand of anybody: left out.
        """
        if not claims:
            return []
        known = book.known_numbers(claims[0].practitioner, [claim.number for claim in claims])
        replaced = [claim.rectifies for claim in claims if claim.rectifies]
        accepted = book.accepted_numbers(claims[0].practitioner, replaced) if replaced else set()
        settled = []
        for claim in claims:
            if claim.number not in known and claim.rectifies not in accepted:
                settled.append(claim)
            elif claim.origin != RELAYED:
                settled.append(already_paid(claim, self._clerk.payday.after(self._now())))
            known.add(claim.number)
        return settled

    def _post(self, judged: Judged, mail: int) -> None:
        """Put the ARL into the outbox, or what a fault makes of it."""
        at, faults = self._now(), self.faults
        if not judged.reply.message or faults.take("drop-arl"):
            return
        if judged.arl is not None and (wrong := wrong_arl(judged.arl, faults, self._secretary)):
            mail = self.ledger.keep_mail("arl", judged.arl.destination, wrong)
        at += faults.seconds("late-arl", 86_400.0)
        self.ledger.post(mail, at, copies=2 if faults.take("duplicate-arl") else 1)

    def _now(self) -> float:
        """The true moment: the outbox and the calendar know no shifted clock."""
        return self._clock.now().timestamp()


def _still_due(shares: Sequence[Claim], claims: Sequence[Claim]) -> Sequence[Claim]:
    """Nothing is handed on for an invoice that the caisse has just found to be a repeat."""
    repeated = {claim.number for claim in claims if not claim.first}
    return [share for share in shares if share.number not in repeated]
