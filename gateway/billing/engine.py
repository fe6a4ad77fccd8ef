"""What care costs and who pays, in exact cents: the order of computation; the figures are in the tables.

1 tariff of the act · 2 excess · 3 base · 4 rate: best of scheme and rights, or the out-of-pathway rate ·
5 AMO, less the flat-rate participation of heavy acts · 6 complementary · 7 patient · 8 sums, never rounded
again. Flat deductions of the insured (2 EUR a consultation …) are not on a sheet: the caisse takes them later
(`deductions.py`); the reasons only say so.
"""

# INVENTED(exemption-codes): one-digit codes as one public client shows them, the full list is not public.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.billing.amounts import age_on, euros, months_before, share
from gateway.billing.case import SCHEME_NAMES, Case
from gateway.billing.complementary import complementary
from gateway.billing.deductions import announced
from gateway.billing.json_object import shown_code
from gateway.billing.outcome import Price, PricedLine
from gateway.billing.request import CareRequest, check
from gateway.billing.rows import ActRow, HeavyRow, OutRow
from gateway.billing.tables import Tables
from gateway.billing.tariff import Tariff, tariffs
from gateway.errors import InputError

__all__ = ["Price", "PricedLine", "age_on", "price", "share"]


def price(request: CareRequest, tables: Tables) -> Price:
    """Price one sheet; raises InputError naming the field that cannot be priced."""
    check(request)
    case = Case(request, tables)
    found = tariffs(case)
    _refuse_forbidden_excess(case, found)
    third_party, by_law = case.third_party([one.row for one in found])
    rates = [_rate(case, one) for one in found]
    parts = _participation(case, found, rates)
    lines = tuple(
        _line(case, one, rate, part, third_party) for one, rate, part in zip(found, rates, parts, strict=True)
    )
    _explain_patient(case, lines, third_party, by_law)
    case.why.extend(announced(case, lines))
    return _summed(case, lines, third_party)


def _summed(case: Case, lines: tuple[PricedLine, ...], third_party: str) -> Price:
    return Price(
        base_cents=sum([line.base_cents for line in lines]),
        amo_cents=sum([line.amo_cents for line in lines]),
        amc_cents=sum([line.amc_cents for line in lines]),
        patient_cents=sum([line.patient_cents for line in lines]),
        excess_cents=sum([line.excess_cents for line in lines]),
        charged_cents=sum([line.charged_cents for line in lines]),
        lines=lines,
        why=tuple(case.why),
        nature_code=case.nature_code,
        exemption_code=next((line.exemption_code for line in lines if line.exemption_code != "0"), "0"),
        third_party=third_party,
    )


# -- the rate of one line


_STAY = "hospital"
"""The family of acts that record 3 of B2 is for."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What AMO pays of the base, in percent. `normal`: the rate the ticket modérateur is counted from.

    `reimbursed` is False when AMO pays nothing at all, and then no complementary insurer does.
    """

    percent: int
    normal: int
    exemption: str
    reason: str
    reimbursed: bool = True
    may_be_heavy: bool = False


def _rate(case: Case, one: Tariff) -> Rate:
    row, code = one.row, one.act.code
    if (withdrawn := case.day.withdrawals.get(code)) is not None:
        return _nothing(f"{withdrawn.label} since {withdrawn.since}: {withdrawn.source}")
    general = case.day.rates.get((row.family, "general"))
    if general is None:
        raise InputError(
            f"date: no rate for {row.family} acts on {case.request.date}; add a dated row to the tables."
        )
    scheme = case.day.rates.get((row.family, case.scheme), general)
    if scheme.fixed and scheme.percent == 0:
        return _nothing(f"{row.family} acts: {scheme.source}")
    out = case.out_row(row)
    if row.coordinated and (refusal := _not_coordinated(case, one, out)):
        return _nothing(refusal)
    if out is not None:
        return _out_rate(case, out, general.percent)
    reason = f"{row.family} acts, {SCHEME_NAMES[scheme.scheme]}: {scheme.source}"
    return _lifted(
        case, row, Rate(scheme.percent, scheme.percent, "0", reason, may_be_heavy=True), scheme.fixed
    )


def _nothing(reason: str) -> Rate:
    return Rate(0, 0, "0", f"not reimbursed, {reason}", reimbursed=False)


def _lifted(case: Case, row: ActRow, rate: Rate, fixed: bool) -> Rate:
    """The best rate among the scheme's and those of the rights that hold."""
    best = rate
    for right in () if fixed else case.rights_of(row):
        if right.percent > best.percent:
            reason = f"{right.label}: {right.source}"
            best = Rate(right.percent, right.percent, right.exemption_code, reason, True, right.percent < 100)
    return best


def _out_rate(case: Case, out: OutRow, normal: int) -> Rate:
    """Out of pathway: only the patient pays the increase, so the TM is counted from the normal rate."""
    reason = (
        f"instead of {normal} %, pathway {case.request.pathway} "
        f"is out of the coordinated pathway, {out.source}"
    )
    return Rate(min(out.percent, normal), normal, "0", reason)


def _not_coordinated(case: Case, one: Tariff, out: OutRow | None) -> str:
    """Why a teleconsultation is not reimbursed, "" when it is: pathway kept, patient seen not long ago."""
    row, request = one.row, case.request
    if out is not None:
        return f"{row.label} out of the coordinated pathway ({request.pathway}): {row.source}"
    if row.seen_within_months is None or request.pathway in row.seen_except or case.age < _FREE_BELOW:
        return ""
    earliest = months_before(request.date, row.seen_within_months)
    seen = request.beneficiary.last_seen
    if seen is None:
        case.why.append(
            f"{one.act.code}: on condition that the patient was seen since {earliest}, which was not said."
        )
        return ""
    return (
        "" if seen >= earliest else f"{row.label}, the patient was last seen before {earliest}: {row.source}"
    )


