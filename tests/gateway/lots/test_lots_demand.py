"""The DRE of any FSE, and an FSE between its two signatures: the records say the same on both sides."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from gateway.errors import InputError
from gateway.lots.demand import demand_of
from gateway.lots.half_sealed import HalfSealed
from gateway.lots.invoice import SIZE
from gateway.lots.lot import build_lot
from gateway.lots.lot_file import parse_file
from gateway.lots.organism import Complementary
from gateway.lots.refusal import LotRefusal
from gateway.lots.verify import verify_fse, verify_seal
from tests.gateway.lots.world import INSURED, World, header, priced

INSURER = Complementary("0099999998", "insurer.test")
COVERED = replace(INSURED, complementary_number=INSURER.b2_number)
CODES = st.lists(st.sampled_from(["G", "MCG", "MEG", "DEQP003", "3400936485464"]), min_size=1, max_size=8)


def price_of(codes: list[str], unit: int):  # type: ignore[no-untyped-def]
    """A price whose coded acts have their letters."""
    usual = priced(codes=tuple(codes), unit=unit, third_party="full")
    lines = tuple(replace(line, letters="ATM" if len(line.code) > 5 else "") for line in usual.lines)
    return replace(usual, lines=lines)


@settings(max_examples=40, deadline=None)
@given(codes=CODES, unit=st.integers(10, 900_000))
def test_any_demand(codes: list[str], unit: int) -> None:
    """Same lines, same person, no AMO, all of AMC; signed by the CPS it is verified and fills a lot."""
    world = World.load()
    fse = world.fse(7, insured=COVERED, price=price_of(codes, unit))
    draft = demand_of(fse.records, INSURER)
    dre = draft.sealed(cps_signature=world.cps.sign_digest(draft.digest))
    ours, theirs = fse.view(), dre.view()
    assert (theirs.number, theirs.nir, theirs.destination) == (ours.number, ours.nir, INSURER)
    assert [(one.code, one.base_cents, one.amc_cents, one.charged_cents) for one in theirs.lines] == [
        (one.code, one.base_cents, one.amc_cents, one.charged_cents) for one in ours.lines
    ]
    assert (theirs.amo_cents, theirs.amc_cents) == (0, ours.amc_cents)
    verify_fse(dre, world.cps.certificate, world.vitale_authority)
    lot = build_lot(replace(header(), family="dre", destination=INSURER), [dre])
    file = lot.signed(world.cps.sign_digest(lot.digest), world.cps.certificate).file
    assert parse_file(file).destination == INSURER.number


def test_a_demand_is_made_before_or_after_signing(world: World) -> None:
    """The FSE's seals are no part of its DRE: the draft is the same from the half and from the whole."""
    draft = world.draft(7, insured=COVERED, price=price_of(["G"], 3000))
    assert demand_of(world.sealed(draft).records, INSURER) == demand_of(draft.records, INSURER)


def test_half_sealed(world: World) -> None:
    """Sealed by the Vitale, kept, read back, signed: a whole FSE of mode 4 that both ends verify."""
    draft = world.draft(7, mode=4)
    half = HalfSealed(draft, world.seal(draft.digest), world.vitale_certificate)
    verify_seal(draft, half.seal, half.certificate, world.vitale_authority)
    kept = HalfSealed.parse(half.to_bytes())
    fse = kept.signed(world.cps.sign_digest(kept.draft.digest))
    verify_fse(fse, world.cps.certificate, world.vitale_authority)
    assert (kept, kept.destination, fse.mode) == (half, fse.destination, 4)


@pytest.mark.parametrize("cut", [0, 1, 3, 6])
def test_what_is_no_half(world: World, cut: int) -> None:
    """A whole FSE, a draft without its seal, pieces of one: refused in one sentence."""
    draft = world.draft(7, mode=4)
    half = HalfSealed(draft, world.seal(draft.digest), world.vitale_certificate)
    assert HalfSealed.parse(half.to_bytes()).number == 7
    for wrong in (half.to_bytes()[: cut * SIZE], world.fse(7, mode=4).records, draft.records):
        with pytest.raises(InputError):
            HalfSealed.parse(wrong)


def test_a_seal_of_another_digest(world: World) -> None:
    """A seal over other records is refused when it is made, not when the CPS comes."""
    draft, other = world.draft(7, mode=4), world.draft(8, mode=4)
    with pytest.raises(LotRefusal) as caught:
        verify_seal(draft, world.seal(other.digest), world.vitale_certificate, world.vitale_authority)
    assert caught.value.error_code == "5004"
