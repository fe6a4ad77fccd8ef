"""Every shipped profile, from its TOML file to the card and back through the sessions."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession

PROFILES = Path(__file__).resolve().parents[3] / "card" / "profiles"
VITALE = sorted(path.stem for path in PROFILES.glob("vitale-*.toml"))
CPS = sorted(path.stem for path in PROFILES.glob("cps-*.toml"))

ON, LATER = date(2026, 3, 10), date(2040, 1, 1)
QUESTIONS = ("has_rights", "has_ald", "is_css", "is_alsace_moselle", "is_maternity", "is_aspa")


def described(profile: str) -> dict:
    return tomllib.loads((PROFILES / f"{profile}.toml").read_text(encoding="utf-8"))


def in_force(period: dict | None, on: date = ON) -> bool:
    return period is not None and period["start"] <= on <= period["end"]


def expected(person: dict) -> dict[str, bool]:
    """What the questions must answer today, from the words of the profile."""
    covers = [cover for cover in person.get("coverage", []) if in_force(cover)]
    situations = {cover.get("situation") for cover in covers}
    return {
        "has_rights": any(in_force(period) for period in person["rights"]),
        "has_ald": any(cover.get("ald") for cover in covers),
        "is_css": in_force(person.get("css")),
        "is_alsace_moselle": "alsace-moselle" in situations,
        "is_maternity": "maternity" in situations,
        "is_aspa": "aspa" in situations,
    }


def read(bench):
    vitale = VitaleSession.open(bench.connect("Vitale"))
    vitale.authenticate(bench.verified_cps())
    return vitale, vitale.read_rights()


@pytest.mark.parametrize("profile", VITALE)
def test_vitale_profile(bench_of, profile):
    """Insured person, each beneficiary and each right come back as the profile says, today and later."""
    told = described(profile)
    vitale, rights = read(bench_of(Vitale=profile, CPS="cps-gp-sector1"))
    insured = told["insured"]
    assert rights.is_test
    assert vitale.serial == rights.serial == told["card"]["serial"]
    assert vitale.validity_end == rights.validity_end == told["card"]["end"]
    assert rights.insured_nir + rights.nir_key == insured["nir"]
    assert (rights.regime, rights.caisse, rights.centre) == (
        insured["regime"],
        insured["caisse"],
        insured["centre"],
    )
    assert rights.management_code == insured["management_code"]
    assert len(rights.beneficiaries) == len(told["beneficiary"]) == len(vitale.holders)
    for person, holder, words in zip(rights.beneficiaries, vitale.holders, told["beneficiary"], strict=True):
        assert (person.name, person.first_name) == (words["name"], words["first_name"])
        assert (holder.name, holder.first_name) == (words["name"], words["first_name"])
        assert person.birth_date == holder.birth_date == words["birth_date"]
        assert (person.rank, person.quality) == (words["birth_rank"], words["quality"])
        assert person.own_nir + person.own_nir_key == words.get("nir", "")
        assert {name: getattr(person, name)(ON) for name in QUESTIONS} == expected(words)
        assert not any(getattr(person, name)(LATER) for name in QUESTIONS)
        contract = next((words[kind]["contract"] for kind in ("mutuelle", "amc") if kind in words), None)
        assert person.complementary(ON) == contract
        assert person.complementary(LATER) is None


def test_every_right_is_shipped():
    """The shipped profiles cover each question with a yes, so that the test above proves something."""
    people = [person for profile in VITALE for person in described(profile)["beneficiary"]]
    assert all(any(expected(person)[name] for person in people) for name in QUESTIONS)
    assert any("mutuelle" in person or "amc" in person for person in people)


@pytest.mark.parametrize("profile", CPS)
def test_cps_profile(bench_of, profile):
    """Holder and billing situations come back as the profile says."""
    told, bench = described(profile), bench_of(CPS=profile)
    session = CpsSession.open(bench.connect("CPS"))
    session.verify_pin(bench.pin)
    holder, words = session.holder, told["holder"]
    assert session.serial == told["card"]["serial"]
    assert holder.national_id == "8" + words["rpps"]
    assert (holder.name, holder.first_name, holder.civility) == (
        words["name"],
        words["first_name"],
        words["civility"],
    )
    assert holder.profession == words["profession"]
    assert len(session.situations) == len(told["situation"])
    for situation, own in zip(session.situations, told["situation"], strict=True):
        assert situation.billing_number + situation.billing_key == own["billing_number"]
        for name in (
            "mode",
            "sector",
            "structure_id_type",
            "structure_name",
            "convention",
            "specialty",
            "zone",
        ):
            assert getattr(situation, name) == own[name]
        assert situation.may_sign_lot == own.get("may_sign_lot", True)
        assert situation.may_sign_invoice == own.get("may_sign_invoice", True)
