"""What must hold for every act of the tables, of any family, zone and day, however it is asked."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.billing.deductions import Taken, deductions
from gateway.billing.engine import Price, price
from gateway.billing.request import (
    NATURES,
    PATHWAYS,
    THIRD_PARTIES,
    ZONES,
    Act,
    Beneficiary,
    CareRequest,
    Practitioner,
)
from gateway.billing.rows import ActRow
from gateway.billing.tables import Tables
from gateway.errors import InputError

TABLES = Tables.load()
SPECIALTIES = ("01", "03", "07", "12", "19", "21", "24", "26", "28", "30", "33", "34", "50", "51", "60")
CONTRACTS = (None, "tm100", "responsible", "excess100", "excess")
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
ROWS = {specialty: [row for row in TABLES.acts if specialty in row.specialties] for specialty in SPECIALTIES}


@st.composite
def acts_of(draw: st.DrawFn, specialty: str) -> tuple[Act, ...]:
    """One to four acts that this specialty may bill on some day, and what they must go with."""
    rows = draw(st.lists(st.sampled_from(ROWS[specialty]), min_size=1, max_size=4))
    acts = [draw(act_of(row)) for row in rows]
    wanted = {row.with_[0] for row in rows if row.with_} - {act.code for act in acts}
    return (*acts, *map(Act, sorted(wanted)))


@st.composite
def act_of(draw: st.DrawFn, row: ActRow) -> Act:
    charged = st.integers(0, 40_000)
    ccam = re.fullmatch(r"[A-Z]{4}[0-9]{3}", row.codes[0]) is not None
    return Act(
        draw(st.sampled_from(row.codes)),
        draw(st.integers(1, 3)),
        Decimal(draw(st.integers(1, 9000))) / 100 if row.scaled else Decimal(1),
        draw(charged if row.by_charge else st.none() | charged),
        modifiers=draw(st.sampled_from(("", *row.modifiers.replace("P", "").replace("S", "")))),
        association=draw(st.none() | st.integers(1, 5)) if ccam else None,
    )


@st.composite
def sheets(draw: st.DrawFn) -> CareRequest:
    """Requests of every kind; many of them cannot be billed, and are refused."""
    specialty = draw(st.sampled_from(SPECIALTIES))
    born = draw(st.dates(date(1930, 1, 1), date(2019, 1, 1)))
    rights = {name: draw(st.booleans()) for name in ("alsace_moselle", "ald", "css", "ame", "aspa")}
    return CareRequest(
        draw(st.dates(date(2019, 1, 1), date(2026, 12, 31))),
        Practitioner(
            specialty, draw(st.sampled_from("1239")), draw(st.booleans()), draw(st.sampled_from(ZONES))
        ),
        Beneficiary(
            born,
            draw(st.sampled_from(("01", "02", "10"))),
            **rights,
            pregnancy_month=draw(st.none() | st.integers(1, 9)),
            complementary=draw(st.sampled_from(CONTRACTS)),
            last_seen=draw(st.none() | st.dates(date(2017, 1, 1), date(2019, 1, 1))),
        ),
        draw(acts_of(specialty)),
        draw(st.sampled_from(PATHWAYS)),
        draw(st.sampled_from(NATURES)),
        draw(st.sampled_from(THIRD_PARTIES)),
    )


def priced(request: CareRequest) -> Price:
    """The price, or the example is dropped: what cannot be billed has no shares."""
    try:
        return price(request, TABLES)
    except InputError:
        assume(False)
        raise


@MANY
@given(sheets())
def test_shares_add_up_and_none_is_negative(request: CareRequest) -> None:
    """On every line AMO, AMC and the rest make the charge; nobody pays less than nothing or twice."""
    got = priced(request)
    for line in got.lines:
        assert line.base_cents + line.excess_cents == line.charged_cents
        rest = line.charged_cents - line.amo_cents - line.amc_cents
        assert min(line.base_cents, line.excess_cents, line.amo_cents, line.amc_cents, rest) >= 0
        assert line.amo_cents <= line.base_cents
        assert line.participation_cents <= line.base_cents - line.amo_cents
        assert line.patient_cents >= rest
    for name in ("base", "amo", "amc", "patient", "excess", "charged"):
        assert getattr(got, f"{name}_cents") == sum(getattr(line, f"{name}_cents") for line in got.lines)


AMOUNTS = {
    "base": re.compile(r"^\w+: base ([\d.]+) EUR"),
    "excess": re.compile(r"^\w+: excess ([\d.]+) EUR above"),
    "amo": re.compile(r"^\w+: (?:AMO pays .* = |heavy act, AMO pays )([\d.]+) EUR"),
    "amc": re.compile(r"^\w+: (?!AMO)\w+ pays .* = ([\d.]+) EUR\.$"),
    "patient": re.compile(r"^Patient pays ([\d.]+) EUR"),
}


@MANY
@given(sheets())
def test_every_cent_has_its_reason(request: CareRequest) -> None:
    """The amounts in the reasons, added up kind by kind, are the sums of the price."""
    got = priced(request)
    for name, pattern in AMOUNTS.items():
        found = [match[1] for reason in got.why if (match := pattern.match(reason))]
        assert sum(int(amount.replace(".", "")) for amount in found) == getattr(got, f"{name}_cents"), name
    assert all("\n" not in reason and reason.endswith(".") for reason in got.why)


RIGHTS: dict[str, tuple[object, object]] = {
    **dict.fromkeys(("alsace_moselle", "ald", "css", "ame", "aspa"), (False, True)),
    "pregnancy_month": (5, 6),
    "complementary": (None, "tm100"),
}


@MANY
@given(sheets(), st.sampled_from(sorted(RIGHTS)))
def test_a_right_more_never_costs_more(request: CareRequest, right: str) -> None:
    """With one right more nobody pays more at the desk, and nobody keeps more to pay in the end."""
    poorer, richer = (
        dataclasses.replace(request, beneficiary=dataclasses.replace(request.beneficiary, **{right: value}))
        for value in RIGHTS[right]
    )
    less, more = priced(poorer), priced(richer)
    assert more.patient_cents <= less.patient_cents
    assert more.remaining_cents <= less.remaining_cents


@MANY
@given(sheets())
def test_a_better_contract_never_costs_more(request: CareRequest) -> None:
    """Nothing, the ticket modérateur, a responsible contract; nothing, excess100, the whole excess."""
    for ladder in ((None, "tm100", "responsible"), (None, "tm100", "excess100", "excess")):
        remaining = [
            priced(
                dataclasses.replace(
                    request, beneficiary=dataclasses.replace(request.beneficiary, complementary=name)
                )
            ).remaining_cents
            for name in ladder
        ]
        assert remaining == sorted(remaining, reverse=True)


@MANY
@given(sheets(), st.randoms(use_true_random=False))
def test_the_order_of_acts_changes_nothing(request: CareRequest, chance: random.Random) -> None:
    """Shuffled acts have the same sums and the same lines in another order."""
    shuffled = list(request.acts)
    chance.shuffle(shuffled)
    one, two = priced(request), priced(dataclasses.replace(request, acts=tuple(shuffled)))
    for name in ("base", "amo", "amc", "patient", "excess", "charged"):
        assert getattr(one, f"{name}_cents") == getattr(two, f"{name}_cents")
    assert sorted(map(repr, one.lines)) == sorted(map(repr, two.lines))
    assert (one.nature_code, one.third_party) == (two.nature_code, two.third_party)


def test_of_the_same_act_twice_the_larger_line_is_the_first() -> None:
    """Two lines of one CCAM act: the one of quantity 2 is paid in full, wherever it stands."""
    once, twice = Act("AHQB027"), Act("AHQB027", 2)
    doctor = Practitioner(specialty="03", convention="1", optam=False, zone="metropole")
    request = CareRequest(date(2019, 1, 1), doctor, Beneficiary(date(1980, 1, 1), "01"), (once, twice))
    turned = dataclasses.replace(request, acts=(twice, once))
    assert priced(request).base_cents == priced(turned).base_cents == 12_960


@MANY
@given(sheets())
def test_json_round_trip(request: CareRequest) -> None:
    """A request survives JSON text, and its price does too."""
    assert CareRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    got = priced(request).to_json()
    assert json.loads(json.dumps(got)) == got


@MANY
@given(sheets(), st.integers(0, 900), st.integers(0, 6000))
def test_deductions_keep_their_caps(request: CareRequest, today: int, year: int) -> None:
    """Whatever was taken before, no cap of day or year is passed, and never more than AMO pays is kept."""
    got = priced(request)
    kinds, accounts = ("visit", "box", "care", "transport"), ("participation", "franchise")
    taken = Taken(dict.fromkeys(kinds, today), dict.fromkeys(accounts, year))
    owed = deductions(request, got, TABLES, taken)
    rows = TABLES.on(request.date, request.practitioner.zone).deductions
    for one in owed:
        row = rows[one.kind]
        assert 0 < one.cents <= got.amo_cents
        assert one.cents + year <= row.yearly_cap_cents
        assert row.daily_cap_cents is None or one.cents + today <= row.daily_cap_cents


words = st.text(max_size=20) | st.sampled_from(("G", "01", "2026-11-20", "metropole", "amo", "1850760057018"))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
GOOD: dict[str, Any] = {
    "date": "2026-11-20",
    "practitioner": {"specialty": "01", "convention": "1", "optam": False, "zone": "metropole"},
    "beneficiary": {
        "birth_date": "1980-05-01",
        "regime": "01",
        "complementary": None,
        "pregnancy_month": None,
    },
    "acts": [{"code": "G", "quantity": 1, "coefficient": 1, "charged_cents": 3000}],
    "pathway": "T",
    "nature": "maladie",
    "third_party": "none",
}


def said_of(data: Any) -> str:
    """What comes back for some JSON: the price as text, or the sentence of the refusal."""
    try:
        return json.dumps(price(CareRequest.from_json(data), TABLES).to_json())
    except InputError as refusal:
        sentence = str(refusal)
        assert "\n" not in sentence
        assert 10 < len(sentence) < 400
        assert not re.search(r"[0-9]{13}", sentence)
        return sentence


@MANY
@given(anything)
def test_any_json_is_priced_or_refused_in_a_sentence(data: Any) -> None:
    """No JSON value brings anything but a price or one sentence without a number as long as a NIR."""
    assert said_of(data)


@MANY
@given(
    st.sampled_from(("date", "practitioner", "beneficiary", "acts", "pathway", "nature", "third_party")),
    anything,
)
def test_one_odd_value_is_named(name: str, value: Any) -> None:
    """One field of a good request replaced by anything: a price, or a sentence that begins with it."""
    sentence = said_of({**GOOD, name: value})
    assert sentence.startswith(("{", name))


@MANY
@given(
    st.sampled_from(
        [(part, key) for part in ("practitioner", "beneficiary") for key in GOOD[part]]
        + [("acts", key) for key in (*GOOD["acts"][0], "activity", "modifiers", "association")]
    ),
    anything,
)
def test_one_odd_value_inside_is_named(place: tuple[str, str], value: Any) -> None:
    """The same one level down: the sentence names the part."""
    part, key = place
    inner = GOOD["acts"][0] if part == "acts" else GOOD[part]
    changed = {**inner, key: value}
    sentence = said_of({**GOOD, part: [changed] if part == "acts" else changed})
    assert sentence.startswith(("{", part, "date"))


@pytest.mark.parametrize("zone", ZONES)
def test_every_act_of_the_tables_can_be_priced(zone: str) -> None:
    """No row is dead: on its first day each act has a price, with the company and the pathway it asks for."""
    for row in (row for row in TABLES.acts if zone in row.zones):
        day = max(row.since, date(2017, 5, 1)) if row.until is None else row.until
        company = tuple(Act(code) for code in row.with_[:1])
        request = CareRequest(
            day,
            Practitioner(row.specialties[0], "2" if row.tariff == "free" else "1", zone=zone),
            Beneficiary(date(day.year - (row.below_age or 40) + 1, 1, 1)),
            (Act(row.codes[0], charged_cents=1000 if row.by_charge else None), *company),
            pathway=row.pathways[0] if row.pathways else "T",
        )
        try:
            lines = price(request, TABLES).lines
        except InputError as refusal:
            assert company, f"{row.codes} {day}: {refusal}"
            continue
        assert lines[0].code == row.codes[0]
