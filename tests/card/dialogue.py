"""The other side of a Vitale: CPS certificates, sound and broken, and the card-to-card dialogue."""

import datetime
import hashlib
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding

from tests.card.bench import AID_VITALE, SERIAL_VITALE, Host, powered, private_key, vitale_items

DAY = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
CPS, OTHER, CA, ROGUE = 2, 4, 5, 6


@cache
def certificate(key=CPS, issuer=CA, name="AC CPS TEST", usage="dk", algorithm="sha256", ca=False):
    """A certificate over a key of the bench; usage letters d k, n nonRepudiation, c keyCertSign."""
    public = (
        ec.generate_private_key(ec.SECP256R1()).public_key() if key == "ec" else private_key(key).public_key()
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name if ca else "TEST")]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .public_key(public)
        .serial_number(19)
        .not_valid_before(DAY)
        .not_valid_after(DAY + datetime.timedelta(days=900))
    )
    if usage:
        flags = {letter: letter in usage for letter in "dknc"}
        builder = builder.add_extension(
            x509.KeyUsage(flags["d"], flags["n"], flags["k"], False, False, flags["c"], False, False, False),
            True,
        )
    signed = builder.sign(private_key(issuer), hashes.SHA256() if algorithm == "sha256" else hashes.SHA384())
    return signed.public_bytes(Encoding.DER)


def vitale_card_trusting_the_authority() -> Host:
    """A Vitale that trusts the test authority, its VITALE application selected."""
    host = powered(vitale_items((certificate(key=CA, usage="c", ca=True),)))
    host.ok("00A4040C0B", AID_VITALE)
    return host


def proof(challenge, key=CPS, serial=SERIAL_VITALE):
    """What the CPS answers: PKCS#1 v1.5 over SHA-256(challenge ‖ serial)."""
    digest = hashlib.sha256(challenge + serial).digest()
    return private_key(key).sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def present(host, der=None):
    return host.chained("002A00AE", der or certificate())[1]


def authenticate(host, answer=None):
    challenge = host.ok("0084000010")
    return host.chained("00820000", answer or proof(challenge))[1]


def rights(host):
    host.ok("00A4020C022020")
    return host.sw("00B0000000")


def test_rights_open_after_the_whole_dialogue(vitale):
    """6982 before, the content after certificate, challenge and signature."""
    assert rights(vitale) == 0x6982
    assert present(vitale) == 0x9000
    assert rights(vitale) == 0x6982
    assert authenticate(vitale) == 0x9000
    vitale.ok("00A4020C022020")
    assert vitale.ok("00B0000000") == b"protected rights"


def test_free_files_need_nobody(vitale):
    """Identity and NIR files are free, as the public readers expect."""
    assert vitale.ok("00B0820000") == b"free here"
