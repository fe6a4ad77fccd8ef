"""The Vitale authority: the certificate of a card is believed only as the authority signed it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from card.issuer import VITALE_AUTHORITY
from gateway.errors import TrustError
from gateway.pki import VitaleAuthority
from tools.pki.keys import numbered_key, weak_key
from tools.pki.workbench import Workbench

SERIAL = bytes.fromhex("99250000000000000018")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("vitale"))


def issued(bench: Workbench) -> bytes:
    modulus = numbered_key(8).public_key().public_numbers().n.to_bytes(256, "big")
    return bench.authority.issuer.issue_vitale(SERIAL, modulus, date(2030, 12, 31))


def test_a_card_of_the_issuer(bench: Workbench) -> None:
    """What the issuer of the cards writes is verified here, the second time from memory."""
    authority = bench.authority.vitale_authority()
    found = authority.verify(issued(bench))
    assert (found.serial, found.expiry) == (SERIAL.hex().upper(), date(2030, 12, 31))
    assert found.public_key == numbered_key(8).public_key()
    assert authority.verify(issued(bench)) is found


def test_every_changed_byte_is_noticed(bench: Workbench) -> None:
    """Each changed byte, each truncation and each addition is refused."""
    authority, good = bench.authority.vitale_authority(), issued(bench)
    authority.verify(good)
    for at in range(len(good)):
        for evil in (good[:at] + bytes((good[at] ^ 0x01,)) + good[at + 1 :], good[:at]):
            with pytest.raises(TrustError):
                authority.verify(evil)
    with pytest.raises(TrustError):
        authority.verify(good + b"\x00")


def test_another_authority(bench: Workbench) -> None:
    """The same reference with another key, and the same key with another reference."""
    good, key = issued(bench), bench.authority.issuer.vitale.key.public_key()
    VitaleAuthority(VITALE_AUTHORITY, key).verify(good)
    for evil in (
        VitaleAuthority(VITALE_AUTHORITY, numbered_key(9).public_key()),
        VitaleAuthority(b"ANOTHER1", key),
    ):
        with pytest.raises(TrustError, match="not accepted"):
            evil.verify(good)


def test_what_the_authority_got_wrong(bench: Workbench) -> None:
    """An impossible key is refused though the signature is good."""
    authority = bench.authority.vitale_authority()
    short = weak_key(1024, 65537).public_key().public_numbers().n.to_bytes(256, "big")
    for modulus in (bytes(256), short):
        evil = bench.authority.issuer.issue_vitale(SERIAL, modulus, date(2030, 12, 31))
        with pytest.raises(TrustError, match="replace the card"):
            authority.verify(evil)
    authority.verify(issued(bench))


def test_the_trust_directory(bench: Workbench, tmp_path: Path) -> None:
    """The authority is read from the directory; a missing or damaged file is named."""
    VitaleAuthority.load(bench.authority.trust_directory).verify(issued(bench))
    with pytest.raises(TrustError, match="install the Vitale authority"):
        VitaleAuthority.load(tmp_path)
    (tmp_path / "vitale").mkdir()
    (tmp_path / "vitale" / "0011223344556677.pem").write_bytes(b"-----BEGIN")
    with pytest.raises(TrustError, match="install it again"):
        VitaleAuthority.load(tmp_path)