_FREE_BELOW = 16
"""Under 16 neither the pathway nor an earlier visit is asked for (CSS L162-5-3)."""


# -- the flat-rate participation of heavy acts


def _participation(case: Case, found: Sequence[Tariff], rates: Sequence[Rate]) -> list[int | None]:
    """For each line what the patient owes in place of the ticket modérateur; None where the rule is not met.

    It takes the place of a ticket modérateur that is higher, and is due once for all heavy acts of a sheet.
    """
    none: list[int | None] = [None] * len(found)
    rule = case.day.heavy
    if rule is None or not any(one.row.heavy for one in found):
        return none
    at = [index for index in _heavy(rule, found) if rates[index].may_be_heavy]
    copayment = sum(found[i].base_cents - share(found[i].base_cents, rates[i].percent) for i in at)
    owed = 0 if case.scheme in rule.paid_by_schemes else rule.cents
    if not at or copayment <= owed:
        return none
    parts, left = none, owed
    for index in sorted(at, key=lambda i: (-found[i].base_cents, found[i].act.code)):
        parts[index] = min(left, found[index].base_cents)
        left -= parts[index] or 0
    return parts


def _heavy(rule: HeavyRow, found: Sequence[Tariff]) -> list[int]:
    """The places of the heavy acts: tariffs, or coefficients, that reach the threshold alone or together."""
    together = [i for i, one in enumerate(found) if one.row.heavy == "together"]
    alone = [i for i, one in enumerate(found) if one.row.heavy == "alone"]
    points = sum(found[i].coefficient * found[i].act.quantity for i in together if found[i].row.heavy_points)
    heavy = [i for i in alone if found[i].base_cents >= rule.threshold_cents * found[i].act.quantity]
    if points >= rule.threshold_points or sum(found[i].base_cents for i in together) >= rule.threshold_cents:
        heavy += together
    return heavy


# -- the shares of one line


def _line(case: Case, one: Tariff, rate: Rate, part: int | None, third_party: str) -> PricedLine:
    """Shares of one act line; always amo + amc + what remains = charged, none negative."""
    base, excess = one.base_cents, one.charged_cents - one.base_cents
    _explain_base(case, one, base, excess)
    amo, percent = _amo(case, one, rate, part)
    normal = amo if part is not None else share(base, rate.normal)
    amc = complementary(case, one, amo, base - normal) if rate.reimbursed else 0
    spared = (amo if third_party != "none" else 0) + (amc if third_party == "full" else 0)
    act, row = one.act, one.row
    return PricedLine(
        act.code, act.quantity, one.coefficient, one.unit_cents, base, percent, amo, amc, one.charged_cents,
        excess, one.charged_cents - spared, rate.exemption, row.letters, act.activity, act.modifiers,
        one.association, part or 0, row.deduction, row.family == _STAY,
    )  # fmt: skip


def _amo(case: Case, one: Tariff, rate: Rate, part: int | None) -> tuple[int, int]:
    """The AMO share and the rate written for it; one reason for each."""
    code, base = one.act.code, one.base_cents
    if part is not None and case.day.heavy is not None:
        amo = base - part
        case.why.append(
            f"{code}: heavy act, AMO pays {euros(amo)} and leaves the flat-rate participation of "
            f"{euros(part)} ({case.day.heavy.source})."
        )
        return amo, 100
    amo = share(base, rate.percent)
    case.why.append(f"{code}: rate {rate.percent} % ({rate.reason}).")
    case.why.append(f"{code}: AMO pays {rate.percent} % of {euros(base)} = {euros(amo)}.")
    return amo, rate.percent


def _refuse_forbidden_excess(case: Case, found: Sequence[Tariff]) -> None:
    """Some majorations are not billed beside a free tariff with excess. Raises InputError."""
    if case.tariff != "free" or all(one.charged_cents <= one.cents for one in found):
        return
    for index, one in enumerate(found):
        if one.row.no_excess:
            raise InputError(
                f"acts[{index}].code: {shown_code(one.act.code)} is not billed together with an excess; "
                "remove it or charge the tariff."
            )


# -- reasons


def _explain_base(case: Case, one: Tariff, base: int, excess: int) -> None:
    case.why.append(f"{one.act.code}: base {euros(base)}, {one.how}.")
    if one.row.condition:
        case.why.append(f"{one.act.code}: on condition that {one.row.condition}.")
    if excess:
        case.why.append(
            f"{one.act.code}: excess {euros(excess)} above the base, never paid by AMO{_remark(case, one)}."
        )


_NO_EXCESS = ("css", "css_contribution", "css_insurer", "ame")
"""Rights with which an excess is lawful only for a demand of the patient."""


def _remark(case: Case, one: Tariff) -> str:
    if any(right.when in _NO_EXCESS for right in case.rights) and one.row.most_cents is None:
        return "; with CSS or AME it is lawful only for a particular demand of the patient"
    free = case.tariff == "free" or case.request.practitioner.optam or one.row.most_cents is not None
    return "" if free else "; sector 1: particular demand only"


def _explain_patient(case: Case, lines: Sequence[PricedLine], done: str, by_law: str) -> None:
    """What is paid at the desk, and who asked for the third-party payment."""
    charged = sum([line.charged_cents for line in lines])
    patient = sum([line.patient_cents for line in lines])
    how = f"third-party payment {done}" + (f", due by law: {by_law}" if by_law else "")
    case.why.append(f"Patient pays {euros(patient)} of {euros(charged)} at the desk ({how}).")
