"""OpenSSL opens our lots as they travel, and we open lots that it has sealed (promise B14)."""

from __future__ import annotations

import os
import shutil
import subprocess
from base64 import b64decode, encodebytes
from datetime import UTC, datetime
from gzip import decompress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from card.issuer import private_pem
from gateway.cms.policy import Policy, policy_named
from gateway.exchange.message import inner_part, pack
from gateway.lots.lot import Lot
from gateway.lots.refusal import LotRefusal
from gateway.lots.sealing import Opened, SealedLot, open_sealed, seal
from gateway.pki import Purpose
from tests.gateway.lots.world import KEYS, NOW, World, seeded
from tools.pki.workbench import Workbench

pytestmark = pytest.mark.interop

AT = ("-attime", str(int(NOW.timestamp())))
POLICIES = ["modern", "sesam"]


@pytest.fixture(scope="module")
def world() -> World:
    return World.load()


@pytest.fixture(scope="module")
def lot(world: World) -> Lot:
    return world.lot(world.fse(1), world.fse(2), world.fse(3))


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files OpenSSL needs: trust, the practitioner's pair, the receiver's pair."""
    if shutil.which("openssl") is None:
        assert not os.environ.get("CI"), "CI must install the openssl command: it judges our lots"
        pytest.skip("the openssl command is not installed")
    made = tmp_path_factory.mktemp("openssl-lots")
    chain = [*(KEYS / "trust" / "roots").glob("*.pem"), *(KEYS / "trust" / "personnes").glob("*.pem")]
    (made / "ca.pem").write_bytes(b"".join(path.read_bytes() for path in chain))
    write_pair(made, "cps", world.cps._key, world.cps.certificate)
    write_pair(made, "receiver", world.receiver.private_key, world.receiver.certificate)
    return made


def write_pair(folder: Path, name: str, key: RSAPrivateKey, certificate: bytes) -> None:
    (folder / f"{name}.key").write_bytes(private_pem(key))
    (folder / f"{name}.pem").write_bytes(load_der_x509_certificate(certificate).public_bytes(Encoding.PEM))


def openssl(folder: Path, *arguments: str, stdin: bytes) -> bytes:
    done = subprocess.run(
        ["openssl", "cms", *arguments], cwd=folder, input=stdin, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def sealed(world: World, lot: Lot, policy: Policy) -> SealedLot:
    return seal(
        lot,
        sender="cabinet@practice.test",
        recipient="01349@349.01.rss.fr",
        recipient_certificate=world.receiver.certificate,
        policy=policy,
        signer=world.cps if policy.signed else None,
        rng=seeded,
        now=NOW,
    )


@pytest.mark.parametrize("name", POLICIES)
def test_openssl_opens_our_lot(world: World, lot: Lot, folder: Path, name: str) -> None:
    """The mail, fed whole, is decrypted and its signer verified: the file inside is ours, octet for octet."""
    policy = policy_named(name)
    mail = sealed(world, lot, policy).message
    keys = ("-recip", "receiver.pem", "-inkey", "receiver.key")
    inside = openssl(folder, "-decrypt", "-binary", "-inform", "SMIME", *keys, stdin=mail)
    if policy.signed:
        trust = ("-CAfile", "ca.pem", "-purpose", "any", *AT)
        inside = openssl(folder, "-verify", "-binary", "-inform", "DER", *trust, stdin=inside)
    headers, _, body = inside.partition(b"\r\n\r\n")
    assert b"Content-Description: SESAMTEST/FSE/Z" in headers
    assert decompress(b64decode(body)) == lot.file


def sealed_by_openssl(folder: Path, policy: Policy, lot: Lot, mail: bytes) -> bytes:
    """The same lot in the same outside, with every cryptographic step done by OpenSSL."""
    content = inner_part("SESAMTEST/FSE/Z", pack(lot.file))
    options = ["-aes-128-cbc", "-recip", "receiver.pem"]
    if policy.signed:
        signer = ("-signer", "cps.pem", "-inkey", "cps.key", "-md", "sha256", "-cades")
        content = openssl(folder, "-sign", "-binary", "-nodetach", "-outform", "DER", *signer, stdin=content)
        oaep = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]
        options = ["-aes-256-gcm", "-recip", "receiver.pem", *oaep]
    made = openssl(folder, "-encrypt", "-binary", "-outform", "DER", *options, stdin=content)
    headers = mail.partition(b"\r\n\r\n")[0]
    return headers + b"\r\n\r\n" + encodebytes(made).replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workbench, Path]:
    """Keys and lists of today: OpenSSL signs at the time of day, and nothing tells it another."""
    home = tmp_path_factory.mktemp("openssl-today")
    bench = Workbench.make(home, now=datetime.now(UTC).replace(microsecond=0))
    write_pair(home, "cps", bench.key, bench.cps.certificate)
    write_pair(home, "receiver", bench.receiver.decryption.private_key, bench.receiver.decryption.certificate)
    return bench, home


@pytest.mark.parametrize("name", POLICIES)
def test_we_open_a_lot_sealed_by_openssl(
    world: World, lot: Lot, folder: Path, today: tuple[Workbench, Path], name: str
) -> None:
    """OpenSSL's seal opens to the same file and signer; with one octet changed it is refused."""
    policy, (bench, home) = policy_named(name), today
    mail = sealed_by_openssl(home, policy, lot, sealed(world, lot, policy).message)

    def opened(message: bytes) -> Opened:
        return open_sealed(
            message,
            key=bench.receiver.decryption,
            policy=policy,
            trust=bench.authority.trust(),
            purpose=Purpose.CPS_SIGNATURE,
            when=datetime.now(UTC),
        )

    good = opened(mail)
    assert good.payload == lot.file
    assert good.signer is None or good.signer.certificate.der == bench.cps.certificate
    with pytest.raises(LotRefusal):
        opened(mail[:-200] + (b"A" if mail[-200:-199] != b"A" else b"B") + mail[-199:])
