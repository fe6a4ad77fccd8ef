"""The tariff of each act: which row prices it, whether it may be billed, and what it comes to.

Key letters: amount x coefficient x quantity. Coded biology: points x the letter. CCAM (decision of 18 July
2005, article III-3 B): tariff, raised by the modifiers in percent, x the share of its association, plus the
modifiers in euros; of two acts the dearer is paid in full and the other by half, unless codes say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gateway.billing.amounts import euros, half_up, scaled
from gateway.billing.case import Case
from gateway.billing.json_object import shown, shown_code
from gateway.billing.request import MAX_CENTS, Act
from gateway.billing.rows import ActRow, ModifierRow
from gateway.errors import InputError


@dataclass(frozen=True, slots=True)
class Tariff:
    """One act with its row: `unit_cents` before coefficient, `cents` the tariff of the whole line.

    `charged_cents` is what is asked for the line; `base_cents` what is reimbursed on: the tariff, never more
    than was charged. `how` continues the sentence on the base.
    """

    act: Act
    row: ActRow
    unit_cents: int
    coefficient: Decimal
    cents: int
    charged_cents: int
    base_cents: int
    association: int | None
    how: str


def tariffs(case: Case) -> list[Tariff]:
    """Every act of the request priced; raises InputError naming the act and the field at fault."""
    acts = case.request.acts
    rows = [_row(case, act, index) for index, act in enumerate(acts)]
    associations = _associations(case, rows)
    _one_urgency(case)
    return [
        _tariff(case, index, act, row, association)
        for index, (act, row, association) in enumerate(zip(acts, rows, associations, strict=True))
    ]


# -- the row of an act, and its conditions


def _row(case: Case, act: Act, index: int) -> ActRow:
    row = _find(case, act)
    if row is None:
        _check_specialty(case)
        raise InputError(f"acts[{index}].code: {_why_not(case, act)}")
    if act.coefficient != 1 and not row.scaled:
        raise InputError(f"acts[{index}].coefficient: {shown_code(act.code)} takes no coefficient; give 1.")
    if row.by_charge and act.charged_cents is None:
        raise InputError(f"acts[{index}].charged_cents: {act.code} has no tariff; give what is charged.")
    _check_patient(case, act, row, index)
    _check_company(case, act, row, index)
    _check_yearly(case, act, row, index)
    _check_modifiers(case, act, row, index)
    return row


def _find(case: Case, act: Act) -> ActRow | None:
    """The tariff `any`, or the opposable one unless more than it is charged at free fees."""
    found = case.day.act(act.code, case.request.practitioner.specialty, act.activity)
    row, free = found.get("any") or found.get("opposable"), found.get("free")
    if case.tariff != "free":
        return row
    if free is None or row is None or act.charged_cents is None:
        return row or free
    return free if act.charged_cents > scaled(row.cents or 0, act.coefficient, act.quantity) else row


def _check_specialty(case: Case) -> None:
    specialty = case.request.practitioner.specialty
    if not any(specialty in row.specialties for row in case.tables.acts):
        raise InputError(
            f"practitioner.specialty: {shown(specialty)} bills no act of the tables; give a code of G100."
        )


def _why_not(case: Case, act: Act) -> str:
    rows, practitioner = case.tables.rows_of(act.code), case.request.practitioner
    code = shown_code(act.code)
    if not rows:
        return f"{code} is not an act of the tables; check the code."
    if not any(practitioner.specialty in row.specialties for row in rows):
        return f"{code} is not billed by specialty {practitioner.specialty}; check the code."
    if not any(act.activity == row.activity for row in rows):
        return f"{code} has no activity {act.activity}; check the activity."
    if not any(practitioner.zone in row.zones for row in rows):
        return f"{code} has no tariff in zone {practitioner.zone}; add a dated row to the tables."
    if all(row.tariff == "free" for row in rows):
        return f"{code} is for practitioners with free fees outside OPTAM; check the code."
    first = min(row.since for row in rows if practitioner.zone in row.zones)
    return f"{code} is not valid on {case.request.date} (first tariff: {first}); check code and date."


def _check_patient(case: Case, act: Act, row: ActRow, index: int) -> None:
    if row.below_age is not None and case.age >= row.below_age:
        raise InputError(f"acts[{index}].code: {act.code} is for a patient under {row.below_age}; remove it.")
    if row.from_age is not None and case.age < row.from_age:
        raise InputError(
            f"acts[{index}].code: {act.code} is for a patient of {row.from_age} or more; remove it."
        )
    if row.pathways and case.request.pathway not in row.pathways:
        raise InputError(
            f"acts[{index}].code: {act.code} needs pathway {' or '.join(row.pathways)} on "
            f"{case.request.date}; remove it or correct the pathway."
        )


def _check_company(case: Case, act: Act, row: ActRow, index: int) -> None:
    if row.with_ and not any(other.code in row.with_ for other in case.request.acts):
        raise InputError(f"acts[{index}].code: {act.code} goes with one of {', '.join(row.with_)}; add it.")
    if row.alone and len(case.request.acts) > 1:
        raise InputError(
            f"acts[{index}].code: {act.code} is billed alone; put the other acts on a sheet of their own."
        )


def _check_yearly(case: Case, act: Act, row: ActRow, index: int) -> None:
    """At most so many a year for one patient, as far as the request says how many there were."""
    if row.yearly is None:
        return
    said = case.request.beneficiary.billed_this_year
    before = dict(said or ()).get(act.code, 0)
    if before + act.quantity > row.yearly:
        raise InputError(
            f"acts[{index}].quantity: {act.code} is billed at most {row.yearly} times a year for one patient "
            f"and {before} were billed before; remove it."
        )
    if said is None:
        case.why.append(
            f"{act.code}: at most {row.yearly} a year for one patient; how many were billed was not said."
        )


# -- CCAM: modifiers and associations


def _check_modifiers(case: Case, act: Act, row: ActRow, index: int) -> None:
    for letter in act.modifiers:
        if letter not in row.modifiers or letter not in case.day.modifiers:
            raise InputError(
                f"acts[{index}].modifiers: {letter} does not go with {act.code} on {case.request.date}; "
                "remove it, or add a dated row to the tables."
            )


def _one_urgency(case: Case) -> None:
    """Emergency modifiers exclude each other and are billed once by one practitioner."""
    modifiers = case.day.modifiers
    urgent = [letter for act in case.request.acts for letter in act.modifiers if modifiers[letter].urgent]
    if len(urgent) > 1:
        raise InputError(
            f"acts: {' and '.join(sorted(urgent))} are emergency modifiers, billed once on a sheet; keep one."
        )


def _associations(case: Case, rows: Sequence[ActRow]) -> list[int | None]:
    """The codes as given; without any, the general rule for two acts of a doctor: never their order."""
    acts = case.request.acts
    given = [act.association for act in acts]
    main = [
        index
        for index, (act, row) in enumerate(zip(acts, rows, strict=True))
        if act.is_ccam and row.family == "doctor" and not row.complement
    ]
    if len(main) < 2 or any(code is not None for code in given):
        return given
    if len(main) > 2:
        raise InputError(
            f"acts[{main[2]}].association: more than two CCAM acts at once; give the code of each of them."
        )
    first, second = sorted(
        main, key=lambda at: (-(rows[at].cents or 0), acts[at].code, -acts[at].quantity, repr(acts[at]))
    )
    given[first], given[second] = 1, 2
    return given


def _ccam_cents(case: Case, act: Act, unit: int, association: int | None, index: int) -> tuple[int, str]:
    """The tariff of one CCAM act, and the words for it."""
    added = [case.day.modifiers[letter] for letter in act.modifiers]
    tenths = sum(int(Decimal(row.percent) * 10) for row in added if row.percent)
    percent = _association_percent(case, association, index)
    flat = sum(row.cents or 0 for row in added)
    cents = half_up(unit * (1000 + tenths) * percent, 100_000) + flat
    words = "".join(_modifier_words(row) for row in added)
    if association is not None:
        words += f", association {association}: {percent} %"
    return cents, words


def _modifier_words(row: ModifierRow) -> str:
    return (
        f", + {row.percent} % ({row.letter})"
        if row.percent
        else f", + {euros(row.cents or 0)} ({row.letter})"
    )


def _association_percent(case: Case, association: int | None, index: int) -> int:
    if association is None:
        return 100
    row = case.day.associations.get(association)
    if row is None:
        raise InputError(
            f"acts[{index}].association: {association} means nothing on {case.request.date}; check it."
        )
    return row.percent


# -- the amount of a line


def _tariff(case: Case, index: int, act: Act, row: ActRow, association: int | None) -> Tariff:
    if row.by_charge:
        charged = act.charged_cents or 0
        unit = half_up(charged, act.quantity)
        how = _how(row, unit, act, "")
        return Tariff(act, row, unit, act.coefficient, charged, charged, charged, None, how)
    unit, coefficient, words = _unit(case, act, row, index)
    if act.is_ccam:
        one, added = _ccam_cents(case, act, unit, association, index)
        cents, words = one * act.quantity, words + added
    else:
        cents = scaled(unit, coefficient, act.quantity)
    if cents > MAX_CENTS:
        raise InputError(
            f"acts: {shown_code(act.code)} comes to {euros(cents)}, too much for one line; split it."
        )
    charged = cents if act.charged_cents is None else act.charged_cents
    _check_ceiling(act, row, charged, index)
    how = _how(row, unit, act, words, coefficient)
    return Tariff(act, row, unit, coefficient, cents, charged, min(cents, charged), association, how)


def _unit(case: Case, act: Act, row: ActRow, index: int) -> tuple[int, Decimal, str]:
    """Amount before the coefficient, the coefficient, and words on where the amount comes from."""
    if row.key_letter:
        letter = case.day.act(row.key_letter, case.request.practitioner.specialty).get("any")
        if letter is None or letter.cents is None:
            raise InputError(
                f"acts[{index}].code: no amount of the letter {row.key_letter} on {case.request.date}; "
                "add a dated row to the tables."
            )
        return letter.cents, Decimal(row.points or 0), f" ({row.key_letter}: {letter.source})"
    uplift = case.day.uplifts.get("ccam") if act.is_ccam else None
    cents = row.cents or 0
    if uplift is None:
        return cents, act.coefficient, ""
    return (
        half_up(cents * (100 + uplift.percent), 100),
        act.coefficient,
        f", + {uplift.percent} % of the zone",
    )


def _check_ceiling(act: Act, row: ActRow, charged: int, index: int) -> None:
    if row.most_cents is not None and charged > row.most_cents * act.quantity:
        raise InputError(
            f"acts[{index}].charged_cents: {shown_code(act.code)} may not be charged above "
            f"{euros(row.most_cents)} each; correct it."
        )


def _how(row: ActRow, unit: int, act: Act, words: str, coefficient: Decimal = Decimal(1)) -> str:
    scale = f" x {coefficient}" if coefficient != 1 else ""
    times = f" x {act.quantity}" if act.quantity != 1 else ""
    amount = "as charged" if row.by_charge else f"at {euros(unit)}{scale}{times}"
    return f"{row.label} {amount}{words} since {row.since} ({row.source})"
