"""From verified invoices to claims: on the caisse, and on the complementary insurers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.billing.tables import Tables
from gateway.lots.fse import FseView
from gateway.lots.modes import DRE
from gateway.lots.organism import Complementary
from gateway.lots.verify import VerifiedLot
from tools.receiver import codes
from tools.receiver.adjudication import NOTHING, REJECTED, Adjudicator, Decision
from tools.receiver.book import (
    FROM_DRE,
    FROM_FSE,
    FROM_PAPER,
    ON_PAPER,
    RELAYED,
    RELAYED_PAPER,
    TO_CAISSES,
    TO_INSURED,
    TO_PROFESSIONAL,
    Claim,
)
from tools.receiver.detail import encode_detail
from tools.receiver.insurers import insurer_number
from tools.receiver.shares import ShareJudge
from tools.receiver.vault import Vault


@dataclass(frozen=True)
class Payday:
    """When a claim received now is paid: `days` of `day_seconds` later; paper and insurers take some more."""

    days: int
    day_seconds: float
    insurer_days: int = 2
    paper_days: int = 7

    def after(self, received: float, *, insurer: bool = False, paper: bool = False) -> float:
        """Seconds since the epoch."""
        days = (self.paper_days if paper else self.days) + (self.insurer_days if insurer else 0)
        return received + days * self.day_seconds


def claim_label(claim: Claim) -> bytes:
    """What binds a sealed detail to its claim."""
    return f"{claim.payer}/{claim.practitioner}/{claim.number}".encode("ascii")


@dataclass(frozen=True)
class Claims:
    """What one lot claims. The first group is the caisse's, the second the insurers'."""

    caisse: tuple[Claim, ...] = ()
    insurers: tuple[Claim, ...] = ()


class Clerk:
    """Has every invoice decided by who pays it. Stateless: any thread may call it."""

    def __init__(self, adjudicator: Adjudicator, judge: ShareJudge, vault: Vault, payday: Payday) -> None:
        self._adjudicator, self._judge, self._vault = adjudicator, judge, vault
        self.payday = payday

    def use(self, tables: Tables) -> None:
        """Decide by other dated tables from now on: a row was added while the receiver runs."""
        self._adjudicator = self._adjudicator.with_tables(tables)
        self._judge = self._judge.with_tables(tables)

    def claims(self, verified: VerifiedLot, views: Sequence[FseView], received: float) -> Claims:
        """The claims of a lot of FSE or of DRE."""
        records = verified.lot.first_records
        if verified.lot.family == DRE:
            pairs = zip(views, records, strict=True)
            return Claims(insurers=tuple(self._share(view, at, FROM_DRE, received) for view, at in pairs))
        caisse, insurers = [], []
        for view, record in zip(views, records, strict=True):
            decision = self._adjudicator.decide(view)
            caisse.append(self._of_caisse(view, record, decision, received))
            if self._judge.hands_on(view, decision.outcome):
                insurers.append(self._share(view, record, RELAYED, received))
        return Claims(tuple(caisse), tuple(insurers))

    def paper_claims(self, view: FseView, received: float) -> Claims:
        """The claims of one paper sheet: what the professional did not ask for is told the insured person."""
        decision = self._adjudicator.decide(view)
        claim = self._of_caisse(view, 0, decision, received, FROM_PAPER)
        if view.third_party == "none":
            claim = replace(claim, due_at=None)
        if not self._judge.hands_on(view, decision.outcome):
            return Claims((claim,))
        return Claims((claim,), (self._share(view, 0, RELAYED_PAPER, received),))

    def _of_caisse(
        self, view: FseView, record: int, decision: Decision, received: float, origin: str = FROM_FSE
    ) -> Claim:
        day = self.payday.after(received, paper=origin in ON_PAPER)
        direct = decision.outcome == NOTHING
        claim = _claim(view, record, view.destination.number, origin, decision, None if direct else day)
        return self._sealed(view, decision, replace(claim, insured_due_at=day if direct else None))

    def _share(self, view: FseView, record: int, origin: str, received: float) -> Claim:
        """A share paid to the insured person yields no line to the professional, whatever is decided."""
        decision = self._judge.decide(view, origin)
        payer = Complementary(insurer_number(view.complementary_number)).number
        day, direct = (
            self.payday.after(received, insurer=True, paper=origin in ON_PAPER),
            view.third_party != "full",
        )
        claim = _claim(view, record, payer, origin, decision, None if direct else day)
        insured = day if direct and decision.amc_paid else None
        return self._sealed(view, decision, replace(claim, insured_due_at=insured))

    def _sealed(self, view: FseView, decision: Decision, claim: Claim) -> Claim:
        contract = self._judge.contract(view)
        detail = encode_detail(view, decision, claim.origin, "" if contract is None else contract.member)
        return replace(claim, detail=self._vault.seal(detail, claim_label(claim)))


def _claim(
    view: FseView, record: int, payer: str, origin: str, decision: Decision, due: float | None
) -> Claim:
    is_full = origin in TO_CAISSES or view.third_party == "full"
    return Claim(
        record=record,
        payer=payer,
        origin=origin,
        payee=TO_PROFESSIONAL if is_full else TO_INSURED,
        practitioner=view.billing_number,
        number=view.number,
        first=True,
        decision=decision.outcome,
        code=decision.code,
        amo_paid=decision.amo_paid,
        amc_paid=decision.amc_paid,
        due_at=due,
        detail=b"",
        rectifies=view.rectifies,
    )


def already_paid(claim: Claim, due: float) -> Claim:
    """The claim of a number that was used before: a reject, returned even where nothing else would be."""
    when = due if claim.due_at is None else claim.due_at
    return replace(
        claim, first=False, decision=REJECTED, code=codes.ALREADY_PAID, amo_paid=0, amc_paid=0, due_at=when,
        insured_due_at=None,
    )  # fmt: skip
