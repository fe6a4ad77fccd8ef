"""What a payment return will need of an invoice, as bytes to seal: kept from reception to payment."""

from __future__ import annotations

import json
from datetime import date

from gateway.lots.fse import ActLine, FseView
from gateway.records.noemie_file import NoemieReject, PaidLine, Payment, Remark, Share
from tools.receiver.adjudication import PAID, REJECTED, Decision, birthday, day
from tools.receiver.codes import TEXTS
from tools.receiver.insured import InsuredBase
from tools.receiver.ledger import DueClaim

_NATURES = {"30": "AM", "41": "AT"}
_DEGRADED = 5


def encode_detail(view: FseView, decision: Decision) -> bytes:
    """The facts of one invoice; every name in it is needed by an entity of the return."""
    return json.dumps(
        {
            "type": "B" if view.mode == _DEGRADED else "F",
            "date": view.care_date,
            "nature": _NATURES.get(view.nature, "AS"),
            "person": (view.nir, view.nir_key, view.own_nir, view.own_key, view.birth_date, view.birth_rank),
            "third_party": view.third_party,
            "amo": view.amo_cents,
            "amc": view.amc_cents,
            "amc_number": view.complementary_number,
            "lines": [_line(line) for line in view.lines],
            "remarks": decision.remarks,
        },
        separators=(",", ":"),
    ).encode("ascii")


def _line(line: ActLine) -> tuple[object, ...]:
    return (
        line.date,
        line.code,
        line.quantity,
        int(line.coefficient * 100),
        line.unit_cents,
        line.base_cents,
        line.rate,
        line.amo_cents,
        line.amc_cents,
        line.charged_cents,
    )


def decode_payment(due: DueClaim, data: bytes, insured: InsuredBase) -> Payment:
    """The whole answer about one invoice: what was asked, what is paid, why not, what is signalled."""
    facts = json.loads(data)
    claim = due.claim
    nir, key, own_nir, own_key, birth, birth_rank = facts["person"]
    person = insured.find(nir, birth)
    rejected = claim.decision == REJECTED
    return Payment(
        invoice=claim.number,
        lot_number=due.lot_number,
        lot_date=date.fromisoformat(due.lot_date),
        invoice_type=facts["type"],
        date=day(facts["date"]),
        nature=facts["nature"],
        nir=nir,
        nir_key=key,
        amo=Share(facts["amo"], claim.amo_paid, claim.decision),
        amc=_amc(due, facts["amc"], facts["amc_number"], facts["third_party"] == "full"),
        lines=tuple(
            _paid_line(at, line, claim.decision == PAID, claim.amc_paid > 0)
            for at, line in enumerate(facts["lines"], 1)
        ),
        rejects=(NoemieReject(claim.code, TEXTS[claim.code]),) if rejected else (),
        remarks=tuple(Remark(code, TEXTS[code]) for code in facts["remarks"]) if not rejected else (),
        name=person.name if person else "",
        first_name=person.first_name if person else "",
        own_nir=own_nir,
        own_key=own_key,
        birth_date=birthday(birth, day(facts["date"])) if birth.strip("0 ") else None,
        birth_rank=birth_rank,
    )


def _amc(due: DueClaim, asked: int, number: str, is_full: bool) -> Share | None:
    if not asked or not is_full:
        return None
    return Share(asked, due.claim.amc_paid, due.claim.decision, number.strip())


def _paid_line(at: int, line: tuple[str | int, ...], is_paid: bool, is_amc_paid: bool) -> PaidLine:
    care, code, quantity, coefficient, unit, base, rate, amo, amc, charged = line
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
        amc_cents=int(amc) if is_amc_paid else 0,
    )
