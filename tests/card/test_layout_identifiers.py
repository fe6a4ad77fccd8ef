"""NIR, Luhn and the identifiers built on them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.layout.identifiers import (
    IdentifierError,
    check_billing_number,
    check_finess,
    check_rpps,
    luhn_digit,
    national_id,
    organism_key,
    passes_luhn,
)
from card.layout.nir import NirError, check_nir, is_test_nir, nir_key

GOLDEN = {
    "2501962643002": 68,
    "2501962643502": 53,
    "1850760057018": 18,
    "180012A001001": 61,
    "180012B001001": 88,
}
DIGITS = st.text("0123456789", min_size=1, max_size=30)


@pytest.mark.parametrize(("nir", "key"), GOLDEN.items())
def test_golden_keys(nir: str, key: int) -> None:
    """The published keys, Corsica included (billing facts 10.1)."""
    assert nir_key(nir) == key
    assert check_nir(f"{nir} {key:02d}") == f"{nir}{key:02d}"


@pytest.mark.parametrize(
    ("nir", "why"),
    [
        ("250196264300269", "key"),
        ("25019626430026", "15 characters"),
        ("950196264300268", "starts with"),
        ("2501962643002AA", "digits"),
        ("250192C43002168", "13 digits"),
    ],
)
def test_wrong_nir(nir: str, why: str) -> None:
    """A wrong NIR is refused, and the sentence never shows the number."""
    with pytest.raises(NirError, match=why) as refused:
        check_nir(nir)
    assert nir[:8] not in str(refused.value)


@given(st.integers(0, 12), st.integers(1, 9), st.sampled_from(sorted(GOLDEN)))
@settings(max_examples=200, deadline=None)
def test_one_wrong_digit_is_noticed(place: int, shift: int, nir: str) -> None:
    """Changing one digit changes the key (97 is prime and no digit weighs a multiple of it)."""
    if not nir[place].isdigit():
        return
    changed = nir[:place] + str((int(nir[place]) + shift) % 10) + nir[place + 1 :]
    try:
        assert nir_key(changed) != GOLDEN[nir]
    except NirError:
        assert place == 0 or nir[6] in "AB"


def test_test_numbers_belong_to_nobody() -> None:
    """Months 13-19 and 43-49 are test numbers; real months and the registers' 20-42 are not."""
    assert is_test_nir("2501962643002")
    assert is_test_nir("2504362643002")
    assert not any(is_test_nir(f"250{month:02d}62643002") for month in (1, 12, 20, 42, 50, 99))


@given(DIGITS)
@settings(max_examples=200, deadline=None)
def test_luhn_digit_completes(digits: str) -> None:
    """Digits with their Luhn digit pass; with any other they do not."""
    good = luhn_digit(digits)
    assert [last for last in range(10) if passes_luhn(f"{digits}{last}")] == [good]


def test_practitioner_numbers() -> None:
    """Real-looking, test and published numbers pass; a wrong key, letters or another prefix do not."""
    assert check_billing_number("991011974") == "991011974"
    assert check_billing_number("991068040") == "991068040"
    assert national_id("99900000011") == "899900000011"
    assert check_finess("990781056") == "990781056"
    assert organism_key("349") == luhn_digit("349")
    for check, number in (
        (check_billing_number, "991011975"),
        (check_rpps, "99900000012"),
        (check_rpps, "29900000011"),
        (check_finess, "990781057"),
        (check_finess, "2C0781056"),
    ):
        with pytest.raises(IdentifierError) as refused:
            check(number)
        assert number not in str(refused.value)


def test_finess_of_corsica() -> None:
    """The letter of 2A and 2B is read as 0 for the key."""
    key = luhn_digit("20000001")
    assert check_finess(f"2A000001{key}") == f"2A000001{key}"
    with pytest.raises(IdentifierError):
        check_finess(f"2A000001{(key + 1) % 10}")
