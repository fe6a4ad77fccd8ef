"""What real clients send to a CPS (facts 3.6, 3.7 and 5), against a personalised card."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from card.layout import cps
from tests.card.bench import AID_CONTACT, AID_MF, PIN_1234, PIN_9999, Host
from tests.card.factory import card

DIGEST = hashlib.sha256(b"lot").digest()
DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420") + DIGEST


def read_file(host, path):
    """SELECT by path with FCP, then READ BINARY in steps of 256, as OpenSC does."""
    fcp = host.ok("00A40904", bytes((len(path),)), path, "00")
    assert fcp[0] == 0x62
    assert b"\x8c" in fcp
    size, content = int.from_bytes(fcp[fcp.index(b"\x80\x02") + 2 :][:2], "big"), b""
    while len(content) < size:
        content += host.ok("00B0", len(content).to_bytes(2, "big"), "00")
    return content


def public_key(host, fid):
    """The public key of a certificate file."""
    content = read_file(host, bytes.fromhex("3F000001") + fid.to_bytes(2, "big"))
    size = 4 + int.from_bytes(content[2:4], "big")
    return x509.load_der_x509_certificate(content[:size]).public_key()


def test_opensc_reads_the_card():
    """EF.ATR, MF by name, EF.SN by SFI, EF.DIR, every PKCS#15 directory, PIN information."""
    host = Host(card("cps-gp-sector1"))
    assert len(read_file(host, bytes.fromhex("3F002F01"))) == 57
    assert host.ok("00A4040408", AID_MF, "00")[0] == 0x62
    data, sw = host.send("00B09C00C0")
    assert (data[:7].hex().upper(), len(data), sw) == ("5A0A8025000001", 12, 0x6282)
    directory = read_file(host, bytes.fromhex("3F002F00"))
    assert len(directory) == 101
    assert directory.index(AID_CONTACT[:-1] + b"\x20") < directory.index(b"\x61", 1)
    for fid in ("5031", "5032", "7001", "7002", "7006", "7005"):
        assert read_file(host, bytes.fromhex("3F000001" + fid))
    assert host.sw("0020000100") == 0x63C3
    host.ok("00A4000C023F00")
    assert host.sw("00CB3FFF0B4D097007BF8101037F418000") == 0x6A80
    assert host.ok("00CB3FFF0A4D087006BF810102A08000")[:4].hex().upper() == "7016BF81"


def test_opensc_logs_in_and_signs():
    """Wrong PIN, login, change of PIN, RSA-PKCS with the authentication key, template in its order."""
    host = Host(card("cps-gp-sector1"))
    key = public_key(host, cps.FID_CERT_AUTHENTICATION)
    host.contact()
    assert host.verify(PIN_9999) == 0x63C2
    host.ok("0024000110", PIN_1234, PIN_9999)
    assert host.verify(PIN_9999) == 0x9000
    host.ok("002241A406840182800102")
    assert host.sw("0088000033", DIGEST_INFO) == 0x6100
    signature = host.ok("00C0000000")
    key.verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def test_cryptolib_signs_both_ways():
    """Hash on the card (template 80 before 84), and hash off the card, with the signature key."""
    host = Host(card("cps-gp-sector1"))
    key = public_key(host, cps.FID_CERT_SIGNATURE)
    host.contact()
    host.verify()
    host.ok("002241AA03800140")
    host.ok("002A90A0079000", "8003", b"lot")
    host.ok("002241B606800142840181")
    on_card = host.ok("002A9E9A00")
    off_card = host.ok("002A9E9A20", DIGEST, "00")
    assert on_card == off_card
    key.verify(on_card, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def test_cryptolib_unblocks():
    """VERIFY of the PUK, then RESET RETRY COUNTER with the new PIN."""
    host = Host(card("cps-gp-sector1"))
    for _ in range(3):
        host.verify(PIN_9999)
    assert host.verify() == 0x6983
    host.ok("0020000208", b"12345678")
    host.ok("002C020108", PIN_9999)
    assert host.verify(PIN_9999) == 0x9000


def test_cryptolib_reads_the_second_face_and_comes_back():
    """VERIFY with CLA 00, CPS2ter files with CLA A0, 6E00, SELECT of the MF by name, on again."""
    host = Host(card("cps-gp-sector1"))
    host.ok("00A4040C08", AID_MF)
    host.verify()
    for fid in ("3F00", "7F01", "4000"):
        assert host.sw("A0A4000002" + fid) >> 8 == 0x9F
    size = int.from_bytes(host.ok("A0C0000007")[2:4], "big")
    assert len(host.ok("A0B00000", bytes((min(size, 255),)))) == min(size, 255)
    assert host.sw("00A40904043F00D003") == 0x6E00
    host.ok("00A4040C08", AID_MF)
    assert host.sw("00200001") == 0x9000
    assert host.sw("00A4080C02D010") == 0x6A82
