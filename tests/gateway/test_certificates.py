"""Certificates over the years: the one in force is used, ends are announced, a new pair is tried before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from card.issuer import fake_name, private_pem
from gateway.certificates import (
    expiries,
    keys_of,
    receiver_in_force,
    rehearse_own,
    rehearse_receiver,
)
from gateway.clock import SimulatedClock, system_rng
from gateway.cms.enveloped import DecryptionKey
from gateway.cms.policy import MODERN, SESAM, policy_named
from gateway.errors import GatewayError, InputError, TrustError
from gateway.lots.sealing import Envelope, seal_content
from gateway.practice import Practice
from gateway.returns import opener
from tools.pki import Authority
from tools.pki.keys import numbered_key
from tools.pki.workbench import NOW, Workbench

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """An authority of the test's own."""
    return Workbench.make(tmp_path_factory.mktemp("certificates"))


def pair(
    bench: Workbench, begins: datetime, ends: datetime, *, key: int = 7, usage: str = "key_encipherment"
) -> DecryptionKey:
    """A pair for these days."""
    private = numbered_key(key)
    certificate = bench.authority.facturation.issue(
        fake_name("CABINET TEST"), private.public_key(), key_usage=(usage,),
        not_before=begins, not_after=ends, serial=1000 + int(begins.timestamp()) % 10**6,
    )  # fmt: skip
    return DecryptionKey(private, certificate.public_bytes(Encoding.DER))


def practice_of(bench: Workbench, *receivers: bytes, own: tuple[DecryptionKey, ...] = ()) -> Practice:
    """A practice that holds these certificates; nothing else of it is looked at."""
    own = own or (bench.authority.practice_keys("cabinet").decryption,)
    known = receivers or (bench.receiver.decryption.certificate,)
    nothing = cast("Any", None)
    return Practice(
        id="cabinet", address="cabinet@practice.test", store=nothing, clock=SimulatedClock(NOW),
        rng=system_rng, tables=nothing, trust=bench.trust, vitale_authority=nothing, opposition=nothing,
        policy=MODERN, receiver_certificate=known[0], decryption=own[0],
        other_receivers=known[1:], other_keys=own[1:],
    )  # fmt: skip


def test_the_newest_certificate_whose_days_have_begun_is_used(bench: Workbench) -> None:
    """Old and new overlap: the old one until the new one begins, the new one from that moment on."""
    trust = bench.authority.trust()
    begins = NOW + 2 * DAY
    old = bench.receiver.decryption.certificate
    new = pair(bench, begins, NOW + 800 * DAY).certificate
    for order in ((old, new), (new, old)):
        practice = replace(practice_of(bench, *order), trust=trust)
        assert receiver_in_force(practice, begins - timedelta(seconds=1)) == old
        assert receiver_in_force(practice, begins) == new


def test_a_lone_certificate_that_ended_is_refused(bench: Workbench) -> None:
    """Nothing is in force: the sentence names day and remedy; with a newer one beside it, that one is."""
    ended = pair(bench, NOW - 0.5 * DAY, NOW - 0.1 * DAY).certificate
    with pytest.raises(TrustError, match=r"expired on .*fetch the receiver's present certificate"):
        receiver_in_force(practice_of(bench, ended), NOW)
    good = bench.receiver.decryption.certificate
    assert receiver_in_force(practice_of(bench, ended, good), NOW) == good


def returned(bench: Workbench, key: DecryptionKey, policy: str) -> bytes:
    """A return of the receiver for this key."""
    envelope = Envelope(
        "01349@349.01.rss.fr", "cabinet@practice.test", "0" * 14, "2026112209300000001", 1, "X/Y"
    )
    return seal_content(
        b"content", envelope, recipient_certificate=key.certificate, policy=policy_named(policy),
        signer=bench.receiver.signer, rng=system_rng, now=NOW,
    )  # fmt: skip


@pytest.mark.parametrize("policy", ["modern", "sesam"])
def test_returns_open_with_the_old_key_and_with_the_new_one(bench: Workbench, policy: str) -> None:
    """During the overlap both open, in both profiles; a return for a key that is gone does not."""
    old, new, gone = (pair(bench, NOW - n * 0.1 * DAY, NOW + 400 * DAY, key=6 + n) for n in (3, 2, 1))
    practice = replace(practice_of(bench, own=(old, new)), policy=policy_named(policy))
    assert keys_of(practice) == (new, old)
    for key in (old, new):
        with pytest.raises(InputError, match="neither an ARL nor a NOEMIE"):  # opened: only its kind is odd
            opener(practice)(returned(bench, key, policy))
    with pytest.raises(GatewayError, match="cannot be opened"):
        opener(practice)(returned(bench, gone, policy))


def test_every_end_is_announced_thirty_days_ahead(bench: Workbench) -> None:
    """Practice, receiver, CPS, authorities and lists: silent long before, near from 30 days, over after."""
    ends = NOW + 400 * DAY
    own, receiver = pair(bench, NOW - DAY / 2, ends), pair(bench, NOW - DAY / 2, ends, key=8)
    practice = practice_of(bench, receiver.certificate, own=(own,))
    cps = pair(bench, NOW - DAY / 2, ends, key=9).certificate
    named = [one.what for one in expiries(practice, NOW, cps)]
    assert [one for one in named if "authority" in one]
    assert [one for one in named if "revocation list" in one]
    mine = (
        "the receiver's certificate",
        "the certificate of the practice",
        "the certificate of the CPS in its slot",
    )
    for when, near, days, words in (
        (ends - 31 * DAY, False, 31, "ends in 31 days"),
        (ends - 30 * DAY, True, 30, "ends in 30 days"),
        (ends - DAY, True, 1, "ends in 1 day "),
        (ends - DAY / 2, True, 0, "ends within a day"),
        (ends + DAY / 2, True, -1, "ended on"),
    ):
        found = {one.what: one for one in expiries(practice, when, cps)}
        for what in mine:
            one = found[what]
            assert (one.is_near, one.days_left) == (near, days), (when, one)
            assert words in one.says
            assert one.says.startswith(what)


