"""What a payment return will need of an invoice, as bytes to seal: kept from reception to payment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.lots.fse import ActLine, FseView
from gateway.records.noemie_file import NoemieReject, PaidLine, Payment, Remark, Share
from tools.receiver.adjudication import AWAITED, PAID, REJECTED, Decision, birthday, copayment, day
from tools.receiver.book import (
    FROM_DRE,
    FROM_FSE,
    FROM_PAPER,
    RELAYED,
    RELAYED_PAPER,
    TO_CAISSES,
    DueClaim,
)
from tools.receiver.codes import TEXTS
from tools.receiver.insured import InsuredBase
from tools.receiver.insurers import insurer_number

_NATURES = {"30": "AM", "41": "AT"}
_DEGRADED = 5
_TYPES = {FROM_DRE: "D", RELAYED: "A", FROM_PAPER: "P", RELAYED_PAPER: "C"}
"""Entity 102, position 30, by how the claim came (billing facts 3)."""
_HANDED_ON = "PART COMPLEMENTAIRE TRANSMISE A L'ORGANISME {}"
_BY_DRE = "PART COMPLEMENTAIRE ATTENDUE PAR DRE"


def encode_detail(view: FseView, decision: Decision, origin: str, member: str = "") -> bytes:
    """The facts of one invoice; every name in it is needed by an entity of the return."""
    return json.dumps(
        {
            "type": _invoice_type(view, origin),
            "date": view.care_date,
            "nature": _NATURES.get(view.nature, "AS"),
            "person": (view.nir, view.nir_key, view.own_nir, view.own_key, view.birth_date, view.birth_rank),
            "third_party": view.third_party,
            "amo": view.amo_cents,
            "amc": view.amc_cents,
            "amc_number": insurer_number(view.complementary_number),
            "amc_state": decision.amc_state,
            "amc_code": decision.amc_code,
            "member": member,
            "line": decision.line,
            "lines": [_line(line) for line in view.lines],
            "local": decision.local,
            "remarks": decision.remarks,
        },
        separators=(",", ":"),
    ).encode("ascii")


def _invoice_type(view: FseView, origin: str) -> str:
    """Entity 102, position 30."""
    if origin == FROM_FSE:
        return "B" if view.mode == _DEGRADED else "F"
    return _TYPES[origin]


def _line(line: ActLine) -> tuple[object, ...]:
    return (
        line.date,
        line.b2_act,
        line.quantity,
        int(line.coefficient * 100),
        line.unit_cents,
        line.base_cents,
        line.rate,
        line.amo_cents,
        line.amc_cents,
        line.charged_cents,
        copayment(line),
    )


def decode_payment(due: DueClaim, data: bytes, insured: InsuredBase) -> Payment:
    """The whole answer about one invoice: what was asked, what is paid, why not, what is signalled."""
    facts = json.loads(data)
    claim, answer = due.claim, _Answer(due, facts)
    nir, key, own_nir, own_key, birth, birth_rank = facts["person"]
    person = insured.find(nir, birth)
    return Payment(
        invoice=claim.number,
        lot_number=due.lot_number,
        lot_date=date.fromisoformat(due.lot_date),
        invoice_type=facts["type"],
        date=day(facts["date"]),
        nature=facts["nature"],
        nir=nir,
        nir_key=key,
        amo=answer.amo,
        amc=answer.amc,
        lines=tuple(answer.lines()),
        rejects=tuple(answer.rejects()),
        remarks=() if answer.is_rejected else tuple(Remark(code, TEXTS[code]) for code in facts["remarks"]),
        comments=tuple(answer.comments()),
        name=person.name if person else "",
        first_name=person.first_name if person else "",
        own_nir=own_nir,
        own_key=own_key,
        birth_date=birthday(birth, day(facts["date"])) if birth.strip("0 ") else None,
        birth_rank=birth_rank,
    )


@dataclass(frozen=True)
class _Answer:
    """One payer's words about one invoice: a caisse speaks of both shares, an insurer of its own only."""

    due: DueClaim
    facts: dict[str, Any]

    @property
    def is_rejected(self) -> bool:
        return self.due.claim.decision == REJECTED

    @property
    def is_caisse(self) -> bool:
        return self.due.claim.origin in TO_CAISSES

    @property
    def amo(self) -> Share:
        claim = self.due.claim
        return Share(self.facts["amo"], claim.amo_paid, claim.decision) if self.is_caisse else Share(0, 0, "")

    @property
    def amc(self) -> Share | None:
        claim, asked = self.due.claim, self.facts["amc"]
        if not asked or self.facts["third_party"] != "full":
            return None
        state = claim.decision if self.is_rejected or not self.is_caisse else self.facts["amc_state"]
        member = "" if self.is_caisse else self.facts["member"]
        return Share(asked, claim.amc_paid, state, self.facts["amc_number"], member)

    def lines(self) -> Iterator[PaidLine]:
        """Entity 210 of each act: what this payer pays of it."""
        claim, local = self.due.claim, self.facts["local"]
        for at, line in enumerate(self.facts["lines"], 1):
            amo = self.is_caisse and claim.decision == PAID
            added = local[at - 1] if local and amo else (0, 0)
            yield _paid_line(at, line, is_paid=amo, is_amc_paid=claim.amc_paid > 0, local=added)

    def rejects(self) -> Iterator[NoemieReject]:
        """Entity 294: of the whole invoice or of one act; share C when only the complementary share is."""
        claim = self.due.claim
        line = self.facts["line"] if claim.first else 0
        if self.is_rejected:
            share, level = "O" if self.is_caisse else "C", "L" if line else "F"
            yield NoemieReject(claim.code, TEXTS[claim.code], level, share, **self._act(line))
        elif self.facts["amc_state"] == REJECTED:
            code = self.facts["amc_code"]
            yield NoemieReject(code, TEXTS[code], "F", "C")

    def _act(self, line: int) -> dict[str, Any]:
        """The act that a reject of level L names."""
        if not line:
            return {}
        when, code, *_ = self.facts["lines"][line - 1]
        executor = self.due.claim.practitioner
        return {"act": str(code)[:5], "line": line, "date": day(str(when)), "executor": executor}

    def comments(self) -> Iterator[str]:
        """Entity 295: where the complementary share went."""
        if self.is_rejected or not self.is_caisse or self.facts["amc_state"] != AWAITED:
            return
        number = self.facts["amc_number"]
        yield _HANDED_ON.format(number) if number else _BY_DRE


# INVENTED(noemie-210-local): 210 has the whole rate and amount, its local fields what the local scheme adds.
def _paid_line(
    at: int, line: tuple[str | int, ...], *, is_paid: bool, is_amc_paid: bool, local: tuple[int, int]
) -> PaidLine:
    care, code, quantity, coefficient, unit, base, rate, amo, amc, charged, left = line
    return PaidLine(
        line=at,
        care_date=day(str(care)),
        code=str(code)[:3],
        quantity=int(quantity),
        coefficient=int(coefficient),
        unit_cents=int(unit),
        base_cents=int(base),
        rate=int(rate),
        paid_cents=int(amo) if is_paid else 0,
        charged_cents=int(charged),
        local_rate=local[0],
        local_cents=local[1],
        amc_rate=_percent(int(amc), int(left)) if is_amc_paid else 0,
        amc_cents=int(amc) if is_amc_paid else 0,
        amc_base_cents=int(left) if is_amc_paid else 0,
    )


def _percent(part: int, whole: int) -> int:
    """A whole percentage, at most 999 (the field has three digits)."""
    return min(999, round(100 * part / whole)) if whole else 0
