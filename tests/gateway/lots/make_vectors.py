"""Writes tests/vectors/lots: `python -m tests.gateway.lots.make_vectors golden`, `mails` or `keys`."""

from __future__ import annotations

import sys
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from card.issuer import generate_key, private_pem
from gateway.cms.policy import MODERN, SESAM
from gateway.cms.signed import sign
from gateway.lots.sealing import seal
from gateway.records.arl import Arl, ArlReject, write_arl
from gateway.records.noemie_file import (
    NoemieReject,
    NoemieReturn,
    PaidLine,
    Payment,
    Remark,
    Share,
    Transfer,
    write_noemie,
)
from tests.gateway.lots.world import (
    BILLING,
    KEYS,
    NATIONAL_ID,
    NOW,
    OTHER_ID,
    SERIAL,
    VECTORS,
    World,
    seeded,
    write_hex,
)
from tools.pki import Authority


def golden(world: World) -> dict[str, bytes]:
    """File name → bytes, all from the fixed keys."""
    fse = world.fse(1)
    lot = world.lot(fse, world.fse(2, pathway="S2"))
    return {
        "fse.b2": fse.to_bytes(),
        "lot.b2": lot.file,
        "arl.txt": write_arl(arl(NOW)),
        "noemie.txt": write_noemie(noemie_return()),
    }


def signed_message(world: World) -> bytes:
    """The CMS signature over the golden lot: deterministic, as RSASSA-PKCS1-v1_5 is."""
    return sign(golden(world)["lot.b2"], world.cps, NOW)


def mails(world: World) -> dict[str, bytes]:
    """The golden lot as mails of both profiles; key transport is random, so they are written once."""
    lot = world.lot(world.fse(1), world.fse(2, pathway="S2"))
    outside = {"sender": "cabinet@practice.test", "recipient": lot.header.destination.address}
    return {
        f"mail-{policy.name}.eml": seal(
            lot,
            recipient_certificate=world.receiver.certificate,
            policy=policy,
            signer=world.cps if policy.signed else None,
            rng=seeded,
            now=NOW,
            **outside,
        ).message
        for policy in (MODERN, SESAM)
    }


def arl(created: datetime) -> Arl:
    """A negative acknowledgement with two reasons."""
    return Arl(
        sender="00000001999349",
        destination="00000" + BILLING,
        created=created,
        lot_date=created.date(),
        lot_number=7,
        file_id="000007",
        compostage="2026112009300000007",
        received_at=created + timedelta(seconds=65),
        positive=False,
        invoices=2,
        digest=bytes(range(32)),
        error_class="S",
        error_code="5004",
        rejects=(
            ArlReject(21, 2, 0, "S", "5004", "INVOICE 2 HAS A WRONG SEAL"),
            ArlReject(3, 1, 121, "F", "2003", "A FIELD IS NOT USABLE"),
        ),
    )


def noemie_return() -> NoemieReturn:
    """One transfer: one invoice paid with a remark and a recovery of the AMC share, one rejected."""
    line = PaidLine(
        1, date(2026, 11, 19), "G", 1, 100, 3000, 3000, 70, 2100, 3100, amc_rate=30, amc_cents=900
    )
    common = {
        "lot_number": 7,
        "lot_date": date(2026, 11, 20),
        "invoice_type": "F",
        "date": date(2026, 11, 19),
        "nature": "AS",
        "nir": "2501962643002",
        "nir_key": "68",
        "birth_date": date(1950, 1, 31),
        "name": "TEST",
        "first_name": "ALPHA",
    }
    paid = Payment(
        invoice=1,
        amo=Share(2100, 2100),
        amc=Share(900, -50, "P", "0099999997", "MEMBRE"),
        lines=(line,),
        remarks=(Remark("0450072", "EXONERATION ABSENTE"),),
        comments=("COMMENTAIRE DE TEST",),
        **common,  # type: ignore[arg-type]
    )
    rejected = Payment(
        invoice=2,
        amo=Share(2100, 0, "R"),
        rejects=(NoemieReject("2900005", "FACTURE DEJA PAYEE"),),
        **common,  # type: ignore[arg-type]
    )
    transfer = Transfer(date(2026, 11, 25), "VIREMENT TEST", "RETOUR 1", "0199900349", (paid, rejected))
    return NoemieReturn("00000001999349", "00000" + BILLING, "000001", NOW, BILLING, (transfer,))


def make_keys() -> None:
    """A whole new test authority; only what the tests need is kept."""
    with tempfile.TemporaryDirectory() as name:
        authority = Authority.create(Path(name) / "authority", NOW)
        _copy_trust(authority.trust_directory)
        for stem, national_id in (("cps", NATIONAL_ID), ("other-cps", OTHER_ID)):
            signer = authority.software_cps(national_id, NOW)
            _write_pair(stem, signer._key, signer.certificate)
        receiver = authority.receiver_keys().decryption
        _write_pair("receiver", receiver.private_key, receiver.certificate)
        key = generate_key()
        modulus = key.public_key().public_numbers().n.to_bytes(256, "big")
        certificate = authority.issuer.issue_vitale(bytes.fromhex(SERIAL), modulus, date(2030, 12, 31))
        (KEYS / "TEST-ONLY-vitale.key.pem").write_bytes(private_pem(key))
        write_hex(KEYS / "vitale.cert.7f21.hex", certificate)


def _copy_trust(directory: Path) -> None:
    for path in sorted(directory.rglob("*.*")):
        target = KEYS / "trust" / path.relative_to(directory)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


def _write_pair(stem: str, key: RSAPrivateKey, certificate: bytes) -> None:
    (KEYS / f"TEST-ONLY-{stem}.key.pem").write_bytes(private_pem(key))
    write_hex(KEYS / f"{stem}.cert.der.hex", certificate)


if __name__ == "__main__":
    KEYS.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:] == ["keys"]:
        make_keys()
    present = World.load()
    if sys.argv[1:] in (["keys"], ["mails"]):
        for name, data in mails(present).items():
            (VECTORS / name).write_bytes(data)
    write_hex(VECTORS / "signed.cms.hex", signed_message(present))
    for name, data in golden(present).items():
        (VECTORS / name).write_bytes(data)
