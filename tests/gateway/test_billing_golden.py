"""Golden prices: each case cites the rule it stands for; amounts in cents."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gateway.billing.engine import Price, price
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables

TABLES = Tables.load()
ADULT, CHILD_5, CHILD_15 = date(1980, 5, 1), date(2021, 6, 1), date(2011, 6, 1)
GP = Practitioner("01", "1")
GP_FREE, GP_OPTAM = Practitioner("01", "3"), Practitioner("01", "3", optam=True)


def quote(*acts: Act | str, who: Practitioner = GP, born: date = ADULT, **other: Any) -> Price:
    """Price acts for an adult in 2026 unless told otherwise; rights and request fields by name."""
    mine = {key: other.pop(key) for key in list(other) if key in Beneficiary.__dataclass_fields__}
    lines = tuple(Act(act) if isinstance(act, str) else act for act in acts)
    day = other.pop("day", date(2026, 11, 20))
    return price(CareRequest(day, who, Beneficiary(born, **mine), lines, **other), TABLES)


# (case, act, practitioner, born, request fields) -> (base, amo, amc, patient at the desk, excess)
CASES: dict[str, tuple[Any, ...]] = {
    "G 30 EUR in pathway, nothing advanced: 70 % (convention 2024-2029; R160-5 3°)": (
        "G", GP, ADULT, {}, (3000, 2100, 0, 3000, 0)),
    "partial third-party payment: the patient pays the TM, 9.00 (msp-rillieux)": (
        "G", GP, ADULT, {"third_party": "amo"}, (3000, 2100, 0, 900, 0)),
    "full third-party payment with a contract on the TM": (
        "G", GP, ADULT, {"third_party": "full", "complementary": "tm100"}, (3000, 2100, 900, 0, 0)),
    "full asked without a contract: the TM stays with the patient": (
        "G", GP, ADULT, {"third_party": "full"}, (3000, 2100, 0, 900, 0)),
    "contract without third-party payment: paid back later, not at the desk": (
        "G", GP, ADULT, {"complementary": "tm100"}, (3000, 2100, 900, 3000, 0)),
    "out of pathway: 30 %, 9.00 (L162-5-3)": (
        "G", GP, ADULT, {"pathway": "S2"}, (3000, 900, 0, 3000, 0)),
    "out of pathway, no specific access": (
        "G", GP, ADULT, {"pathway": "S1", "third_party": "amo"}, (3000, 900, 0, 2100, 0)),
    "out of pathway under 16: the rule does not apply": (
        "G", GP, CHILD_15, {"pathway": "S2"}, (3000, 2100, 0, 3000, 0)),
    "out of pathway with a responsible contract: TM paid, increase never": (
        "G", GP, ADULT, {"pathway": "S2", "third_party": "full", "complementary": "tm100"},
        (3000, 900, 900, 1200, 0)),
    "out of pathway with ALD: the rule applies": (
        "G", GP, ADULT, {"pathway": "S2", "ald": True}, (3000, 900, 0, 2100, 0)),
    "out of pathway with CSS: the rule applies, CSS pays the TM": (
        "G", GP, ADULT, {"pathway": "S2", "css": True}, (3000, 900, 900, 1200, 0)),
    "out of pathway with AME: outside the rule": (
        "G", GP, ADULT, {"pathway": "S2", "ame": True}, (3000, 3000, 0, 0, 0)),
    "out of pathway after an accident at work: outside the rule": (
        "G", GP, ADULT, {"pathway": "S2", "nature": "at"}, (3000, 3000, 0, 0, 0)),
    "Alsace-Moselle: 90 %, 27.00": (
        "G", GP, ADULT, {"alsace_moselle": True}, (3000, 2700, 0, 3000, 0)),
    "Alsace-Moselle with a contract: the TM is 10 %": (
        "G", GP, ADULT, {"alsace_moselle": True, "third_party": "full", "complementary": "tm100"},
        (3000, 2700, 300, 0, 0)),
    "Alsace-Moselle out of pathway: common rate (unsettled)": (
        "G", GP, ADULT, {"alsace_moselle": True, "pathway": "S2"}, (3000, 900, 0, 3000, 0)),
    "ALD in relation: 30.00, third-party payment by law": (
        "G", GP, ADULT, {"ald": True}, (3000, 3000, 0, 0, 0)),
    "maternity from the 6th month: 100 % (L160-9)": (
        "G", GP, ADULT, {"nature": "maternite", "pregnancy_month": 6}, (3000, 3000, 0, 0, 0)),
    "maternity, 5th month: not yet": (
        "G", GP, ADULT, {"nature": "maternite", "pregnancy_month": 5}, (3000, 2100, 0, 3000, 0)),
    "6th month, whatever the declared nature": (
        "G", GP, ADULT, {"pregnancy_month": 9}, (3000, 3000, 0, 0, 0)),
    "declared maternity without a month": (
        "G", GP, ADULT, {"nature": "maternite"}, (3000, 3000, 0, 0, 0)),
    "accident at work: 100 %, no advance (L432-1)": (
        "G", GP, ADULT, {"nature": "at"}, (3000, 3000, 0, 0, 0)),
    "CSS: 100 %, nothing at the desk": (
        "G", GP, ADULT, {"css": True}, (3000, 3000, 0, 0, 0)),
    "AME: 100 %, nothing at the desk": (
        "G", GP, ADULT, {"ame": True}, (3000, 3000, 0, 0, 0)),
    "ASPA: 80 %": (
        "G", GP, ADULT, {"aspa": True, "third_party": "amo"}, (3000, 2400, 0, 600, 0)),
    "ASPA in Alsace-Moselle: the better rate": (
        "G", GP, ADULT, {"aspa": True, "alsace_moselle": True}, (3000, 2700, 0, 3000, 0)),
    "sector 2 without OPTAM charging 50: base 23, excess 27.00": (
        Act("G", charged_cents=5000), GP_FREE, ADULT, {}, (2300, 1610, 0, 5000, 2700)),
    "permanent excess (convention 2) charging 50: as sector 2": (
        Act("G", charged_cents=5000), Practitioner("01", "2"), ADULT, {}, (2300, 1610, 0, 5000, 2700)),
    "sector 2 with OPTAM charging 50: opposable base": (
        Act("G", charged_cents=5000), GP_OPTAM, ADULT, {}, (3000, 2100, 0, 5000, 2000)),
    "sector 2 without OPTAM charging the opposable tariff: base 30": (
        Act("G", charged_cents=3000), GP_FREE, ADULT, {}, (3000, 2100, 0, 3000, 0)),
    "sector 2 without OPTAM, one cent above": (
        Act("G", charged_cents=3001), GP_FREE, ADULT, {}, (2300, 1610, 0, 3001, 701)),
    "excess and contract: tm100 pays no excess": (
        Act("G", charged_cents=5000), GP_FREE, ADULT, {"third_party": "full", "complementary": "tm100"},
        (2300, 1610, 690, 2700, 2700)),
    "excess with ALD: AMO never pays it": (
        Act("G", charged_cents=5000), GP_OPTAM, ADULT, {"ald": True}, (3000, 3000, 0, 2000, 2000)),
    "sector 1, particular demand of the patient": (
        Act("G", charged_cents=3500), GP, ADULT, {}, (3000, 2100, 0, 3500, 500)),
    "charged less than the tariff: reimbursed on what was spent": (
        Act("G", charged_cents=2000), GP, ADULT, {"third_party": "amo"}, (2000, 1400, 0, 600, 0)),
    "free act": (
        Act("G", charged_cents=0), GP, ADULT, {}, (0, 0, 0, 0, 0)),
    "centre de santé (convention 9): opposable": (
        "GS", Practitioner("22", "9"), ADULT, {}, (3000, 2100, 0, 3000, 0)),
    "C stays at 23": ("C", GP, ADULT, {}, (2300, 1610, 0, 2300, 0)),
    "VG 30 at home": ("VG", GP, ADULT, {}, (3000, 2100, 0, 3000, 0)),
    "CS of a specialist: 26.50 since 22 December 2024, its MPC within (fmfpro)": (
        "CS", Practitioner("03", "1"), ADULT, {}, (2650, 1855, 0, 2650, 0)),
    "APC 60": ("APC", Practitioner("03", "1"), ADULT, {}, (6000, 4200, 0, 6000, 0)),
    "TCG 25, not raised in December 2024": ("TCG", GP, ADULT, {}, (2500, 1750, 0, 2500, 0)),
    "AMI 4: 3.15 x 4 = 12.60 at 60 %": (
        Act("AMI", coefficient=Decimal(4)), Practitioner("24", "1"), ADULT, {},
        (1260, 756, 0, 1260, 0)),
    "AMI 1.5: 4.725 rounds half-up to 4.73": (
        Act("AMI", coefficient=Decimal("1.5")), Practitioner("24", "1"), ADULT, {},
        (473, 284, 0, 473, 0)),
    "two consultations on one line": (Act("G", quantity=2), GP, ADULT, {}, (6000, 4200, 0, 6000, 0)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_golden_amounts(case: tuple[Any, ...]) -> None:
    """Each rule gives exactly the amounts worked out by hand."""
    act, who, born, fields, expected = case
    got = quote(act, who=who, born=born, **fields)
    assert (got.base_cents, got.amo_cents, got.amc_cents, got.patient_cents, got.excess_cents) == expected


@pytest.mark.parametrize("letter", ["T", "N", "R", "O", "M", "U", "H", "J", "B", "D"])
def test_every_other_letter_keeps_the_normal_rate(letter: str) -> None:
    """Médecin traitant, substitute, emergency, away from home, direct access…: 70 %."""
    assert quote("G", pathway=letter).amo_cents == 2100


@pytest.mark.parametrize(
    ("day", "cents"),
    [
        (date(2017, 5, 1), 2500),
        (date(2023, 10, 31), 2500),
        (date(2023, 11, 1), 2650),
        (date(2024, 12, 21), 2650),
        (date(2024, 12, 22), 3000),
        (date(2026, 11, 22), 3000),
    ],
)
def test_tariff_of_the_day_of_care(day: date, cents: int) -> None:
    """G follows its dated rows: 25, then 26.50, then 30 EUR, on the first and the last day of each."""
    assert quote("G", day=day).base_cents == cents


@pytest.mark.parametrize(
    ("born", "amo"), [(date(2010, 11, 20), 900), (date(2010, 11, 21), 2100), (date(2012, 2, 29), 2100)]
)
def test_sixteenth_birthday(born: date, amo: int) -> None:
    """The out-of-pathway rule starts on the very day of the sixteenth birthday."""
    assert quote("G", born=born, pathway="S2").amo_cents == amo


def test_child_majoration_makes_35() -> None:
    """G + MEG of a child under 6 is 35.00, 24.50 of it paid by AMO (NGAP)."""
    got = quote("G", "MEG", born=CHILD_5)
    assert (got.charged_cents, got.amo_cents, len(got.lines)) == (3500, 2450, 2)


def test_home_visit_makes_40() -> None:
    """VG + MD is 40.00 (msp-rillieux)."""
    assert quote("VG", "MD").charged_cents == 4000


def test_emergency_sunday() -> None:
    """Since 22 December 2024 the Sunday majoration goes with urgent care only (egora): 30.00 + 19.06."""
    assert quote("G", "F", pathway="U").charged_cents == 4906
    assert quote("G", "F", day=date(2024, 12, 15)).charged_cents == 2650 + 1906


@pytest.mark.parametrize(
    ("fields", "nature", "exemption"),
    [
        ({}, "10", "0"),
        ({"alsace_moselle": True}, "13", "0"),
        ({"nature": "maternite", "pregnancy_month": 7}, "30", "3"),
        ({"nature": "at"}, "41", "0"),
        ({"nature": "at", "alsace_moselle": True}, "41", "0"),
        ({"ald": True}, "10", "4"),
        ({"ald": True, "alsace_moselle": True}, "13", "4"),
        ({"ald": True, "pathway": "S2"}, "10", "0"),
        ({"css": True}, "10", "5"),
        ({"aspa": True}, "10", "9"),
    ],
)
def test_nature_and_exemption_codes(fields: dict[str, Any], nature: str, exemption: str) -> None:
    """B2 type 2 positions 77-78 and 79 follow from the right that made the rate."""
    got = quote("G", **fields)
    assert (got.nature_code, got.exemption_code) == (nature, exemption)


@pytest.mark.parametrize(
    ("fields", "done"),
    [
        ({}, "none"),
        ({"third_party": "amo"}, "amo"),
        ({"ald": True}, "amo"),
        ({"ald": True, "third_party": "full"}, "full"),
        ({"css": True}, "full"),
        ({"ame": True}, "full"),
        ({"nature": "at"}, "amo"),
        ({"pregnancy_month": 6}, "amo"),
        ({"aspa": True}, "none"),
    ],
)
def test_third_party_payment_by_law(fields: dict[str, Any], done: str) -> None:
    """CSS, AME, accident, ALD and maternity oblige to third-party payment; the price says what is done."""
    assert quote("G", **fields).third_party == done


def test_why_explains_every_amount() -> None:
    """The trace is one plain line per amount, with rate, source and third-party payment."""
    got = quote(Act("G", charged_cents=5000), who=GP_FREE, complementary="tm100", third_party="full")
    text = "\n".join(got.why)
    for piece in (
        "base 23.00",
        "excess 27.00",
        "rate 70 %",
        "= 16.10",
        "= 6.90",
        "Patient pays 27.00 EUR of 50.00",
    ):
        assert piece in text
    assert "due by law" in "\n".join(quote("G", ald=True).why)
    assert "particular demand" in "\n".join(quote(Act("G", charged_cents=3500)).why)


def test_json_form() -> None:
    """The JSON of a price has the agreed keys and sums."""
    got = quote("G", "MEG", born=CHILD_5, third_party="amo").to_json()
    assert list(got) == [
        "base_cents", "amo_cents", "amc_cents", "patient_cents", "excess_cents", "lines", "why",
    ]  # fmt: skip
    assert got["patient_cents"] == 1050
    assert [line["code"] for line in got["lines"]] == ["G", "MEG"]
