"""The other side of a year: one receiver that stands for every caisse and insurer, on the simulated clock.

It is the bench's own receiver, message by message; lots reach it in process. Each month it is opened anew
with fresh lists, as a service is. What its files say of people is here: not always what their cards say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from card.layout import ssv
from card.profile import AmcEntry, Person
from gateway.billing.request import Practitioner
from gateway.lots.organism import Organism
from gateway.records.noemie_file import NoemieReturn
from tools.bench import Bench
from tools.receiver.config import ReceiverConfig
from tools.receiver.core import Judged
from tools.receiver.insured import Insured, InsuredBase, Period
from tools.receiver.insurers import Contract, InsurerBase, insurer_number
from tools.receiver.paper import PaperSheet
from tools.receiver.population import known_practitioners
from tools.receiver.service import Parts, assemble
from tools.scenario import people as trouble
from tools.scenario.people import ELSEWHERE, Patient
from tools.scenario.post import Arrived

LISTS = timedelta(days=36)
_LONG = (date(2023, 1, 1), date(2031, 12, 31))


@dataclass(frozen=True)
class Share:
    """An insurer's answer on one share: the sheet's number, a code when refused, cents when paid."""

    number: int
    code: str
    to_insured: bool
    cents: int


class National:
    """Receives, pays and delivers; `taken` are the lots it accepted and nobody has booked yet."""

    def __init__(self, bench: Bench, directory: Path, people: Sequence[Patient]) -> None:
        self._bench, self._directory = bench, directory
        self.insured = InsuredBase(_insured(one, person) for one in people for person in one.profile.people)
        self.insurers = InsurerBase(contract for one in people for contract in _contracts(one))
        self.practitioners: dict[str, tuple[Practitioner, ...]] = known_practitioners()
        self.taken: list[Judged] = []
        self.refused: list[str] = []
        self.on_purpose, self._refuse_next = 0, False
        self._parts = self._assembled(())

    def _assembled(self, faults: Sequence[str]) -> Parts:
        bench = self._bench
        config = ReceiverConfig(
            authority=bench.directory("authority"),
            state=bench.directory("receiver"),
            maildir=bench.directory("elsewhere"),
            policy=bench.policy,
            practice="elsewhere",
            faults=faults,
            directory=self._directory,
            opposition=bench.opposition_file,
            clock=bench.clock,
            say=lambda _text: None,
        )
        return assemble(config, self.insured, self.practitioners, self.insurers)

    def reopen(self, faults: Sequence[str] = ()) -> None:
        """Stop and start again: fresh lists, and these faults."""
        self._parts.ledger.close()
        self._parts = self._assembled(faults)

    def close(self) -> None:
        """Close the ledger."""
        self._parts.ledger.close()

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """The relay: the receiver has the lot at once (it is a `gateway.delivery.Sender`)."""
        receiver = self._parts.receiver
        judged = receiver.examine(raw)
        if self._refuse_next and self._is_plain(judged):
            self._refuse_next = False
            self.on_purpose += 1
            self._parts.faults.add("negative-arl:1")
            judged = receiver.examine(raw)
            receiver.record([judged])
            return
        answer = receiver.record([judged])[0]
        if answer.positive and not answer.repeated:
            self.taken.append(judged)
        elif not answer.positive:
            self.refused.append(f"{answer.error_class}{answer.code} {answer.reason}")

    def refuse_one_lot(self) -> None:
        """The next lot of a caisse that is conform is refused all the same."""
        self._refuse_next = True

    def be_late_once(self, days: int) -> None:
        """The next payment return leaves some days late."""
        self._parts.faults.add(f"late-noemie={days * 86_400}:1")

    def _is_plain(self, judged: Judged) -> bool:
        """A lot of sheets to a caisse, none with a demand to an insurer beside it."""
        verified = judged.opening.verified
        if verified is None or not judged.claims.caisse:
            return False
        views = [fse.view() for fse in verified.fses]
        found = [
            self.insurers.find(insurer_number(one.complementary_number), one.nir, one.birth_date)
            for one in views
        ]
        return not any(
            contract is not None and contract.takes_dre(one.third_party)
            for one, contract in zip(views, found, strict=True)
        )

    def paper(self, sheet: PaperSheet) -> Arrived:
        """A sheet over the counter, as the caisse and the insurer have decided."""
        counter = self._parts.counter
        keyed = counter.receive(sheet)
        shares = self._parts.ledger.rows(
            "SELECT code, amc_paid FROM insurer_claim WHERE practitioner = ? AND number = ?",
            sheet.practitioner, keyed.number,
        )  # fmt: skip
        share_code, cents = shares[0] if shares else ("", 0)
        view = counter.read(replace(sheet, number=keyed.number))
        return Arrived(view, keyed.decision, keyed.code, int(cents), str(share_code))

    def pay(self) -> list[NoemieReturn]:
        """The payment returns that are due now."""
        return self._parts.paymaster.pay_due()

    def deliver(self) -> None:
        """ARL and returns reach the mailboxes."""
        self._parts.postman.deliver()

    def decisions(self, judged: Judged) -> list[tuple[int, str, str]]:
        """What the caisse decided of each invoice of a lot: number, decision and code."""
        rows = self._of_lot("claim", "c.number, c.decision, c.code", judged)
        return [(int(str(number)), str(decision), str(code)) for number, decision, code in rows]

    def shares(self, judged: Judged) -> list[Share]:
        """What the insurers decided of the shares that came with a lot."""
        rows = self._of_lot("insurer_claim", "c.number, c.code, c.payee = 'I', c.amc_paid", judged)
        return [
            Share(int(str(number)), str(code), bool(insured), int(str(cents)))
            for number, code, insured, cents in rows
        ]

    def _of_lot(self, book: str, columns: str, judged: Judged) -> list[tuple[object, ...]]:
        assert judged.lot is not None
        key = judged.lot.key
        query = (
            f"SELECT {columns} FROM {book} c JOIN lot ON lot.id = c.lot"  # noqa: S608
            " WHERE lot.sender = ? AND lot.compostage = ? AND lot.file_id = ? ORDER BY c.id"
        )
        return self._parts.ledger.rows(query, key.sender, key.compostage, key.file_id)

    def paid(self, book: str) -> Iterator[tuple[date, int]]:
        """What one party's claims were paid to professionals: the day and the cents of each return."""
        query = (
            f"SELECT n.created_at, sum(c.amo_paid + c.amc_paid) FROM {book} c"  # noqa: S608
            " JOIN noemie n ON n.id = c.noemie GROUP BY n.id ORDER BY n.id"
        )
        for at, cents in self._parts.ledger.rows(query):
            yield datetime.fromtimestamp(at, UTC).date(), int(cents)

    @property
    def waiting(self) -> int:
        """Claims whose return is still to come, of caisses and insurers, and mails that have not left."""
        [(mails,)] = self._parts.ledger.rows("SELECT count(*) FROM outbox WHERE delivered_at IS NULL")
        return int(mails) + sum(account.waiting for account in self._parts.ledger.accounts())


