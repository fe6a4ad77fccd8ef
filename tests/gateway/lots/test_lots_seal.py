"""Sealing a lot and opening it, under both policies."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from gateway.cms.policy import MODERN, SESAM, Policy
from gateway.errors import InputError
from gateway.lots.lot import Lot
from gateway.lots.refusal import LotRefusal
from gateway.lots.sealing import Envelope, Opened, SealedLot, open_sealed, seal, seal_content
from gateway.lots.verify import verify_lot
from gateway.pki import Purpose
from tests.gateway.lots.world import BILLING, NOW, World, seeded

SENDER, RECIPIENT = "cabinet@practice.test", "01349@349.01.rss.fr"


def sealed(world: World, lot: Lot, policy: Policy) -> SealedLot:
    return seal(
        lot,
        sender=SENDER,
        recipient=RECIPIENT,
        recipient_certificate=world.receiver.certificate,
        policy=policy,
        signer=world.cps if policy.signed else None,
        rng=seeded,
        now=NOW,
    )


def opened(world: World, message: bytes, policy: Policy, limit: int = 1 << 20) -> Opened:
    return open_sealed(
        message,
        key=world.receiver,
        policy=policy,
        trust=world.trust,
        purpose=Purpose.CPS_SIGNATURE,
        when=NOW,
        limit=limit,
    )


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
def test_round_trip(world: World, lot: Lot, policy: Policy) -> None:
    """What is sealed opens to the same file, outside and signer; the lot inside is verified."""
    one = sealed(world, lot, policy)
    back = opened(world, one.message, policy)
    assert back.payload == lot.file
    assert back.envelope == Envelope(
        SENDER, RECIPIENT, lot.header.sender, one.compostage, 3, "SESAMTEST/FSE/Z"
    )
    assert (back.signer is not None) is policy.signed
    verified = verify_lot(back.payload, world.trust, world.vitale_authority, NOW, signer=back.signer)
    assert verified.file.digest == one.digest


def test_identity(world: World, lot: Lot) -> None:
    """Id, numbers and digest of a sealed lot are those of the lot and its file."""
    one = sealed(world, lot, MODERN)
    assert one.id == f"00000{BILLING}-000007-2026112009300000007"
    assert (one.lot_number, one.count, one.sender, one.recipient) == (7, 3, SENDER, RECIPIENT)
    assert one.digest == sha256(lot.file).digest()


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
def test_content_is_hidden(world: World, lot: Lot, policy: Policy) -> None:
    """Neither a record nor the description of the content can be read on the mail."""
    message = sealed(world, lot, policy).message
    assert b"SESAMTEST" not in message
    assert lot.fses[0].records[:40] not in message


def test_one_answer_to_everything_that_fails(world: World, lot: Lot) -> None:
    """A9: damage anywhere, the wrong profile, a bomb: one sentence, one code; the reason stays inside."""
    good = sealed(world, lot, MODERN).message
    damaged = [
        b"",
        good[:100],
        good[: len(good) // 2],
        good.replace(b"SV010000/", b"SV01000X/"),
        good.replace(b"authEnveloped-data", b"enveloped-data"),
        *(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(700, len(good), 997)),
        sealed(world, lot, SESAM).message,
    ]
    answers = set()
    for message in damaged:
        with pytest.raises(LotRefusal) as error:
            opened(world, message, MODERN)
        answers.add((str(error.value), error.value.error_code, error.value.error_class, error.value.invoice))
    with pytest.raises(LotRefusal) as error:
        opened(world, good, MODERN, limit=1000)
    assert error.value.reason
    answers.add((str(error.value), error.value.error_code, error.value.error_class, error.value.invoice))
    assert len(answers) == 1
    assert opened(world, good, MODERN).payload == lot.file


def test_profiles_are_never_mixed(world: World, lot: Lot) -> None:
    """A message of one profile is refused under the other, both ways."""
    for written, read in ((MODERN, SESAM), (SESAM, MODERN)):
        with pytest.raises(LotRefusal):
            opened(world, sealed(world, lot, written).message, read)


def test_signing_profile_needs_a_signer(world: World) -> None:
    """A payload is not sealed unsigned under a profile that signs."""
    envelope = Envelope(SENDER, RECIPIENT, "00000" + BILLING, "2026112009300000007", 1, "SESAM/ARL/Z")
    arguments = {
        "recipient_certificate": world.receiver.certificate, "signer": None, "rng": seeded, "now": NOW,
    }  # fmt: skip
    with pytest.raises(InputError, match="signer"):
        seal_content(b"payload", envelope, policy=MODERN, **arguments)  # type: ignore[arg-type]
    message = seal_content(b"payload", envelope, policy=SESAM, **arguments)  # type: ignore[arg-type]
    assert opened(world, message, SESAM).payload == b"payload"


def test_degraded_lots_travel_as_b2(world: World) -> None:
    """A degraded lot is described as IRIS/B2 and its subject begins with IR."""
    lot = world.lot(world.fse(1, mode=5), family="degraded")
    one = sealed(world, lot, SESAM)
    assert opened(world, one.message, SESAM).envelope.description == "IRISTEST/B2/Z"
    assert b"Subject: IR" in one.message
    real = replace(lot, header=replace(lot.header, test=False))
    assert opened(world, sealed(world, real, SESAM).message, SESAM).envelope.description == "IRIS/B2/Z"
