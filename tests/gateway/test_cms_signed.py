"""Signing and verifying: what goes in comes out, said by the one who signed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cms import attributes, reading
from gateway.cms.refusal import SENTENCE, Refused
from gateway.cms.signed import SoftwareSigner, sign, verify
from gateway.errors import TrustError
from gateway.pki import Purpose
from tools.pki.broken import HOLDER
from tools.pki.workbench import CONTENT, Workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("signed"))


@given(content=st.binary(min_size=0, max_size=2000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_comes_back(bench: Workbench, content: bytes) -> None:
    """Content, signer and time come back from what was signed; the same inputs give the same bytes (C1)."""
    encoded = sign(content, bench.cps, bench.now)
    who = verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    assert (who.content, who.signing_time) == (content, bench.now)
    assert who.certificate.national_id == HOLDER
    assert sign(content, bench.cps, bench.now) == encoded


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 255, 256, 65_535, 65_536, 1_000_000])
def test_sizes_around_length_octets(bench: Workbench, size: int) -> None:
    """Contents whose lengths need 1 to 4 octets, read by both readers."""
    encoded = sign(bytes(size), bench.cps, bench.now)
    assert len(verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE).content) == size
    assert len(reading.read_signed(encoded).content) == size


def test_any_time_zone_is_the_same_moment(bench: Workbench) -> None:
    """Times are written in UTC whatever zone they come in."""
    paris = bench.now.astimezone(timezone(timedelta(hours=1)))
    assert sign(CONTENT, bench.cps, paris) == sign(CONTENT, bench.cps, bench.now)


@pytest.mark.parametrize(
    ("moment", "encoded"),
    [
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
    ],
)
def test_time_changes_form_in_2050(moment: datetime, encoded: bytes) -> None:
    """UTCTime until 2049, GeneralizedTime from 2050 (RFC 5652 11.3)."""
    assert attributes._time(moment) == encoded
    assert attributes._read_time(encoded) == moment


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x18\x0f20261122120000Z",
        b"\x17\x0b2611221200Z",
        b"\x17\x0d261322120000Z",
        b"\x17\x11261122120000+0100",
        b"\x17\x0d2611221200\xb2\xb20Z",
    ],
)
def test_other_forms_of_time_are_refused(encoded: bytes) -> None:
    """GeneralizedTime too early, no seconds, month 13, a zone, digits that are not ASCII."""
    assert attributes._read_time(b"\x17\x0d261122120000Z").year == 2026
    with pytest.raises(Refused):
        attributes._read_time(encoded)


def test_a_signer_that_returns_something_else(bench: Workbench) -> None:
    """A card that answers with the wrong number of bytes is noticed before anything is sealed."""

    class Short:
        certificate = bench.cps.certificate

        def sign_digest(self, digest: bytes) -> bytes:
            return digest

    with pytest.raises(TrustError, match="insert the card again"):
        sign(CONTENT, Short(), bench.now)
    assert sign(CONTENT, bench.cps, bench.now)


def test_the_signer_gets_the_digest_once(bench: Workbench) -> None:
    """One signature, one 32-byte digest: a card is asked once."""
    asked = []

    class Counting(SoftwareSigner):
        def sign_digest(self, digest: bytes) -> bytes:
            asked.append(len(digest))
            return super().sign_digest(digest)

    sign(CONTENT, Counting(bench.key, bench.cps.certificate), bench.now)
    assert asked == [32]


def test_another_key_under_the_certificate(bench: Workbench) -> None:
    """A certificate with somebody else's key is signed without complaint, and refused by every reader."""
    other = SoftwareSigner(bench.receiver.decryption.private_key, bench.cps.certificate)
    with pytest.raises(Refused):
        verify(sign(CONTENT, other, bench.now), bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)


def test_purposes_are_kept_apart(bench: Workbench) -> None:
    """A receipt signed by the receiver is good as such, and not as a practitioner's signature."""
    receipt = sign(CONTENT, bench.receiver.signer, bench.now)
    who = verify(receipt, bench.trust, bench.now, purpose=Purpose.RECEIVER_SIGNATURE)
    assert who.certificate.national_id == ""
    for purpose in set(Purpose) - {Purpose.RECEIVER_SIGNATURE}:
        with pytest.raises(Refused):
            verify(receipt, bench.trust, bench.now, purpose=purpose)


def test_refusals_show_nothing(bench: Workbench) -> None:
    """The text is always the same; content and names are in no repr (A11)."""
    encoded = sign(b"TEST-SECRET", bench.cps, bench.now)
    who = verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    assert "SECRET" not in repr(who)
    assert HOLDER not in repr(who)
    for damaged in (b"", b"\x30\x00", encoded[:-1], encoded + b"\x00", b"-" * 100):
        with pytest.raises(Refused) as refused:
            verify(damaged, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
        assert str(refused.value) == SENTENCE
        assert "SECRET" not in refused.value.reason


def test_threads_share_templates_and_trust(bench: Workbench) -> None:
    """Signing and verifying from several threads at once gives what one thread gives."""
    wanted = sign(CONTENT, bench.cps, bench.now)
    results: list[bool] = []

    def work() -> None:
        for _ in range(25):
            encoded = sign(CONTENT, bench.cps, bench.now)
            who = verify(encoded, bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
            results.append((encoded, who.content) == (wanted, CONTENT))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 100