def publish_lists(bench: Bench) -> None:
    """Revocation lists as of now that hold for LISTS, so that a service may stay up for a month."""
    authority, now = bench.authority, bench.clock.now()
    issuers = {
        "root": authority.issuer.root,
        "cps": authority.issuer.cps,
        "facturation": authority.facturation,
    }
    for name, issuer in issuers.items():
        crl = issuer.crl(now - timedelta(hours=1), lifetime=LISTS, number=int(now.timestamp()))
        (authority.trust_directory / "crls" / f"{name}.crl").write_bytes(crl)


def _insured(patient: Patient, person: Person) -> Insured:
    """The caisse's own file of one beneficiary."""
    profile = patient.profile
    where = Organism.of_insured(profile.regime, profile.caisse, profile.centre)
    moved = patient.trouble == trouble.CAISSE_UNKNOWN
    return Insured(
        nir=profile.nir[:13],
        birth_date=f"{person.birth_date:%y%m%d}",
        rights=(_rights(patient),),
        exemptions=frozenset(_exemptions(patient, person)),
        alsace_moselle=any(cover.situation == ssv.SITUATION_ALSACE_MOSELLE for cover in person.coverage),
        name=person.name,
        first_name=person.first_name,
        organism=ELSEWHERE if moved else f"{where.regime}-{where.organism}",
    )


def _rights(patient: Patient) -> Period:
    if patient.trouble == trouble.CAISSE_CLOSED:
        return _LONG[0], patient.since - timedelta(days=1)
    return _LONG


def _exemptions(patient: Patient, person: Person) -> Iterator[str]:
    if any(cover.ald for cover in person.coverage) and patient.trouble != trouble.CAISSE_NO_ALD:
        yield "ald"
    if any(cover.situation == ssv.SITUATION_MATERNITY for cover in person.coverage):
        yield "maternity"
    if person.css is not None:
        yield "css"


def _contracts(patient: Patient) -> Iterator[Contract]:
    """The insurer's own file of the members: it hands back nothing to the card."""
    if patient.trouble == trouble.INSURER_UNKNOWN:
        return
    ended = patient.trouble == trouble.INSURER_CLOSED
    for person in patient.profile.people:
        cover = person.mutuelle or person.amc
        if cover is not None:
            yield Contract(
                insurer=insurer_number(cover.number),
                nir=patient.profile.nir[:13],
                birth_date=f"{person.birth_date:%y%m%d}",
                name=cover.contract,
                member=cover.member if isinstance(cover, AmcEntry) else "",
                periods=((_LONG[0], patient.since - timedelta(days=1) if ended else _LONG[1]),),
                linked=patient.trouble != trouble.INSURER_NOT_LINKED,
                treatment=cover.treatment if isinstance(cover, AmcEntry) else "",
                refuses=patient.trouble == trouble.INSURER_REFUSES,
            )
