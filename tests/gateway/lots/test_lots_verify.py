"""The verifier of both ends: what stands, and every way in which it must not."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.lots.fse import Fse
from gateway.lots.lot import Lot
from gateway.lots.lot_file import parse_file
from gateway.lots.parties import PractitionerIds
from gateway.lots.refusal import LotRefusal
from gateway.lots.verify import verify_fse, verify_lot
from gateway.pki import VitaleAuthority
from gateway.records import security
from tests.gateway.lots.world import BILLING, NATIONAL_ID, NOW, OTHER_ID, World

SEED = 20261120


def refused_lot(world: World, data: bytes, **changes: object) -> LotRefusal:
    with pytest.raises(LotRefusal) as error:
        verify_lot(data, world.trust, world.vitale_authority, NOW, **changes)  # type: ignore[arg-type]
    return error.value


def refused_fse(world: World, fse: Fse, certificate: bytes | None = None) -> LotRefusal:
    with pytest.raises(LotRefusal) as error:
        verify_fse(fse, certificate or world.cps.certificate, world.vitale_authority)
    return error.value


@pytest.mark.parametrize("mode", [3, 4, 1])
def test_good_fse(world: World, mode: int) -> None:
    """A FSE signed as its mode asks is verified."""
    verify_fse(world.fse(1, mode=mode), world.cps.certificate, world.vitale_authority)


def test_good_lot(world: World, lot: Lot) -> None:
    """A signed lot is verified and names its signer and its invoices."""
    verified = verify_lot(lot.file, world.trust, world.vitale_authority, NOW)
    assert verified.certificate.der == world.cps.certificate
    assert verified.certificate.national_id == NATIONAL_ID
    assert verified.fses == lot.fses


def test_degraded_is_never_verified(world: World) -> None:
    """A degraded invoice or lot carries no signature and is not taken for a verified one."""
    fse = world.fse(1, mode=5)
    assert refused_fse(world, fse).error_code == "5003"
    lot = world.lot(fse, family="degraded")
    assert parse_file(lot.file).lots[0].family == "degraded"
    assert refused_lot(world, lot.file).error_code == "5001"


def test_every_byte_of_a_fse(world: World) -> None:
    """No changed byte of a FSE is verified: every position once, with a seeded other value."""
    good = world.fse(1)
    verify_fse(good, world.cps.certificate, world.vitale_authority)
    chance = random.Random(SEED)
    for at in range(len(good.records)):
        byte = (good.records[at] + chance.randrange(1, 256)) % 256
        changed = good.records[:at] + bytes([byte]) + good.records[at + 1 :]
        with pytest.raises(LotRefusal):
            verify_fse(Fse.parse(changed), world.cps.certificate, world.vitale_authority)


def test_bytes_of_a_lot(world: World, lot: Lot) -> None:
    """No changed byte of a file is verified: every position of the frame, a sample of the invoices."""
    verify_lot(lot.file, world.trust, world.vitale_authority, NOW)
    chance = random.Random(SEED)
    first = 256 + sum(len(fse.records) for fse in lot.fses)
    places = [*range(256), *range(first, len(lot.file)), *chance.sample(range(256, first), 300)]
    for at in places:
        byte = lot.file[at] ^ (1 << chance.randrange(8))
        refused_lot(world, lot.file[:at] + bytes([byte]) + lot.file[at + 1 :])


def test_signer_is_the_practitioner_inside(world: World) -> None:
    """A8: a FSE signed by another good card than that of the professional it names is refused."""
    draft = world.draft(1)
    verify_fse(world.sealed(draft), world.cps.certificate, world.vitale_authority)
    stolen = world.sealed(draft, cps=world.other_cps)
    assert refused_fse(world, stolen, world.other_cps.certificate).error_code == "5006"
    assert refused_fse(world, stolen).error_code == "5003"


def test_signer_of_the_lot_is_the_practitioner_inside(world: World) -> None:
    """I1: a lot signed by another good CPS is refused, whether it names itself or the victim."""
    lot = world.lot(world.fse(1), cps=world.other_cps)
    assert refused_lot(world, lot.file).error_code == "5006"
    other = PractitionerIds(BILLING, OTHER_ID, "DOCTEUR TEST DEUX")
    own = world.lot(
        world.sealed(world.draft(1, practitioner=other), cps=world.other_cps),
        national_id=OTHER_ID,
        cps=world.other_cps,
    )
    assert verify_lot(own.file, world.trust, world.vitale_authority, NOW).certificate.national_id == OTHER_ID


def test_mail_signer_is_the_lot_signer(world: World, lot: Lot) -> None:
    """L4: a mail signed by somebody else around a good lot is refused; by the same one it is accepted."""
    from gateway.cms.signed import sign, verify
    from gateway.pki import Purpose

    for signer, good in ((world.cps, True), (world.other_cps, False)):
        outer = verify(sign(b"mail", signer, NOW), world.trust, NOW, purpose=Purpose.CPS_SIGNATURE)
        if good:
            assert verify_lot(lot.file, world.trust, world.vitale_authority, NOW, signer=outer)
        else:
            assert refused_lot(world, lot.file, signer=outer).error_code == "5006"


def test_fse_moved_between_lots(world: World, lot: Lot) -> None:
    """L5: a FSE taken from one good lot and put in place of another is refused."""
    other = world.lot(world.fse(11), world.fse(12), world.fse(13))
    moved = lot.file.replace(lot.fses[0].records, other.fses[0].records)
    assert len(moved) == len(lot.file)
    assert refused_lot(world, moved).error_code == "5001"


def test_order_of_invoices_is_signed(world: World, lot: Lot) -> None:
    """Two invoices that change places are refused."""
    a, b = lot.fses[0].records, lot.fses[1].records
    assert refused_lot(world, lot.file.replace(a + b, b + a)).error_code == "5001"


def test_seals_exchanged(world: World) -> None:
    """A seal of another FSE, or a seal in place of a signature, is refused."""
    draft, other = world.draft(1), world.draft(2)
    signature = world.cps.sign_digest(draft.digest)
    borrowed = draft.sealed(world.seal(other.digest), world.vitale_certificate, signature)
    assert refused_fse(world, borrowed).error_code == "5004"
    twice = draft.sealed(signature, world.vitale_certificate, signature)
    assert refused_fse(world, twice).error_code == "5004"
    crossed = draft.sealed(world.seal(draft.digest), world.vitale_certificate, world.seal(draft.digest))
    assert refused_fse(world, crossed).error_code == "5003"


def test_vitale_of_another_authority(world: World) -> None:
    """A Vitale certificate that this authority did not sign is refused."""
    stranger = VitaleAuthority(b"VITTEST1", world.vitale_key.public_key())
    with pytest.raises(LotRefusal) as error:
        verify_fse(world.fse(1), world.cps.certificate, stranger)
    assert error.value.error_code == "5005"


def test_serial_of_the_card(world: World) -> None:
    """A FSE that names another card serial than its certificate is refused (opposition is by serial)."""
    from gateway.lots.fse import encode_fse
    from tests.gateway.lots.world import INSURED, PRACTITIONER, priced

    draft = encode_fse(
        1, NOW, PRACTITIONER, INSURED, world.request, priced(), vitale_serial="80250000000000000018"
    )
    assert refused_fse(world, world.sealed(draft)).error_code == "5005"


def test_expired_certificate(world: World, lot: Lot) -> None:
    """A lot read when its CPS certificate is over, or its lists stale, is refused in class S."""
    for later in (timedelta(days=30), timedelta(days=366 * 5)):
        with pytest.raises(LotRefusal) as error:
            verify_lot(lot.file, world.trust, world.vitale_authority, NOW + later)
        assert error.value.error_code == "5002"


def test_foreign_certificate_in_the_lot(world: World, lot: Lot) -> None:
    """The same key under a certificate that is no CPS signature certificate is refused."""
    from gateway.lots.lot import build_lot

    draft = build_lot(lot.header, lot.fses)
    forged = draft.signed(world.cps.sign_digest(draft.digest), world.receiver.certificate)
    assert refused_lot(world, forged.file).error_code == "5002"
    rubbish = draft.signed(world.cps.sign_digest(draft.digest), b"not a certificate")
    assert refused_lot(world, rubbish.file).error_code == "5002"


def test_stripped_lot(world: World, lot: Lot) -> None:
    """A signed lot without its 7L, 7S, 7C is refused."""
    start = lot.file.index(b"7" + BILLING.encode() + b"L")
    refusal = refused_lot(world, lot.file[:start] + lot.file[-256:])
    assert refusal.error_class == "F"


def test_refusal_names_the_invoice(world: World) -> None:
    """A wrong seal in the second invoice gives the record and number of that invoice."""
    draft = world.draft(2)
    bad = draft.sealed(world.seal(bytes(32)), world.vitale_certificate, world.cps.sign_digest(draft.digest))
    good = world.fse(1)
    refusal = refused_lot(world, world.lot(good, bad).file)
    assert (refusal.invoice, refusal.record) == (2, 3 + good.count)
    assert refusal.error_code == "5004"


def test_header_of_another_invoice(world: World) -> None:
    """A 7H that carries another invoice number than its invoice is refused."""
    records = world.fse(1).records
    at = records.index(b"H" + NATIONAL_ID.encode()) - 10
    head = security.SecurityStart.decode(records[at : at + 128])
    changed = security.SecurityStart.encode(**{**head, "invoice": 9})
    with pytest.raises(LotRefusal) as error:
        Fse.parse(records[:at] + changed + records[at + 128 :])
    assert error.value.error_code == "2005"


@pytest.mark.parametrize(
    ("name", "value"), [("mode", 5), ("mode", 2), ("third_party", 3), ("organism", "996")]
)
def test_header_that_lies(world: World, name: str, value: object) -> None:
    """A 7H with an impossible mode, payment or organism is refused before any signature."""
    records = world.fse(1).records
    at = records.index(b"H" + NATIONAL_ID.encode()) - 10
    head = security.SecurityStart.decode(records[at : at + 128])
    changed = security.SecurityStart.encode(**{**head, name: value})
    with pytest.raises(LotRefusal) as error:
        Fse.parse(records[:at] + changed + records[at + 128 :])
    assert error.value.error_class == "F"


def test_signatures_survive_nothing(world: World) -> None:
    """A mode changed from secured to "without Vitale" by dropping the seal is refused."""
    fse = world.fse(1)
    pieces = fse.records[: -(13 * 128)], fse.records[-(13 * 128) :]
    only_cps = pieces[0] + pieces[1][3 * 128 : 6 * 128]
    with pytest.raises(LotRefusal):
        Fse.parse(only_cps)
    assert replace(fse.invoice, seal=b"").seal == b""


def test_unused_bits_of_a_certificate(world: World, lot: Lot) -> None:
    """A CPS certificate whose signature claims unused bits (X.690 11.2.1) does not make a lot."""
    from gateway.lots.lot import build_lot

    der = world.cps.certificate
    assert der[-257] == 0
    draft = build_lot(lot.header, lot.fses)
    changed = draft.signed(world.cps.sign_digest(draft.digest), der[:-257] + b"\x01" + der[-256:])
    assert refused_lot(world, changed.file).error_code == "5002"


def test_thousand_pairs_of_signer_and_practitioner(world: World) -> None:
    """A8: of 1,000 FSE that name somebody else than the holder of the signing card, none is verified."""
    chance = random.Random(SEED)
    for number in range(1, 1001):
        national_id = f"8{chance.randrange(10**11):011d}"
        draft = world.draft(
            number, practitioner=PractitionerIds(BILLING, national_id, "DOCTEUR TEST"), mode=1
        )
        assert refused_fse(world, world.sealed(draft)).error_code == "5006"
    verify_fse(world.fse(1, mode=1), world.cps.certificate, world.vitale_authority)


def test_card_past_its_end(world: World) -> None:
    """A FSE made after the end of validity of its Vitale card is refused, on the last day it is accepted."""
    from gateway.lots.fse import encode_fse
    from tests.gateway.lots.world import INSURED, PRACTITIONER, SERIAL, priced

    for year, day, good in ((2030, 31, True), (2031, 1, False)):
        moment = NOW.replace(year=year, month=12 if good else 1, day=day)
        draft = encode_fse(1, moment, PRACTITIONER, INSURED, world.request, priced(), vitale_serial=SERIAL)
        if good:
            verify_fse(world.sealed(draft), world.cps.certificate, world.vitale_authority)
        else:
            assert refused_fse(world, world.sealed(draft)).error_code == "5005"
