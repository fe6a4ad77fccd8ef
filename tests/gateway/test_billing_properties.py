"""What must hold for every sheet: shares add up, none is negative, more rights never cost more."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.billing.engine import price, share
from gateway.billing.request import (
    NATURES,
    PATHWAYS,
    THIRD_PARTIES,
    Act,
    Beneficiary,
    CareRequest,
    Practitioner,
)
from gateway.billing.tables import Tables

TABLES = Tables.load()
QUICK = settings(max_examples=300, deadline=None)

days = st.dates(date(2020, 1, 1), date(2026, 11, 22))
amounts = st.none() | st.integers(0, 20_000)
main_acts = st.sampled_from(("G", "GS", "C", "V", "VG", "TCG"))
acts = st.lists(
    st.builds(Act, main_acts, st.integers(1, 3), st.just(Decimal(1)), amounts), min_size=1, max_size=4
)
people = st.builds(
    Beneficiary,
    birth_date=st.dates(date(1930, 1, 1), date(2020, 1, 1)),
    alsace_moselle=st.booleans(),
    ald=st.booleans(),
    css=st.booleans(),
    ame=st.booleans(),
    aspa=st.booleans(),
    pregnancy_month=st.none() | st.integers(1, 9),
    complementary=st.sampled_from((None, "tm100")),
)
requests = st.builds(
    CareRequest,
    days,
    st.builds(Practitioner, st.just("01"), st.sampled_from("1239"), st.booleans()),
    people,
    acts.map(tuple),
    st.sampled_from(PATHWAYS),
    st.sampled_from(NATURES),
    st.sampled_from(THIRD_PARTIES),
)


@QUICK
@given(requests)
def test_shares_add_up_to_the_charge(request: CareRequest) -> None:
    """On every line and in total: AMO + AMC + what remains = charged, base + excess = charged."""
    got = price(request, TABLES)
    for line in got.lines:
        assert line.base_cents + line.excess_cents == line.charged_cents
        assert line.amo_cents + line.amc_cents <= line.charged_cents
        spared = (line.amo_cents if got.third_party != "none" else 0) + (
            line.amc_cents if got.third_party == "full" else 0
        )
        assert line.patient_cents + spared == line.charged_cents
    for name in ("base", "amo", "amc", "patient", "excess", "charged"):
        assert getattr(got, f"{name}_cents") == sum(getattr(line, f"{name}_cents") for line in got.lines)
    assert got.amo_cents + got.amc_cents + got.remaining_cents == got.charged_cents


@QUICK
@given(requests)
def test_no_amount_is_negative(request: CareRequest) -> None:
    """No share is ever below zero, and AMO never pays more than the base."""
    for line in price(request, TABLES).lines:
        amounts_of_line = (
            line.base_cents,
            line.amo_cents,
            line.amc_cents,
            line.excess_cents,
            line.patient_cents,
        )
        assert min(amounts_of_line) >= 0
        assert line.amo_cents <= line.base_cents


RIGHTS: dict[str, object] = {
    "alsace_moselle": True,
    "ald": True,
    "css": True,
    "ame": True,
    "aspa": True,
    "pregnancy_month": 6,
    "complementary": "tm100",
}


@QUICK
@given(requests, st.sampled_from(sorted(RIGHTS)))
def test_a_right_more_never_costs_more(request: CareRequest, right: str) -> None:
    """Adding one right lowers or keeps what is paid at the desk and what finally remains."""
    plain = dataclasses.replace(request.beneficiary, **{right: None if RIGHTS[right] != True else False})  # noqa: E712
    if request.nature == "maternite" and right == "pregnancy_month":
        plain = dataclasses.replace(
            plain, pregnancy_month=5
        )  # no month is a declared maternity, a right already
    richer = dataclasses.replace(plain, **{right: RIGHTS[right]})
    less = price(dataclasses.replace(request, beneficiary=plain), TABLES)
    more = price(dataclasses.replace(request, beneficiary=richer), TABLES)
    assert more.patient_cents <= less.patient_cents
    assert more.remaining_cents <= less.remaining_cents


@QUICK
@given(requests)
def test_more_third_party_never_costs_more_at_the_desk(request: CareRequest) -> None:
    """none >= amo >= full at the desk; the shares themselves do not move."""
    prices = [price(dataclasses.replace(request, third_party=kind), TABLES) for kind in THIRD_PARTIES]
    assert prices[0].patient_cents >= prices[1].patient_cents >= prices[2].patient_cents
    assert len({(one.amo_cents, one.amc_cents) for one in prices}) == 1


@QUICK
@given(requests)
def test_the_pathway_never_costs_more_than_leaving_it(request: CareRequest) -> None:
    """Out of pathway AMO pays at most what it pays in pathway."""
    inside = price(dataclasses.replace(request, pathway="T"), TABLES)
    outside = price(dataclasses.replace(request, pathway="S2"), TABLES)
    assert outside.amo_cents <= inside.amo_cents


@QUICK
@given(requests)
def test_same_request_same_price(request: CareRequest) -> None:
    """Pricing has no memory: freshly loaded tables give the same price and the same words."""
    assert price(request, TABLES) == price(request, FRESH)


FRESH = Tables.load()


@QUICK
@given(requests)
def test_why_is_plain_lines(request: CareRequest) -> None:
    """Every reason is one line of text that ends like a sentence, two at least for each act."""
    got = price(request, TABLES)
    assert len(got.why) > 2 * len(got.lines)
    assert all("\n" not in line and line.endswith(".") for line in got.why)


@QUICK
@given(st.integers(0, 10**7), st.integers(0, 100))
def test_share_is_half_up(cents: int, percent: int) -> None:
    """The integer formula equals exact half-up rounding of the fraction."""
    exact = Fraction(cents * percent, 100)
    assert share(cents, percent) == int(exact + Fraction(1, 2))


def test_dental_golden_shares() -> None:
    """28.92 at 60 %: 17.35 and 11.57; at 70 %: 20.24 and 8.68; 16.13 at 70 %: 11.29."""
    assert (share(2892, 60), 2892 - share(2892, 60)) == (1735, 1157)
    assert (share(2892, 70), 2892 - share(2892, 70)) == (2024, 868)
    assert share(1613, 70) == 1129


@QUICK
@given(st.dates(date(2017, 5, 1), date(2035, 12, 31)))
def test_g_always_has_one_tariff(day: date) -> None:
    """There is no day without a tariff of G since 2017, and prices never fall from one day to the next."""
    request = CareRequest(day, Practitioner(), Beneficiary(date(1980, 1, 1)), (Act("G"),))
    after = dataclasses.replace(request, date=day + timedelta(days=1))
    assert price(request, TABLES).base_cents <= price(after, TABLES).base_cents
