"""Degraded lots: nobody signed; they pass only where they are expected, and say who pays in B2 itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.lots.fse import Fse, Rectified, encode_fse
from gateway.lots.lot import build_lot
from gateway.lots.refusal import LotRefusal
from gateway.lots.verify import verify_lot
from gateway.records import b2, security
from tests.gateway.lots.world import INSURED, NOW, PRACTITIONER, World, header, priced

DEGRADED = replace(header(), family="degraded")


@pytest.mark.parametrize(("third_party", "digit"), [("none", b"0"), ("amo", b" "), ("full", b"2")])
def test_third_party_payment_in_record_5(world: World, third_party: str, digit: bytes) -> None:
    """Position 128 of record 5 says it where there is no 7H; an invoice with 7H leaves it blank."""
    fse = world.fse(1, mode=5, price=priced(third_party=third_party))
    assert (fse.records[-1:], fse.view().third_party) == (digit, third_party)
    signed = world.fse(1, mode=1, price=priced(third_party=third_party))
    end = b2.InvoiceEnd.decode(signed.records[3 * 128 : 4 * 128])
    assert (end["third_party"], signed.view().third_party) == ("", third_party)


def test_another_digit_in_record_5(world: World) -> None:
    """A digit that is none of them is refused at its position."""
    fse = world.fse(1, mode=5)
    with pytest.raises(LotRefusal, match="position 128"):
        Fse.parse(fse.records[:-1] + b"7")


def test_only_where_they_are_expected(world: World) -> None:
    """A lot without signatures is refused (5001) as FSE; announced as degraded it is taken."""
    lot = build_lot(DEGRADED, [world.fse(1, mode=5)]).signed()
    with pytest.raises(LotRefusal) as caught:
        verify_lot(lot.file, world.trust, world.vitale_authority, NOW)
    assert caught.value.error_code == "5001"
    taken = verify_lot(lot.file, world.trust, world.vitale_authority, NOW, degraded=True)
    assert (taken.certificate, len(taken.fses)) == (None, 1)


def test_a_signed_lot_stays_signed(world: World) -> None:
    """Announcing a signed lot as degraded spares it no check: a broken signature is refused all the same."""
    lot = world.lot(world.fse(1))
    verify_lot(lot.file, world.trust, world.vitale_authority, NOW, degraded=True)
    broken = world.lot(world.fse(1), cps=world.other_cps)
    with pytest.raises(LotRefusal) as caught:
        verify_lot(broken.file, world.trust, world.vitale_authority, NOW, degraded=True)
    assert caught.value.error_class == "S"


def test_the_refused_invoice_in_7h(world: World) -> None:
    """7H names the invoice that is rectified and its day, under both signatures; without one it is blank."""
    draft = encode_fse(
        2, NOW, PRACTITIONER, INSURED, world.request, priced(), mode=1, cps_serial="42",
        rectified=Rectified(1, NOW),
    )  # fmt: skip
    fse = world.sealed(draft)
    head = security.SecurityStart.decode(draft.records[-128:])
    assert (fse.invoice.rectifies, head["rectifies"], head["rectified_date"]) == (1, "000000001", "261120")
    assert world.fse(1).invoice.rectifies == 0
    wrong = security.SecurityStart.encode(**head | {"rectifies": "1A"})
    with pytest.raises(LotRefusal, match="position 107"):
        Fse.parse(draft.records[:-128] + wrong + fse.records[len(draft.records) :])
