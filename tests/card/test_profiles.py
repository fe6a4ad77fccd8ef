"""Profiles: the shipped ones are sound and visibly invented; a bad one is refused naming the field."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from card.layout.nir import is_test_nir
from card.profile import CpsProfile, InsuredProfile, Profile
from card.profile_toml import PROFILES, ProfileError, list_profiles, load_profile, parse_profile

EXPECTED = {
    "vitale-family",
    "vitale-alsace-moselle",
    "vitale-ald",
    "vitale-maternity",
    "vitale-css",
    "vitale-css-contribution",
    "vitale-css-insurer",
    "vitale-ald-ended",
    "vitale-msa",
    "vitale-special",
    "ame-attestation",
    "vitale-single",
    "vitale-complementary",
    "cps-gp-sector1",
    "cps-gp-sector2",
    "cps-pharmacist",
    "cps-nurse",
}
ALL: list[Profile] = [load_profile(name) for name in list_profiles()]


def toml(name: str) -> dict[str, Any]:
    """The table of a shipped profile, to be spoiled."""
    return tomllib.loads((PROFILES / f"{name}.toml").read_text(encoding="utf-8"))


def spoiled(name: str, edit: Callable[[dict[str, Any]], object]) -> str:
    """The sentence that refuses a shipped profile after one edit (before it, the profile is accepted)."""
    data = toml(name)
    assert parse_profile(name, data)
    edit(data)
    with pytest.raises(ProfileError) as refused:
        parse_profile(name, data)
    return str(refused.value)


def test_all_are_shipped() -> None:
    """Every situation of the contract has its profile, the family has three beneficiaries."""
    assert set(list_profiles()) >= EXPECTED
    family = load_profile("vitale-family")
    assert isinstance(family, InsuredProfile)
    assert len(family.people) == 3


def test_numbers_are_nobodys() -> None:
    """Every NIR of a shipped profile has an impossible birth month, every RPPS a prefix never given out."""
    for profile in ALL:
        if isinstance(profile, InsuredProfile):
            numbers = [profile.nir, *(person.nir for person in profile.people if person.nir)]
            assert all(is_test_nir(nir[:13]) for nir in numbers)
            assert profile.caisse in {"349", "996", "999"}
        elif isinstance(profile, CpsProfile):
            assert profile.rpps.startswith("99")
            assert profile.category == "80"


def test_no_two_cards_are_alike() -> None:
    """Serial numbers, NIRs of insured people and billing numbers are unique among the shipped profiles."""
    serials = [p.serial for p in ALL if isinstance(p, InsuredProfile | CpsProfile) and p.serial]
    nirs = [p.nir for p in ALL if isinstance(p, InsuredProfile)]
    billing = [s.billing_number for p in ALL if isinstance(p, CpsProfile) for s in p.situations]
    for values in (serials, nirs, billing):
        assert len(values) == len(set(values))


def test_groups_carry_the_rights() -> None:
    """ALD, CSS and the complementary contracts are in the groups of their profiles, and only there."""

    def fields(name: str, number: int, field: str) -> list[str]:
        profile = load_profile(name)
        assert isinstance(profile, InsuredProfile)
        return [group.get(field) for group in profile.groups() if group.number == number]

    assert fields("vitale-ald", 106, "ald") == ["1"]
    assert fields("vitale-ald-ended", 106, "ald") == ["1", "0"]
    assert fields("vitale-ald-ended", 106, "end") == ["202512312359", "203112312359"]
    assert fields("vitale-single", 106, "ald") == ["0"]
    assert fields("vitale-css", 104, "amo_service") == ["01", "01"]
    assert fields("vitale-css-contribution", 104, "amo_service") == ["21"]
    assert fields("vitale-css-insurer", 104, "amo_service") == ["03"]
    assert fields("vitale-single", 104, "amo_service") == ["00"]
    assert fields("vitale-alsace-moselle", 106, "situation") == ["0200"]
    assert fields("vitale-complementary", 107, "guarantees") == ["tm100"]
    assert fields("vitale-complementary", 109, "services") == ["tm100"]


def test_nothing_personal_is_printed() -> None:
    """The repr of a profile shows neither NIR nor name."""
    for profile in ALL:
        if isinstance(profile, InsuredProfile):
            assert profile.nir not in repr(profile)
            assert profile.people[0].name not in repr(profile)
        elif isinstance(profile, CpsProfile):
            assert profile.last_name not in repr(profile)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda d: d["insured"].update(nir="285199934910162"), "insured.nir: the key of the NIR is wrong"),
        (lambda d: d["insured"].update(nir="185076005701818"), "insured.nir: this could be somebody's NIR"),
        (lambda d: d["insured"].pop("regime"), "insured.regime: it is missing"),
        (lambda d: d["insured"].update(caisse="34"), "insured.caisse: 3 digits expected"),
        (lambda d: d.update(colour="blue"), "colour: there is no such field"),
        (lambda d: d["card"].update(serial=3), "card.serial: a text between quotes"),
        (lambda d: d["card"].update(start="2025"), "card.start: a date"),
        (lambda d: d["card"].update(end=toml("vitale-ald")["card"]["start"].replace(year=2000)), "card.end"),
        (lambda d: d.pop("card"), "card: it is missing"),
        (lambda d: d.update(kind="ticket"), "kind: one of vitale, attestation, cps"),
        (lambda d: d.update(beneficiary=[]), "beneficiary: 1 to 6 entries are possible, not 0"),
        (lambda d: d.update(beneficiary=d["beneficiary"] * 3), "1 to 6 entries are possible, not 9"),
        (lambda d: d["beneficiary"][1].update(birth_date="x"), "beneficiary.2.birth_date: a date"),
        (lambda d: d["beneficiary"][0].update(name="HÉLÈNE"), "beneficiary.1.name: only plain"),
        (lambda d: d["beneficiary"][0].update(name="X" * 28), "beneficiary.1.name: 1 to 27"),
        (lambda d: d["beneficiary"][0].update(quality="7"), "beneficiary.1.quality: one of"),
        (lambda d: d["beneficiary"][0].update(birth_rank=0), "beneficiary.1.birth_rank: a whole number"),
        (lambda d: d["beneficiary"][0].update(birth_rank=True), "beneficiary.1.birth_rank: a whole number"),
        (lambda d: d["beneficiary"][0]["rights"][0].pop("end"), "beneficiary.1.rights.1.end: it is missing"),
        (lambda d: d["beneficiary"][0].update(rights="open"), "beneficiary.1.rights: a list of tables"),
        (lambda d: d["beneficiary"][0]["coverage"][0].update(ald="yes"), "ald: true or false"),
        (lambda d: d["beneficiary"][0]["coverage"][0].update(situation="odd"), "situation: one of plain"),
        (lambda d: d["beneficiary"][0].update(css=5), "css: a table"),
        (lambda d: d["beneficiary"][0].update(css={"run_by": "bank"}), "css.run_by: one of amo, convention"),
        (lambda d: d["beneficiary"][0].update(address=["a"] * 6), "address: a list of at most 5"),
        (lambda d: d["beneficiary"][0].update(address=[1]), "address.1: a text"),
    ],
)
def test_bad_family(edit: Callable[[dict[str, Any]], object], sentence: str) -> None:
    """One wrong field of a family is named in one sentence without its content."""
    text = spoiled("vitale-family", edit)
    assert text.startswith("profile vitale-family, field ")
    assert sentence in text
    assert not any(number in text for number in ("285199934910162", "185076005701818", "HÉLÈNE"))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda d: d["holder"].update(rpps="99900000012"), "holder.rpps: the key"),
        (lambda d: d["holder"].update(rpps="10000000017"), "holder.rpps: this could be somebody's number"),
        (lambda d: d["card"].update(category="00"), "card.category: one of 80, 82, 83"),
        (lambda d: d["holder"].update(specialty="cardio"), "holder.specialty: a code of four"),
        (
            lambda d: d["situation"][0].update(billing_number="991001018"),
            "situation.1.billing_number",
        ),
        (lambda d: d["situation"][0].update(convention="7"), "situation.1.convention: one of"),
        (lambda d: d["situation"][0].update(may_sign_lot="no"), "situation.1.may_sign_lot: true or false"),
        (lambda d: d.update(situation=d["situation"] * 9), "situation: 1 to 16 entries"),
        (lambda d: d["situation"][0].update(agreements=["01"] * 4), "situation.1.agreements"),
    ],
)
def test_bad_practitioner(edit: Callable[[dict[str, Any]], object], sentence: str) -> None:
    """One wrong field of a practitioner is named in one sentence."""
    assert sentence in spoiled("cps-gp-sector1", edit)


def test_own_profile_by_path(tmp_path: Path) -> None:
    """A profile of one's own is given by its path; what is no profile is refused by name."""
    mine = tmp_path / "mine.toml"
    mine.write_text((PROFILES / "vitale-single.toml").read_text(encoding="utf-8"), encoding="utf-8")
    assert load_profile(mine).name == "mine"
    (tmp_path / "bad.toml").write_text("kind = ", encoding="utf-8")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for wrong, why in (("bad.toml", "not TOML"), ("binary.toml", "cannot be read"), ("none", "no profile")):
        with pytest.raises(ProfileError, match=why):
            load_profile(tmp_path / wrong)
