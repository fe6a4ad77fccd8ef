"""Acts with a code of their own (CCAM, biology, devices, medicines) go into B2 and come out of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gateway.billing.engine import Price, price
from gateway.billing.request import Act, Beneficiary, CareRequest, Practitioner
from gateway.billing.tables import Tables
from gateway.lots.fse import Fse
from gateway.lots.invoice import kinds_of
from gateway.records import b2
from tests.gateway.lots.world import World

TABLES = Tables.load()
CASES: dict[str, tuple[str, tuple[Act, ...], bytes]] = {
    "CCAM with a modifier": ("03", (Act("DEQP003", modifiers="U"),), b"4 4M"),
    "two CCAM acts, the cheaper by half": ("03", (Act("AHQB025"), Act("AHQB027")), b"4 4M4 4M"),
    "consultation and CCAM": ("01", (Act("G"), Act("JKHD001")), b"4 4 4M"),
    "biology": ("30", (Act("0552"), Act("1827", 2)), b"4 4B4 4B"),
    "medicine and its fee": ("50", (Act("3400936485464", 2), Act("HD7", 2)), b"4 4F4 "),
    "device": ("50", (Act("9900003", charged_cents=9000),), b"4 4F"),
    "key letters only": ("24", (Act("AMI", coefficient=Decimal("1.5")),), b"4 "),
}


def priced(specialty: str, acts: tuple[Act, ...], **rights: Any) -> Price:
    born = date(1950, 1, 31)
    day = date(2026, 11, 19)
    return price(CareRequest(day, Practitioner(specialty), Beneficiary(born, **rights), acts), TABLES)


@pytest.mark.parametrize(("specialty", "acts", "kinds"), CASES.values(), ids=CASES)
def test_codes_go_through_b2(world: World, specialty: str, acts: tuple[Act, ...], kinds: bytes) -> None:
    """Each code is written beside its letters in the record of its nomenclature, and read back whole."""
    wanted = priced(specialty, acts)
    fse = world.fse(1, price=wanted)
    assert Fse.parse(fse.to_bytes()) == fse
    assert kinds in kinds_of(fse.to_bytes())
    for line, sent in zip(fse.view().lines, wanted.lines, strict=True):
        for name in ("code", "letters", "b2_act", "activity", "modifiers", "association", "coefficient"):
            assert getattr(line, name) == getattr(sent, name), name
        assert (line.base_cents, line.amo_cents) == (sent.base_cents, sent.amo_cents)


def test_letters_fit_the_record(world: World) -> None:
    """Position 76 of record 4 has the letters of a coded act, never its code."""
    data = world.fse(1, price=priced("03", (Act("DEQP003"),))).to_bytes()
    at = data.index(b"ATM", 128)
    record = data[at // 128 * 128 :][:128]
    assert b2.FeeLine.decode(record)["act"] == "ATM"
    assert b2.FeeCcam.decode(data[at // 128 * 128 + 128 :][:128])["code"] == "DEQP003"


def test_grouped_biology_keeps_its_letters(world: World) -> None:
    """A 4B record that names several codes leaves the line its letters: no single code is its own."""
    data = world.fse(1, price=priced("30", (Act("0552"),)), mode=5).to_bytes()
    at = kinds_of(data).index(b"4B") // 2 * 128
    values = b2.FeeBiology.decode(data[at : at + 128])
    grouped = b2.FeeBiology.encode(**{**values, "date_2": "261119", "quantity_2": 1, "code_2": "0578"})
    line = Fse.parse(data[:at] + grouped + data[at + 128 :]).view().lines[0]
    assert (line.code, line.letters) == ("B", "")
    alone = Fse.parse(data).view().lines[0]
    assert (alone.code, alone.letters) == ("0552", "B")


def test_a_heavy_act_keeps_rate_100(world: World) -> None:
    """The flat-rate participation is what is missing from 100 % of the base."""
    wanted = priced("04", (Act("K", coefficient=Decimal(65)),))
    line = world.fse(1, price=wanted).view().lines[0]
    assert (line.rate, line.base_cents - line.amo_cents) == (100, 2400)
    assert replace(wanted.lines[0], participation_cents=0) != wanted.lines[0]
