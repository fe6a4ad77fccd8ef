"""A profile becomes a card that the public readers understand, byte for byte the same every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from card.iso7816 import tlv
from card.kernel.errors import ImageError
from card.kernel.memory import Memory
from card.kernel.storage import MemoryStorage
from card.layout import cps, vitale
from card.layout.tree import Df
from card.personalise import cps_content, open_card, personalise, read_image, vitale_content
from card.profile import CpsProfile, InsuredProfile
from card.profile_toml import ProfileError, list_profiles, load_profile
from tests.card.factory import NOW, card, image, issuer, private_key, send

VECTORS = Path(__file__).parents[1] / "vectors" / "cards.json"
CARDS = [name for name in list_profiles() if load_profile(name).kind != "attestation"]

ORIGIN = {
    "CPS EF.DIR": "derived from a public trace of a real card; 101 bytes is the real size",
    "CPS EF.ATR": "public dump of a real card",
    "CPS AODF": "public dump of a real card",
    "CPS TokenInfo": "public output of a PKCS#15 tool on a real card, encoded by this project",
    "CPS CDF": "first entry as in a public dump of a real card, up to the file identifier",
}

SELECT_MF = "00A4000C023F00"
SELECT_VITALE = "00A4040C0B" + vitale.AID_VITALE.hex()
SELECT_CONTACT = "00A4040C0D" + cps.AID_CONTACT.hex()
VERIFY = "002000010831323334FFFFFFFF"


def vitale_sample() -> Df:
    """The tree of a Vitale with a certificate of fixed bytes."""
    profile = load_profile("vitale-family")
    assert isinstance(profile, InsuredProfile)
    certificate = vitale.VitaleCertificate(
        b"VITTEST1",
        bytes.fromhex(profile.serial),
        profile.valid_to,
        b"\xa5" * 256,
        b"\x5a" * 256,
    )
    return vitale.vitale_tree(vitale_content(profile, vitale.Certificate.encode(certificate)))


def cps_sample() -> cps.CpsContent:
    """The content of a CPS with certificates of fixed bytes."""
    profile = load_profile("cps-gp-sector1")
    assert isinstance(profile, CpsProfile)
    return cps_content(profile, b"signature certificate", b"authentication certificate")


def dump(tree: Df) -> list[dict[str, Any]]:
    """Every file of a tree with its public bytes, and where these come from."""
    return [
        {
            "path": "/".join(f"{fid:04X}" for fid in path),
            "name": file.name,
            "origin": ORIGIN.get(f"CPS {file.name}", "made by this project from a shipped profile"),
            "sfi": file.sfi,
            "acl": file.acl.hex().upper(),
            "content": file.content.hex().upper(),
        }
        for path, file in tree.files()
    ]


def golden() -> dict[str, list[dict[str, Any]]]:
    """What the vectors must be."""
    return {
        "vitale-family": dump(vitale_sample()),
        "cps-gp-sector1": dump(cps.cps_tree(cps_sample())),
        "cps-gp-sector1 CPS2ter": dump(cps.second_face(cps_sample())),
    }


@pytest.mark.parametrize("name", golden())
def test_golden_cards(name: str) -> None:
    """The files of both cards are the committed vectors; each vector says where it comes from."""
    kept = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert kept[name] == golden()[name]
    assert all(entry["origin"] for entry in kept[name])


@pytest.mark.parametrize("name", CARDS)
def test_every_profile_makes_a_card(name: str) -> None:
    """Each shipped profile gives an image that mounts, answers its ATR and can be shown."""
    kind = load_profile(name).kind
    atr = vitale.ATR if kind == "vitale" else cps.ATR
    assert open_card(MemoryStorage(image(name))).power_on() == atr
    shown = read_image(MemoryStorage(image(name)))
    assert shown["kind"] == kind
    json.dumps(shown)


def test_an_attestation_is_no_card() -> None:
    """A paper attestation and an expired profile are refused in one sentence; nothing is written."""
    storage = MemoryStorage()
    profile = load_profile("vitale-single")
    assert isinstance(profile, InsuredProfile)
    expired = replace(profile, valid_to=date(2025, 1, 1))
    for wrong, why in ((load_profile("ame-attestation"), "paper attestation"), (expired, "expired")):
        with pytest.raises(ProfileError, match=why):
            personalise(wrong, storage, issuer(), NOW, key_source=lambda: private_key(1))
    assert storage.read() == b""


def test_first_public_reader_of_a_vitale() -> None:
    """MF, SFI 2 for the holders, VITALE, SFI 2 for their NIRs: n-th with n-th, below 128 bytes each."""
    holders, _, nirs = send(card("vitale-family"), "00B0820000", SELECT_VITALE, "00B0820000")
    assert holders.endswith("9000")
    people = tlv.parse(bytes.fromhex(holders)[:-2])
    numbers = tlv.parse(bytes.fromhex(nirs)[:-2])
    assert [one.tag for one in people] == [0x65] * 3
    assert max(len(one.value) for one in people) < 128
    assert tlv.find(people[1].value, 0x81) == b"BASILE"
    assert tlv.find(numbers[1].value, 0x93) == b"184199934910262"


def test_second_public_reader_of_a_vitale() -> None:
    """POINTERS names both applications and files that can all be selected; the protected ones stay closed."""
    powered = card("vitale-family")
    _, _, answer = send(powered, SELECT_VITALE, "00A4020C022001", "00B0000000")
    index = vitale.Pointers.decode(bytes.fromhex(answer)[:-2])
    assert [aid for _, aid in index.applications] == [vitale.AID_MF, vitale.AID_VITALE]
    for entry in index.files:
        aid = dict(index.applications)[entry.application]
        send(powered, f"00A4040C{len(aid):02X}{aid.hex()}")
        selected, read = send(powered, f"00A4020C02{entry.fid:04X}", "00B0000000")
        assert selected == "9000"
        assert read[-4:] == ("6982" if entry.fid in vitale.RIGHTS_FILES else "9000")


def test_certificates_and_keys_belong_together() -> None:
    """What each key of a CPS signs verifies with the certificate on the card, after the PIN only."""
    powered = card("cps-gp-sector1")
    digest = bytes(range(32))
    _, refused, _ = send(
        powered, SELECT_CONTACT, "002241B606800142840181", "002A9E9A20" + digest.hex() + "00"
    )
    assert refused == "9000"
    assert send(powered, "002A9E9A20" + digest.hex() + "00") == ["6982"]
    send(powered, VERIFY, "002241B606800142840181")
    signature = powered.transmit(bytes.fromhex("002A9E9A20" + digest.hex() + "00"))
    assert signature[-2:] == b"\x90\x00"
    content = Memory(MemoryStorage(image("cps-gp-sector1"))).get("ias/3F00/0001/A001#")
    assert content is not None
    key = x509.load_der_x509_certificate(content).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature[:-2], digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))


def test_situations_need_the_pin() -> None:
    """Billing situations are closed before VERIFY and readable after it; the name is free."""
    powered = card("cps-gp-sector1")
    send(powered, SELECT_CONTACT)
    assert send(powered, "00A4020C02D102", "00B0000000")[1].endswith("9000")
    assert send(powered, "00A4020C02D110", "00B0000000") == ["9000", "6982"]
    answer = send(powered, VERIFY, "00B0000000")[1]
    (first, second) = cps.SituationFile.decode(bytes.fromhex(answer)[:-2])
    assert (first.get("specialty"), second.get("may_sign_lot")) == ("01", "0")


def test_business_data_end_as_readers_expect() -> None:
    """An activity and the professional characteristics end with their code of four characters."""
    files = {file.name: file.content for _, file in cps.cps_tree(cps_sample()).files()}
    assert files["CPS_ACTIVITY_01"].endswith(b"SA07")
    assert files["CPS_INFO_PS"].endswith(b"SM26")


def test_compatible_card_says_so() -> None:
    """Only a compatible card lists algorithm 5 for its signature key."""
    trees = (cps.cps_tree(cps_sample()), cps.cps_tree(cps_sample(), compatible=True))
    plain, compatible = ({f.name: f.content for _, f in tree.files()}["PrKDF"] for tree in trees)
    assert len(compatible) == len(plain) + 5


def test_too_much_for_a_card() -> None:
    """Seventeen activities do not fit a CPS, sixteen do."""
    content = cps_sample()
    assert cps.cps_tree(replace(content, activities=content.activities[:1] * 16))
    with pytest.raises(ValueError, match="16 activities"):
        cps.cps_tree(replace(content, activities=content.activities[:1] * 17))


@pytest.mark.parametrize(
    "damage",
    [
        lambda memory: memory.put("card/kind", b"ticket"),
        lambda memory: memory.delete("ias/3F00/2F02#"),
        lambda memory: memory.put("ias/3F00/2F02#", b"\x5a\x01\x00"),
        lambda memory: memory.put("ias/3F00/7F10/2013#", b"\xff"),
    ],
)
def test_unreadable_image(damage: Callable[[Memory], None]) -> None:
    """A card whose files make no sense is refused in words, the card before the damage is shown."""
    storage = MemoryStorage(image("vitale-single"))
    assert read_image(storage)
    damage(Memory(storage))
    with pytest.raises(ImageError, match="make the card again"):
        read_image(storage)


def test_same_keys_same_card() -> None:
    """With the same keys and profile the image of a Vitale is the same, bit for bit."""
    images = []
    for _ in range(2):
        storage = MemoryStorage()
        personalise(load_profile("vitale-ald"), storage, issuer(), NOW, key_source=lambda: private_key(1))
        images.append(storage.read())
    assert images[0] == images[1]


if __name__ == "__main__":  # writes the vectors again: a change here belongs into the change log
    VECTORS.write_text(json.dumps(golden(), indent=1) + "\n", encoding="utf-8")
