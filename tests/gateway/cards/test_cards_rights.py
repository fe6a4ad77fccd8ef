"""Rights read from SSV groups: every question asked for a day, hostile groups refused in one sentence."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.layout import ssv
from card.layout.ssv import Group
from card.layout.tree import LayoutError
from gateway.cards.rights import Rights

ON = date(2026, 3, 10)
BEFORE, AFTER = date(2024, 12, 31), date(2027, 1, 1)
YEARS = {"start": "202501010000", "end": "202612312359"}

INSURED = Group.of(
    101,
    card_type="T",
    serial="99250000000000000018",
    validity_end="203012310000",
    nir="2951996999999",
    nir_key="12",
    regime="01",
    caisse="999",
    centre="0000",
    management_code="10",
)


def person(**values: str) -> Group:
    base = {
        "name": "TESTON",
        "first_name": "ZOE",
        "birth_date": "199502030000",
        "birth_rank": "1",
        "quality": "0",
    }
    return Group.of(104, **(base | values))


def only(*groups: Group, **values: str):
    """The single beneficiary of a card with these groups after its 104."""
    return Rights.from_groups((INSURED, person(**values), *groups)).beneficiaries[0]


def test_insured_fields():
    """Group 101 becomes the fields of Rights; dates are days."""
    rights = Rights.from_groups((INSURED, person()))
    assert (rights.card_type, rights.is_test, rights.regime, rights.caisse, rights.centre) == (
        "T", True, "01", "999", "0000",
    )  # fmt: skip
    assert (rights.serial, rights.validity_end) == ("99250000000000000018", date(2030, 12, 31))
    assert (rights.insured_nir, rights.nir_key, rights.management_code) == ("2951996999999", "12", "10")


def test_groups_belong_to_the_person_before_them():
    """105 to 109 belong to the last 104; the order of the card is kept."""
    rights = Rights.from_groups(
        (
            INSURED,
            person(first_name="ZOE"),
            Group.of(105, **YEARS),
            person(first_name="LEO", quality="6", birth_rank="2"),
            Group.of(106, **YEARS, ald=ssv.ALD_EXEMPTING, situation=ssv.SITUATION_PLAIN),
            Group.of(111, common="X"),
        )
    )
    zoe, leo = rights.beneficiaries
    assert (zoe.first_name, leo.first_name, leo.rank, leo.quality) == ("ZOE", "LEO", 2, "6")
    assert zoe.has_rights(ON)
    assert not zoe.has_ald(ON)
    assert leo.has_ald(ON)
    assert not leo.has_rights(ON)
    assert rights.beneficiary(2) is leo


@pytest.mark.parametrize("day", [date(2025, 1, 1), ON, date(2026, 12, 31)])
def test_period_edges_are_inside(day):
    """The first and the last day of a period have the right."""
    assert only(Group.of(105, **YEARS)).has_rights(day)


@pytest.mark.parametrize("day", [BEFORE, AFTER])
def test_outside_the_period(day):
    """The day before and the day after have not."""
    assert not only(Group.of(105, **YEARS)).has_rights(day)


def test_open_sides():
    """A missing date, or all zeros, leaves that side of the period open."""
    assert only(Group.of(105, start=ssv.NO_DATE, end="202612312359")).has_rights(BEFORE)
    assert only(Group.of(105, start="202501010000")).has_rights(date(2099, 1, 1))


@pytest.mark.parametrize(
    ("situation", "question"),
    [
        (ssv.SITUATION_ALSACE_MOSELLE, "is_alsace_moselle"),
        (ssv.SITUATION_MATERNITY, "is_maternity"),
        (ssv.SITUATION_ASPA, "is_aspa"),
    ],
)
def test_situations(situation, question):
    """Each situation code answers its own question, on its days only; the plain code answers none."""
    own = only(Group.of(106, **YEARS, ald="0", situation=situation))
    plain = only(Group.of(106, **YEARS, ald="0", situation=ssv.SITUATION_PLAIN))
    assert getattr(own, question)(ON)
    assert not getattr(own, question)(AFTER)
    assert not getattr(plain, question)(ON)


def test_ald_has_its_days():
    """An exempting ALD counts on its days only; code 0 never does."""
    ill = only(Group.of(106, **YEARS, ald=ssv.ALD_EXEMPTING, situation="0100"))
    well = only(Group.of(106, **YEARS, ald=ssv.ALD_NONE, situation="0100"))
    assert [ill.has_ald(day) for day in (BEFORE, ON, AFTER)] == [False, True, False]
    assert not well.has_ald(ON)


def test_css_is_an_amo_service_with_days():
    """AMO service 01 is the CSS between its dates; 00 is none."""
    css = only(amo_service="01", amo_service_start="202601010000", amo_service_end="202612312359")
    assert [css.is_css(day) for day in (date(2025, 12, 31), ON, AFTER)] == [False, True, False]
    assert not only(amo_service="00").is_css(ON)


def test_complementary_contracts():
    """The mutuelle (107, 108) goes before the AMC (109); neither gives None."""
    mutuelle = (Group(107, ("99999997", "tm100", "", "", "", "")), Group.of(108, **YEARS))
    amc = Group.of(109, b2_number="88888888", member_number="M1", **YEARS)
    assert only().complementary(ON) is None
    assert only(*mutuelle, amc).complementary(ON) == "tm100"
    assert only(*mutuelle).complementary(AFTER) is None
    assert only(amc).complementary(ON) == "88888888"
    assert only(amc).complementary(AFTER) is None


BROKEN = {
    "no 101": ((person(),), "group 101"),
    "no 104": ((INSURED,), "group 104"),
    "105 first": ((INSURED, Group.of(105, **YEARS), person()), "group 105 comes before"),
    "no birth date": ((INSURED, person(birth_date="")), "group 104 has no birth date"),
    "month 13": ((INSURED, person(birth_date="199513030000")), "field birth_date of group 104"),
    "short date": ((INSURED, person(), Group.of(105, start="2025")), "field start of group 105"),
    "letters": ((INSURED, person(birth_rank="X")), "field birth_rank of group 104"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_groups(name):
    """Groups that do not fit are refused; the sentence names group and field, never a value."""
    groups, sentence = BROKEN[name]
    with pytest.raises(LayoutError, match=sentence) as refused:
        Rights.from_groups(groups)
    assert "TESTON" not in str(refused.value)
    assert "2951996999999" not in str(refused.value)


def test_no_such_beneficiary():
    """Asking for a place the card does not have says how many there are."""
    with pytest.raises(LayoutError, match="the card has 1 beneficiaries, there is no number 2"):
        Rights.from_groups((INSURED, person())).beneficiary(2)


def test_nothing_personal_in_repr():
    """The repr of Rights shows no NIR, no name, no birth date, no member number."""
    amc = Group.of(109, b2_number="88888888", member_number="MEMBER77")
    text = repr(Rights.from_groups((INSURED, person(certified_nir="1881999999999"), amc)))
    for secret in ("TESTON", "ZOE", "2951996999999", "1881999999999", "1995", "MEMBER77"):
        assert secret not in text


FIELD = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=14)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            Group,
            st.sampled_from([101, 102, 103, 104, 105, 106, 107, 108, 109, 111, 4242]),
            st.lists(FIELD, max_size=20).map(tuple),
        ),
        max_size=8,
    )
)
def test_any_groups_give_rights_or_one_sentence(groups):
    """No list of groups makes the reader of rights fall over (promise A10)."""
    try:
        rights = Rights.from_groups(groups)
    except LayoutError:
        return
    for beneficiary in rights.beneficiaries:
        assert beneficiary.complementary(ON) is None or beneficiary.mutuelle or beneficiary.amc
