"""The dated tables refuse at load what could make a price a matter of chance."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import pytest

from gateway.billing.engine import price
from gateway.billing.reading import BROUGHT
from gateway.billing.request import PATHWAYS, ZONES, Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.rows import (
    ContractRow,
    DeductionRow,
    ModifierRow,
    OutRow,
    RateRow,
    RightRow,
    WithdrawalRow,
)
from gateway.billing.tables import DIRECTORY, Tables
from gateway.errors import InputError

ROW = """
[[rate]]
family = "doctor"
scheme = "general"
percent = 70
zones = ["metropole"]
since = 2005-01-01
source = "test"
"""

BAD_ROWS = {
    "t.toml, rate row 1: since is missing": ROW.replace("since = 2005-01-01\n", ""),
    "t.toml, rate row 1: source is missing": ROW.replace('source = "test"\n', ""),
    "t.toml, rate row 1: zones is missing": ROW.replace('zones = ["metropole"]\n', ""),
    "t.toml, rate row 1: source must be a str": ROW.replace('"test"', '""'),
    "t.toml, rate row 1: since must be a date": ROW.replace("2005-01-01", '"2005"'),
    "t.toml, rate row 1: zones must be a list": ROW.replace('["metropole"]', "[]"),
    "t.toml, rate row 1: zone 'mars' is not known": ROW.replace("metropole", "mars"),
    "t.toml, rate row 1: percent must be a int": ROW.replace("percent = 70", "percent = true"),
    "t.toml, rate row 1: percent 170 is not between": ROW.replace("percent = 70", "percent = 170"),
    "t.toml, rate row 1: scheme 'royal' is not known": ROW.replace('"general"', '"royal"'),
    "t.toml, rate row 1: colour is not a field": ROW + 'colour = "red"\n',
    "t.toml, rate row 1: until is before since": ROW + "until = 2004-01-01\n",
    "t.toml: [[rates]] is not a kind of table": ROW.replace("[[rate]]", "[[rates]]"),
    "t.toml: not a readable table file": ROW + "percent =",
    "RateRow ('doctor', 'general'): two rows are in force together from 2005-01-01": ROW + ROW,
}


ACT = """
[[act]]
codes = ["TST"]
label = "test"
family = "doctor"
specialties = ["01"]
tariff = "any"
cents = 1000
zones = ["all"]
since = 2020-01-01
source = "test"
"""
MODIFIER = """
[[modifier]]
letter = "J"
label = "test"
percent = "6.5"
zones = ["all"]
since = 2020-01-01
source = "test"
"""
BAD_ACTS = {
    "t.toml, act row 1: an act has cents, or key_letter": ACT.replace("cents = 1000\n", ""),
    "t.toml, act row 1: an act has cents, or": ACT + "by_charge = true\n",
    "t.toml, act row 1: tariff 'half' is not known": ACT.replace('"any"', '"half"'),
    "t.toml, act row 1: heavy 'very' is not known": ACT + 'heavy = "very"\n',
    "t.toml, act row 1: @tag is not one of the [sources]": ACT.replace('"test"\n', '"@tag"\n').replace(
        'label = "@tag"', 'label = "test"'
    ),
    "t.toml, act row 1: the amount of mayotte must be whole cents": ACT.replace(
        'cents = 1000\nzones = ["all"]', "amounts = { mayotte = 10.5 }"
    ),
    "t.toml, act row 1: amounts must say cents for each zone": ACT.replace(
        'cents = 1000\nzones = ["all"]', "amounts = 5"
    ),
    "t.toml, act row 1: zone 'mars' is not known": ACT.replace(
        'cents = 1000\nzones = ["all"]', "amounts = { mars = 5 }"
    ),
    "ActRow ('TST', 'any', '01', '1'): two rows are in force together from 2020-01-01": ACT + ACT,
    "t.toml, modifier row 1: a modifier adds cents or a percent": MODIFIER + "cents = 100\n",
    "t.toml, modifier row 1: percent 650 is not 0 to 100": MODIFIER.replace("6.5", "650"),
    "t.toml, modifier row 1: percent many is not 0 to 100": MODIFIER.replace("6.5", "many"),
}


def load(folder: Path, text: str) -> Tables:
    (folder / "t.toml").write_text(text, encoding="utf-8")
    return Tables.load(folder)


@pytest.mark.parametrize(("start", "text"), [*BAD_ROWS.items(), *BAD_ACTS.items()])
def test_bad_row_is_refused(tmp_path: Path, start: str, text: str) -> None:
    """A row without date, source or zone, out of range or doubled stops the loading in one sentence."""
    with pytest.raises(InputError) as refusal:
        load(tmp_path, text)
    assert str(refusal.value).startswith(start)


def test_good_row_is_accepted(tmp_path: Path) -> None:
    """The positive twin; a closed row and its successor live side by side."""
    assert load(tmp_path, ROW).on(date(2026, 1, 1), "metropole").rates["doctor", "general"].percent == 70
    closed = ROW + "until = 2019-12-31\n"
    both = load(tmp_path, closed + ROW.replace("2005-01-01", "2020-01-01").replace("70", "65"))
    assert both.on(date(2019, 12, 31), "metropole").rates["doctor", "general"].percent == 70
    assert both.on(date(2020, 1, 1), "metropole").rates["doctor", "general"].percent == 65
    assert not both.on(date(2004, 12, 31), "metropole").rates
    assert not both.on(date(2020, 1, 1), "mayotte").rates


def test_short_forms(tmp_path: Path) -> None:
    """All zones at once, one row for each zone of amounts, sources by tag, groups of specialties."""
    text = ACT.replace('cents = 1000\nzones = ["all"]', "amounts = { metropole = 1000, mayotte = 1200 }")
    text = text.replace('["01"]', '["both"]').replace('source = "test"', 'source = "@law"')
    tables = load(tmp_path, '[groups]\nboth = ["01", "02"]\n[sources]\nlaw = "a law"\n' + text + MODIFIER)
    day = date(2026, 1, 1)
    cents = [tables.on(day, zone).act("TST", "02")["any"].cents for zone in ("metropole", "mayotte")]
    assert cents == [1000, 1200]
    assert {row.source for row in tables.acts} == {"a law"}
    assert not tables.on(day, "antilles").act("TST", "01")
    assert all("J" in tables.on(day, zone).modifiers for zone in ZONES)


def test_one_group_has_one_meaning(tmp_path: Path) -> None:
    """A group of specialties named in two files is refused; named once it serves every file."""
    group = '[groups]\nsome = ["01"]\n'
    (tmp_path / "a.toml").write_text(group, encoding="utf-8")
    assert load(tmp_path, ACT.replace('["01"]', '["some"]')).acts[0].specialties == ("01",)
    with pytest.raises(InputError, match=r"t.toml: the group some is in two files"):
        load(tmp_path, group + ACT)


def test_percent_modifiers_need_only_a_row() -> None:
    """J and K of surgery would be rows: 100.00 + 6.5 % + 11.5 %, by half, and 25.15 that is never halved."""
    surgery = Tables.load().rows_of("DEQP003")[0]
    act = dataclasses.replace(surgery, codes=("ZZZZ001",), cents=10_000, modifiers="JKU")
    since, zones = surgery.since, surgery.zones
    rows = [
        ModifierRow(letter=letter, label="test", percent=percent, since=since, zones=zones, source="test")
        for letter, percent in (("J", "6.5"), ("K", "11.5"))
    ]
    tables = Tables.load().with_rows([act, *rows])
    asked = Act("ZZZZ001", modifiers="JKU", association=2)
    request = CareRequest(date(2026, 1, 5), Practitioner("03"), Beneficiary(date(1980, 1, 1)), (asked,))
    assert price(request, tables).base_cents == 11_800 // 2 + 2515


def test_a_medicine_is_switched_off_by_date() -> None:
    """One more row takes a medicine off the list from its day on; the day before it is paid as ever."""
    code, since = "3400936485464", date(2026, 3, 1)
    row = WithdrawalRow(codes=(code,), label="switched off", since=since, zones=ZONES, source="test")
    tables = Tables.load().with_rows([row])

    def amo(day: date) -> int:
        request = CareRequest(day, Practitioner("50"), Beneficiary(date(1980, 1, 1)), (Act(code),))
        return price(request, tables).amo_cents

    assert (amo(date(2026, 2, 28)), amo(since)) == (75, 0)
    with pytest.raises(InputError, match="two rows are in force together"):
        tables.with_rows([row])


def test_empty_directory(tmp_path: Path) -> None:
    """A directory without tables is refused, not taken for free care."""
    with pytest.raises(InputError, match="no table rows"):
        Tables.load(tmp_path)


def test_every_row_of_the_tables_says_date_zone_and_source() -> None:
    """No amount of the shipped tables stands without its origin."""
    tables = Tables.load()
    for row in tables.acts:
        assert row.source.strip()
        assert set(row.zones) <= set(ZONES)
    today = tables.on(date(2026, 11, 22), "metropole")
    assert set(today.pathways) == set(PATHWAYS)
    assert {right.when for right in today.rights} == {
        "at", "maternity", "ald", "css", "css_contribution", "css_insurer", "ame", "prevention", "aspa",
        "foreign", "screening", "teleexpertise", "hospital",
    }  # fmt: skip
    assert {row.family for row in tables.acts} - {"dispensing_complex"} <= {
        family for family, _ in today.rates
    }


def test_no_row_is_dead() -> None:
    """Every row can be reached: what it names is an act, a right, a letter or a family that is there."""
    tables = Tables.load()
    acts = tables.acts
    codes = {code for row in acts for code in row.codes}
    families = {row.family for row in acts}
    assert {row.family for row in tables.of_kind(RateRow)} == families
    assert {family for row in tables.of_kind(OutRow) for family in row.families} <= families
    assert {row.kind for row in tables.of_kind(DeductionRow)} == {row.deduction for row in acts} - {""}
    rights = {row.when for row in tables.of_kind(RightRow)}
    assert set(BROUGHT) == {row.brings for row in acts} - {""} == set(BROUGHT) & rights
    assert {one for row in tables.of_kind(DeductionRow) for one in row.spared_rights} <= rights
    assert {row.contract for row in tables.of_kind(RightRow)} - {""} <= {
        row.name for row in tables.of_kind(ContractRow)
    }
    for row in acts:
        assert set(row.with_) <= codes, row.codes
        assert not row.key_letter or row.key_letter in codes, row.codes
        assert not row.alone or not row.with_, row.codes
    assert {row.letter for row in tables.of_kind(ModifierRow)} <= {
        letter for row in acts for letter in row.modifiers
    }
    assert {code for row in tables.of_kind(WithdrawalRow) for code in row.codes} <= codes


@pytest.mark.parametrize("code", ["TE1", "TE2", "RQD", "QEQK004", "RKD", "PJ"])
def test_an_act_paid_without_advance_names_its_right(code: str) -> None:
    """On the first and last day of each of its rows an act has its right and no advance."""
    tables = Tables.load()
    for row in tables.rows_of(code):
        for day in (row.since, row.until or date(2026, 11, 20)):
            charged = 10_000 if row.by_charge else None
            who = Practitioner(row.specialties[0], "1", zone=row.zones[0])
            request = CareRequest(
                day, who, Beneficiary(date(1960, 1, 1)), (Act(code, charged_cents=charged),)
            )
            got = price(request, tables)
            assert (got.third_party, got.patient_cents) == ("amo", got.base_cents - got.amo_cents)
            assert any("due by law" in why for why in got.why)


def test_days_kept_are_bounded() -> None:
    """Asking for very many days keeps no more than one table for each change of the law."""
    tables = Tables.load()
    for number in range(20_000):
        tables.on(date.fromordinal(725_000 + number), "metropole")
    changes = {row.since for row in tables.rows} | {row.until for row in tables.rows if row.until}
    assert len(tables._days) <= len(changes) + 1
    days = (date(2024, 12, 22), date(2025, 1, 1), date(2025, 3, 1))
    assert tables.on(days[1], "metropole") is tables.on(days[2], "metropole")
    assert tables.on(days[0], "metropole") is not tables.on(date(2024, 12, 21), "metropole")


def test_a_new_tariff_is_only_data(tmp_path: Path) -> None:
    """A dental act, its rate and its dates are added by rows: 28.92 gives 20.24 then 17.35 (2023-10-15)."""
    for source in DIRECTORY.glob("*.toml"):
        (tmp_path / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "more.toml").write_text(
        '[[act]]\ncodes = ["SCX"]\nlabel = "dental care"\nfamily = "dental"\nspecialties = ["19"]\n'
        'tariff = "any"\n'
        'cents = 2892\nzones = ["metropole"]\nsince = 2020-01-01\nsource = "test"\n',
        encoding="utf-8",
    )
    tables = Tables.load(tmp_path)

    def amo(day: date) -> int:
        request = CareRequest(day, Practitioner("19"), Beneficiary(date(1980, 1, 1)), (Act("SCX"),))
        return price(request, tables).amo_cents

    assert (amo(date(2023, 10, 14)), amo(date(2023, 10, 15))) == (2024, 1735)
