"""A DRE goes to a complementary insurer: who that is stands in record 2, and only its share is asked."""

from __future__ import annotations

import pytest

from gateway.errors import InputError
from gateway.lots.modes import mode_of
from gateway.lots.organism import Complementary, Organism, destination_of


def test_an_insurer_as_destination() -> None:
    """Ten digits give key, type, fourteen digits and address; the domain is no part of who it is."""
    insurer = Complementary("0099999998", "RESTEST.TM.FR")
    assert (insurer.key, insurer.destination_type, insurer.organism) == ("amc-0099999998", "OC", "998")
    assert (insurer.number, insurer.address) == ("10000099999998", "0099999998@RESTEST.TM.FR")
    assert insurer == Complementary("0099999998")


@pytest.mark.parametrize("number", ["", "99999998", "0000000000", "00999999A8"])
def test_no_insurer(number: str) -> None:
    """Another length, zeros only, a letter: refused without the number; ten digits are taken."""
    with pytest.raises(InputError, match="ten digits"):
        Complementary(number)
    assert Complementary("0099999998").b2_number == "0099999998"


def test_fourteen_digits_name_one_party() -> None:
    """Every organism and every insurer comes back from its fourteen digits; anything else is refused."""
    for party in (Organism("01", "999", "349"), Organism("99", "999", "998"), Complementary("0099999998")):
        assert destination_of(party.number) == party
    for number in ("", "1", "0000000199934X"):
        with pytest.raises(InputError, match="fourteen digits"):
            destination_of(number)


def test_demands_are_a_family_of_their_own() -> None:
    """Demands share no lot with invoices; the professional signs them, the Vitale card does not."""
    mode = mode_of(9)
    assert (mode.family, mode.cps, mode.vitale, mode.header) == ("dre", True, False, True)
    assert mode.family not in {mode_of(code).family for code in (1, 3, 4, 5)}
