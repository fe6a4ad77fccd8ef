"""A Vitale session against an emulated Vitale 2: free reading, card-to-card authentication, rights, seal."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from card.iso7816.apdu import CommandAPDU
from card.issuer import TestIssuer
from card.kernel.storage import MemoryStorage
from card.layout import vitale as layout
from card.personalise import load_profile, open_card, personalise
from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal, InputError
from reader.errors import CardProtocolError, SlotTaken

DIGEST = hashlib.sha256(b"a care sheet").digest()


def check_seal(certificate: bytes, seal: bytes, digest: bytes) -> None:
    modulus = int.from_bytes(layout.Certificate.decode(certificate).modulus, "big")
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    key.verify(seal, digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def test_open_reads_what_is_free(bench):
    """Serial, end of validity, certificate and the three holders are there after open."""
    session = VitaleSession.open(bench.connect("Vitale"))
    assert len(session.serial) == 20
    assert layout.Certificate.decode(session.certificate).serial.hex() == session.serial.lower()
    assert session.validity_end == layout.Certificate.decode(session.certificate).expiry
    assert len(session.holders) == 3
    assert not session.is_authenticated


def test_rights_and_seal_need_the_cps(bench):
    """Before authentication both are refused with the next action; after it both work."""
    session = VitaleSession.open(bench.connect("Vitale"))
    for act in (session.read_rights, lambda: session.seal(DIGEST)):
        with pytest.raises(
            CardRefusal, match=r"card in the Vitale slot refuses .*: present the PIN or the CPS"
        ) as no:
            act()
        assert no.value.code == "access-refused"
    session.authenticate(bench.verified_cps())
    assert session.is_authenticated
    rights = session.read_rights()
    assert rights.is_test
    assert rights.serial == session.serial
    assert len(rights.beneficiaries) == 3
    assert [b.first_name for b in rights.beneficiaries] == [h.first_name for h in session.holders]
    check_seal(session.certificate, session.seal(DIGEST), DIGEST)


def test_the_seal_is_over_the_digest(bench):
    """A seal does not verify over another digest, and only a SHA-256 is sealed."""
    session = VitaleSession.open(bench.connect("Vitale"))
    session.authenticate(bench.verified_cps())
    with pytest.raises(InvalidSignature):
        check_seal(session.certificate, session.seal(DIGEST), bytes(32))
    with pytest.raises(InputError):
        session.seal(bytes(20))


def test_one_exchange_per_seal(bench):
    """MSE SET goes once for many seals, and again after the rights were read."""
    session = VitaleSession.open(bench.connect("Vitale"))
    session.authenticate(bench.verified_cps())
    session.seal(DIGEST)
    before = bench.count("Vitale MANAGE SECURITY ENVIRONMENT")
    for _ in range(3):
        session.seal(DIGEST)
    assert bench.count("Vitale MANAGE SECURITY ENVIRONMENT") == before == 1
    session.read_rights()
    check_seal(session.certificate, session.seal(DIGEST), DIGEST)
    assert bench.count("Vitale MANAGE SECURITY ENVIRONMENT") == 2


def test_a_reset_ends_the_session(bench):
    """A reset asked on the connection is noticed by every call."""
    session, cps = VitaleSession.open(bench.connect("Vitale")), bench.verified_cps()
    session.connection.reset()
    for act in (session.read_rights, lambda: session.seal(DIGEST), lambda: session.authenticate(cps)):
        with pytest.raises(SlotTaken):
            act()


LIES = {
    "a short challenge": lambda c, a: a[8:] if c[1] == 0x84 else a,
    "no challenge": lambda c, a: b"\x90\x00" if c[1] == 0x84 else a,
    "challenge refused": lambda c, a: b"\x6f\x00" if c[1] == 0x84 else a,
}


@pytest.mark.parametrize("name", LIES)
def test_lies_about_the_challenge(bench, name):
    """A senseless challenge is never given to the CPS to sign."""
    bench.twist("Vitale", LIES[name])
    session, cps = VitaleSession.open(bench.connect("Vitale")), bench.verified_cps()
    with pytest.raises(CardProtocolError, match="card in the Vitale slot"):
        session.authenticate(cps)
    assert bench.count("INTERNAL AUTHENTICATE") == 0


def test_broken_rights_are_refused(bench):
    """A protected file that does not parse is one CardProtocolError that shows nothing of it."""
    armed = []
    bench.twist("Vitale", lambda c, a: a[:-3] + b"\x00\x90\x00" if armed and c[1] == 0xB0 else a)
    session = VitaleSession.open(bench.connect("Vitale"))
    session.authenticate(bench.verified_cps())
    assert session.read_rights().beneficiaries
    armed.append(True)
    with pytest.raises(CardProtocolError, match="card in the Vitale slot") as refused:
        session.read_rights()
    assert not any(holder.name in str(refused.value) for holder in session.holders)


def test_a_cps_without_its_pin_cannot_open_rights(bench):
    """Card-to-card authentication needs the PIN of the CPS; nothing is opened without it."""
    vitale = VitaleSession.open(bench.connect("Vitale"))
    with pytest.raises(CardRefusal, match="card in the CPS slot refuses to authenticate"):
        vitale.authenticate(CpsSession.open(bench.connect("CPS")))
    assert not vitale.is_authenticated
    with pytest.raises(CardRefusal):
        vitale.read_rights()


def test_a_cps_of_another_authority_is_refused(bench):
    """A CPS signed by strangers opens nothing; the one of the same authority does (twin)."""
    stranger, now = MemoryStorage(), datetime(2026, 3, 10, tzinfo=UTC)
    personalise(load_profile("cps-gp-sector1"), stranger, TestIssuer.make(now=now), now)
    bench.pull("CPS")
    bench.reader.insert("CPS", open_card(stranger))
    vitale = VitaleSession.open(bench.connect("Vitale"))
    with pytest.raises(CardRefusal, match="does not accept this CPS") as refused:
        vitale.authenticate(bench.verified_cps())
    assert refused.value.code == "cps-refused"
    with pytest.raises(CardRefusal):
        vitale.read_rights()
    bench.pull("CPS")
    bench.put_back("CPS")
    vitale.authenticate(bench.verified_cps())
    assert vitale.read_rights().beneficiaries


class _Replaying(CpsSession):
    """A CPS that answers every challenge with the answer to the first one."""

    def authenticate(self, data: bytes) -> bytes:
        self.first = getattr(self, "first", None) or super().authenticate(data)
        return self.first


def test_an_old_proof_is_worth_nothing(bench):
    """A recorded answer does not fit a new challenge (K5); the first use of it did."""
    cps = _Replaying.open(bench.connect("CPS"))
    cps.verify_pin(bench.pin)
    VitaleSession.open(bench.connect("Vitale")).authenticate(cps)
    again = VitaleSession.open(bench.connect("Vitale"))
    with pytest.raises(CardRefusal, match="does not accept this CPS"):
        again.authenticate(cps)
    assert not again.is_authenticated


def test_a_failed_authentication_ends_the_former_one(bench):
    """An authenticated session that authenticates again and fails is no longer authenticated."""
    cps = bench.verified_cps()
    session = VitaleSession.open(bench.connect("Vitale"))
    session.authenticate(cps)
    assert session.is_authenticated
    with pytest.raises(CardRefusal):
        session.authenticate(CpsSession.open(bench.connect("CPS")))
    assert not session.is_authenticated


def test_authentication_ends_with_the_session(bench):
    """After close the card has forgotten the CPS; a new session must authenticate again."""
    cps = bench.verified_cps()
    with VitaleSession.open(bench.connect("Vitale")) as session:
        session.authenticate(cps)
        session.read_rights()
    with pytest.raises(SlotTaken):
        session.read_rights()
    following = VitaleSession.open(bench.connect("Vitale"))
    with pytest.raises(CardRefusal):
        following.seal(DIGEST)


def test_leaving_the_application_ends_the_authentication(bench):
    """Selecting the MF drops the CPS status: the seal is refused afterwards (K4)."""
    session = VitaleSession.open(bench.connect("Vitale"))
    session.authenticate(bench.verified_cps())
    for aid in (layout.AID_MF, layout.AID_VITALE):
        assert session.connection.transmit(CommandAPDU(0, 0xA4, 4, 0x0C, aid)).sw == 0x9000
    with pytest.raises(CardRefusal):
        session.seal(DIGEST)


def test_the_wrong_card_is_named(bench_of):
    """A CPS in the Vitale slot is called a CPS, with what to do."""
    swapped = bench_of(Vitale="cps-gp-sector1", CPS="vitale-single")
    with pytest.raises(
        CardRefusal, match="The Vitale slot holds a CPS, a Vitale is expected there: swap"
    ) as no:
        VitaleSession.open(swapped.connect("Vitale"))
    assert no.value.code == "wrong-card"
    assert VitaleSession.open(swapped.connect("CPS")).holders
