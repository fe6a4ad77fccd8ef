"""Golden messages: a signature that never changes, and mails of both profiles that must stay readable."""

from __future__ import annotations

import pytest

from gateway.cms.policy import policy_named
from gateway.cms.signed import verify
from gateway.lots.refusal import LotRefusal
from gateway.lots.sealing import open_sealed
from gateway.pki import Purpose
from tests.gateway.lots.make_vectors import signed_message
from tests.gateway.lots.world import NOW, VECTORS, World, read_hex


def test_signed_message_never_changes(world: World) -> None:
    """The CMS signature over the golden lot is the committed one, byte for byte, and verifies."""
    kept = read_hex(VECTORS / "signed.cms.hex")
    assert signed_message(world) == kept
    signer = verify(kept, world.trust, NOW, purpose=Purpose.CPS_SIGNATURE)
    assert signer.content == (VECTORS / "lot.b2").read_bytes()


@pytest.mark.parametrize("name", ["modern", "sesam"])
def test_old_mails_stay_readable(world: World, name: str) -> None:
    """A mail sealed in the past opens to the golden lot; one octet changed in its body, it does not."""
    mail = (VECTORS / f"mail-{name}.eml").read_bytes()
    how = {
        "key": world.receiver,
        "policy": policy_named(name),
        "trust": world.trust,
        "purpose": Purpose.CPS_SIGNATURE,
        "when": NOW,
    }
    assert open_sealed(mail, **how).payload == (VECTORS / "lot.b2").read_bytes()  # type: ignore[arg-type]
    middle = len(mail) * 2 // 3
    other = b"A" if mail[middle : middle + 1] != b"A" else b"B"
    with pytest.raises(LotRefusal):
        open_sealed(mail[:middle] + other + mail[middle + 1 :], **how)  # type: ignore[arg-type]
