"""The caisse computes every family of acts again from what B2 says, and finds what the practice found."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from gateway.billing.request import Act, Beneficiary, Practitioner
from gateway.billing.tables import Tables
from tools.receiver import codes
from tools.receiver.adjudication import PAID, REJECTED, Adjudicator
from tools.receiver.insured import Insured, InsuredBase

if TYPE_CHECKING:
    from conftest import Practice

TABLES = Tables.load()
NIR, BORN, BILLING = "2801962643002", date(1980, 3, 1), "991000009"  # those of the bench
ON_FILE = {"ald", "css"}
K65 = Act("K", coefficient=Decimal(65))
CASES: dict[str, tuple[str, tuple[Act, ...], dict[str, Any]]] = {
    "CCAM, association found by rule": ("03", (Act("AHQB025"), Act("AHQB027")), {}),
    "CCAM, association and modifier given": ("03", (Act("DEQP003", modifiers="F", association=2),), {}),
    "heavy act, flat-rate participation": ("04", (K65,), {}),
    "heavy act in Alsace-Moselle": ("04", (K65,), {"alsace_moselle": True}),
    "biology": ("30", (Act("0552"), Act("4103")), {}),
    "medicines": ("50", (Act("3400936485464", 2), Act("HD7", 2), Act("3400930168592"), Act("HD4")), {}),
    "medicine taken off the list": ("50", (Act("3400949444137"), Act("3400936485464")), {}),
    "prevention beside a long illness": ("01", (Act("CCP"), Act("DEQP003")), {"ald": True}),
    "complementary contract with excess": (
        "01",
        (Act("G", charged_cents=4000),),
        {"complementary": "excess100"},
    ),
    "CSS": ("19", (Act("HBLD038", charged_cents=25000),), {"css": True}),
    "days of a stay, coded in B2 record 3": ("99", (Act("PJ", 3, charged_cents=300_000),), {}),
}


def adjudicator(specialty: str, *, local: bool) -> Adjudicator:
    rights = ((date(2020, 1, 1), date(2030, 12, 31)),)
    person = Insured(NIR, f"{BORN:%y%m%d}", rights=rights, alsace_moselle=local)
    return Adjudicator(InsuredBase([person]), {BILLING: (Practitioner(specialty),)}, TABLES)


@pytest.mark.parametrize(("specialty", "acts", "rights"), CASES.values(), ids=CASES)
def test_the_caisse_agrees(
    practice: Practice, specialty: str, acts: tuple[Act, ...], rights: dict[str, Any]
) -> None:
    """A sheet of any family with third-party payment is paid the very AMO share that was billed."""
    born = date(2003, 3, 1) if acts[0].code == "CCP" else BORN
    fse = practice.fse(
        1, acts=acts, beneficiary=Beneficiary(born, **rights), practitioner=Practitioner(specialty)
    )
    view = replace(fse.view(), birth_date=f"{born:%y%m%d}")
    person = Insured(
        NIR, f"{born:%y%m%d}", rights=((date(2020, 1, 1), date(2030, 12, 31)),),
        exemptions=frozenset(ON_FILE & rights.keys()), alsace_moselle="alsace_moselle" in rights,
    )  # fmt: skip
    caisse = Adjudicator(InsuredBase([person]), {BILLING: (Practitioner(specialty),)}, TABLES)
    decision = caisse.decide(view)
    assert (decision.outcome, decision.code) == (PAID, "")
    assert decision.amo_paid == view.amo_cents


@pytest.mark.parametrize("cents", [1, -1])
def test_a_cent_of_a_heavy_act_is_seen(practice: Practice, cents: int) -> None:
    """The rate of 100 % does not open a door: a cent more or less than the computed AMO share is refused."""
    fse = practice.fse(1, acts=(K65,), beneficiary=Beneficiary(BORN), practitioner=Practitioner("04"))
    view = fse.view()
    caisse = adjudicator("04", local=False)
    assert caisse.decide(view).outcome == PAID
    line = replace(view.lines[0], amo_cents=view.lines[0].amo_cents + cents)
    decision = caisse.decide(replace(view, lines=(line,), amo_cents=view.amo_cents + cents))
    assert (decision.outcome, decision.code) == (REJECTED, codes.OTHER_AMOUNT)