def test_a_list_is_announced_in_its_last_days(bench: Workbench) -> None:
    """A list that lives for a week is no news on its first day, and is in its last two."""
    practice = practice_of(bench)

    def near(when: datetime) -> set[bool]:
        return {one.is_near for one in expiries(practice, when) if "revocation" in one.what}

    assert near(NOW) == {False}
    assert near(NOW + 5 * DAY) == {True}


def test_an_old_pair_beside_its_successor_is_no_news(bench: Workbench) -> None:
    """While a newer certificate of the same kind is there, the end of the older one is not announced."""
    old, new = pair(bench, NOW - DAY / 2, NOW + 5 * DAY), pair(bench, NOW, NOW + 500 * DAY, key=8)
    found = [
        one for one in expiries(practice_of(bench, own=(old, new)), NOW) if one.what.endswith("the practice")
    ]
    assert [one.is_near for one in found] == [False]
    alone = [
        one for one in expiries(practice_of(bench, own=(old,)), NOW) if one.what.endswith("the practice")
    ]
    assert [one.is_near for one in alone] == [True]


def test_files_are_named(bench: Workbench) -> None:
    """What was read from a trust folder is told with its file."""
    found = expiries(practice_of(bench), NOW)
    assert {Path(one.path).name for one in found if "revocation" in one.what} == {
        "root.crl", "cps.crl", "facturation.crl",
    }  # fmt: skip


def write(folder: Path, made: DecryptionKey, name: str = "new") -> tuple[Path, Path]:
    """The pair as files."""
    certificate, key = folder / f"{name}.cert.pem", folder / f"{name}.key.pem"
    pem = as_pem(made.certificate)
    certificate.write_bytes(pem)
    key.write_bytes(private_pem(made.private_key))
    return certificate, key


def as_pem(der: bytes) -> bytes:
    """DER as PEM."""
    from cryptography import x509

    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
def test_a_pair_is_tried_before_it_is_in_force(bench: Workbench, tmp_path: Path, policy: Any) -> None:
    """A good pair that begins in ten days passes today, and is told when it takes over."""
    held = bench.authority.practice_keys("cabinet").decryption.certificate
    begins = NOW + 10 * DAY
    files = write(tmp_path, pair(bench, begins, NOW + 2000 * DAY))
    tried = rehearse_own(*files, bench.trust, policy, NOW, system_rng, held)
    assert tried.begins == begins.replace(microsecond=0)
    assert tried.remarks == (
        f"it takes over by itself on {begins:%Y-%m-%d}: name it in the settings beside the old",
    )
    receiver = rehearse_receiver(files[0], bench.trust, policy, NOW, system_rng, held)
    assert receiver.begins == tried.begins


def test_what_is_wrong_with_a_pair_is_said_before_it_is_in_force(bench: Workbench, tmp_path: Path) -> None:
    """Another key, a foreign authority, the wrong use, an end that is past: refused today, file first."""
    held = bench.authority.practice_keys("cabinet").decryption.certificate

    def attempt(certificate: Path, key: Path) -> str:
        with pytest.raises(GatewayError) as refused:
            rehearse_own(certificate, key, bench.trust, MODERN, NOW, system_rng, held)
        assert str(refused.value).startswith(str(tmp_path)), refused.value
        return str(refused.value)

    good = write(tmp_path, pair(bench, NOW, NOW + 900 * DAY), "good")
    other = write(tmp_path, pair(bench, NOW, NOW + 900 * DAY, key=8), "other")
    assert "is not the key of" in attempt(good[0], other[1])
    signer = write(tmp_path, pair(bench, NOW, NOW + 900 * DAY, usage="digital_signature"), "signer")
    assert "not made for this use" in attempt(*signer)
    past = write(tmp_path, pair(bench, NOW - DAY / 2, NOW - DAY / 4), "past")
    assert "expired on" in attempt(*past)
    stranger = Authority.create(tmp_path / "stranger", NOW, key_source=lambda: numbered_key(8))
    foreign = write(tmp_path, stranger.practice_keys("cabinet").decryption, "foreign")
    assert "not issued by an authority known here" in attempt(*foreign)
    rehearse_own(*good, bench.trust, MODERN, NOW, system_rng, held)


def remarks(bench: Workbench, tmp_path: Path, old: DecryptionKey, new: DecryptionKey) -> str:
    """What is remarked about the new one beside the old one."""
    files = write(tmp_path, new)
    tried = rehearse_own(*files, bench.trust, MODERN, NOW, system_rng, old.certificate)
    return " ".join(tried.remarks)


def test_remarks_of_a_rehearsal(bench: Workbench, tmp_path: Path) -> None:
    """A gap, an earlier end, the same key, the same certificate: each is remarked; a plain change is not."""
    old = pair(bench, NOW - DAY / 2, NOW + 20 * DAY)
    assert "nothing is in force from" in remarks(
        bench, tmp_path, old, pair(bench, NOW + 30 * DAY, NOW + 400 * DAY, key=8)
    )
    assert "is it really the new one" in remarks(
        bench, tmp_path, old, pair(bench, NOW, NOW + 10 * DAY, key=8)
    )
    assert "the same key" in remarks(bench, tmp_path, old, pair(bench, NOW, NOW + 400 * DAY))
    assert "in the settings already" in remarks(bench, tmp_path, old, old)
    assert remarks(bench, tmp_path, old, pair(bench, NOW, NOW + 400 * DAY, key=8)) == ""
