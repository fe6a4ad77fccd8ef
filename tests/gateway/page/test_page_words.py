"""The words of the page: two catalogues with the same keys, no bare text in a template, French all over."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.billing.engine import price
from gateway.billing.request import CareRequest
from gateway.billing.tables import Tables
from gateway.page import french, words
from gateway.page.care_form import ActLine, CareForm, lines_of
from gateway.page.plots import scale
from gateway.page.texts import TEXTS
from gateway.page.texts.en import TEXTS as ENGLISH
from gateway.page.texts.fr import TEXTS as FRENCH
from gateway.page.texts.labels_fr import LABELS
from gateway.page.usual import favourites

ROOM = Path(french.__file__).parent
TEMPLATES = sorted((ROOM / "templates").glob("*.html"))
TABLES = Tables.load()
DAY = date(2026, 11, 23)


def test_both_catalogues_have_the_same_keys_and_values() -> None:
    """No text is missing in a language, none is empty, and both name the same values."""
    assert set(FRENCH) == set(ENGLISH)
    for key, text in FRENCH.items():
        assert text.strip()
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", ENGLISH[key])), key


def test_every_key_of_a_template_is_in_the_catalogues() -> None:
    """A key written in a template is there; a kind (`pill.` and a word) has at least one text."""
    asked = {
        key
        for path in TEMPLATES
        for key in re.findall(r"\bt(?:\.count)?\('([a-z][^']*)'", path.read_text("utf-8"))
    }
    kinds = {key.partition(".")[0] for key in FRENCH}
    wrong = [
        key
        for key in asked
        if key not in FRENCH
        and f"{key}.one" not in FRENCH
        and not (key.endswith((".", "-")) and key.partition(".")[0] in kinds)
    ]
    assert wrong == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_bare_text(path: Path) -> None:
    """What is left of a template without tags and Jinja has no letter: every word is in a catalogue."""
    text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", path.read_text("utf-8"), flags=re.DOTALL)
    shown = re.sub(r'[\w-]+="[^"]*"', "", re.sub(r"<[^>]*>", " ", text))
    assert re.findall(r"[^\W\d_]+", shown) == []
    spoken = re.findall(r'\b(?:aria-label|title|placeholder|alt)="([^"]+)"', text)
    assert [one for one in spoken if re.search(r"[^\W\d_]", one)] == []


def test_no_template_has_a_script_or_a_style_of_its_own() -> None:
    """The policy of the page forbids them; nothing is loaded from elsewhere."""
    for path in TEMPLATES:
        text = path.read_text("utf-8")
        assert re.findall(r"<script(?! src=\"/page\.js\")", text) == [], path.name
        assert re.findall(r"\s(?:style|on\w+)=", text) == [], path.name
        assert re.findall(r"https?://", text) == [], path.name


def test_every_favourite_has_french_words() -> None:
    """The acts that a specialty finds first are shown in French."""
    day = TABLES.on(DAY, "metropole")
    found = 0
    for specialty in ("01", "24", "26", "21", "19", "12", "07", "17", "03", "50", "04"):
        own = favourites(specialty, day)
        assert own, specialty
        for line in (line for one in own for line in one.acts):
            for row in day.act(line.code, specialty).values():
                assert row.label in LABELS, row.label
                found += 1
    assert found > 40


def test_the_usual_act_follows_the_age() -> None:
    """A child under six has G + MEG first, an adult G and no MEG at all."""
    day = TABLES.on(DAY, "metropole")
    assert favourites("01", day, 4)[0].word == "G+MEG"
    adult = favourites("01", day, 40)
    assert adult[0].word == "G"
    assert all("MEG" not in one.word for one in adult)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"third_party": "amo"},
        {"pathway": "S2"},
        {"nature": "at"},
        {"beneficiary": {"birth_date": "1980-01-01", "ald": True}},
        {"beneficiary": {"birth_date": "1980-01-01", "css": True}},
        {"beneficiary": {"birth_date": "1980-01-01", "complementary": "responsible"}},
        {"beneficiary": {"birth_date": "1980-01-01", "alsace_moselle": True}},
        {"acts": [{"code": "G", "charged_cents": 5000}]},
        {"acts": [{"code": "TCG"}]},
        {"acts": [{"code": "JQGD010", "modifiers": "U"}]},
    ],
)
def test_reasons_are_said_in_french(change: dict[str, object]) -> None:
    """No reason of a price is left in English, and its amounts are written as in France."""
    asked = {
        "date": DAY.isoformat(),
        "practitioner": {"specialty": "01", "convention": "1"},
        "beneficiary": {"birth_date": "1980-01-01"},
        "acts": [{"code": "G"}],
    }
    for sentence in price(CareRequest.from_json(asked | change), TABLES).why:
        said = french.why(TEXTS["fr"], sentence)
        assert said != sentence
        assert (
            re.search(r"\b(pays|rate|base [0-9]|of the|since|at the desk)\b", re.sub(r"\(.*\)", "", said))
            is None
        )
        assert french.why(TEXTS["en"], sentence) == sentence
        assert " EUR" not in re.sub(r"\([^)]*\)", "", said)


def test_a_reason_of_an_unknown_shape_is_shown_as_it_is() -> None:
    """Rather a sentence in English than none."""
    assert french.why(TEXTS["fr"], "Something else entirely.") == "Something else entirely."


def test_money_and_time_as_people_write_them() -> None:
    """Thousands apart, a comma, the euro behind; Paris time in winter and in summer."""
    assert words.euros(123456789) == "1\u202f234\u202f567,89\u00a0€"
    assert words.euros(-5) == "−0,05\u00a0€"
    assert words.euros(3000, "en") == "€30.00"
    assert words.moment(datetime(2026, 11, 23, 23, 30, tzinfo=UTC)) == "24/11/2026 00:30"
    assert words.moment(datetime(2026, 7, 1, 12, 0, tzinfo=UTC)) == "01/07/2026 14:00"
    assert words.moment(None) == "–"
    assert words.months_back(date(2026, 2, 3), 3) == [date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1)]


@given(st.floats(min_value=0.01, max_value=1e9))
def test_a_scale_holds_what_is_drawn(most: float) -> None:
    """The top is never under the largest bar, and there are two to ten steps."""
    step, top = scale(most)
    assert top >= most * 0.999_999
    assert 2 <= round(top / step) <= 10


CODES = st.sampled_from(["G", "MEG", "AMI", "DEQP003", "3400949497294"])
LINES = st.builds(
    ActLine,
    code=CODES,
    quantite=st.integers(1, 99).map(str),
    coefficient=st.sampled_from(["", "2", "2.5", "12.75"]),
    montant=st.sampled_from(["", "35,00", "0,50", "9999,99"]),
)


@given(
    st.lists(LINES, min_size=1, max_size=5).map(tuple),
    st.sampled_from(["T", "U", "S2"]),
    st.sampled_from(["none", "amo", "full"]),
    st.booleans(),
)
def test_a_form_and_its_care_act_say_the_same(
    acts: tuple[ActLine, ...], pathway: str, third: str, ald: bool
) -> None:
    """A form becomes a care act, which fills the same form again."""
    form = CareForm("2026-11-23", acts=acts, parcours=pathway, tiers=third, ald=ald)
    assert CareForm.of_act(form.to_act(), "fr") == form


def test_an_address_with_anything_in_it_gives_only_codes() -> None:
    """Favourites are read from an address: what is no code is left out, never shown."""
    assert [line.code for line in lines_of("G+MEG")] == ["G", "MEG"]
    assert lines_of("AMI:2.5")[0].coefficient == "2.5"
    assert lines_of("<b>+'--+g+G:zz+" + "A" * 99) == ()


def test_a_corrected_sheet_keeps_what_the_form_does_not_show() -> None:
    """Acts of the year and an attestation with more on it than the form has stay; what was changed counts."""
    paper = {
        "insured": {"nir": "179199934912194", "regime": "01", "caisse": "349", "centre": "0349",
                    "management_code": "10"},
        "attestation": {"start": "2026-01-01", "end": "2026-12-31"},
        "beneficiary": [{"name": "TEST", "first_name": "K", "birth_date": "1979-04-04", "address": ["1 RUE"],
                         "rights": [{"start": "2026-01-01"}], "coverage": []}],
    }  # fmt: skip
    patient = {"number": 1, "billed_this_year": {"TE2": 1}}
    kept = {"date": "2026-11-23", "acts": [{"code": "G"}], "mode": "without-vitale", "beneficiary": patient,
            "attestation": paper}  # fmt: skip
    form = CareForm.of_act(kept, "fr")
    assert form.to_corrected(kept)["attestation"] == paper
    assert form.to_corrected(kept)["beneficiary"]["billed_this_year"] == {"TE2": 1}
    other = CareForm.of_act({**kept, "attestation": {**paper, "ame": True}}, "fr")
    assert other.to_corrected(kept)["attestation"]["ame"] is True
