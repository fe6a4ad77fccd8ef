"""GET DATA, PUT DATA, GENERATE; CREATE and DELETE FILE; personalisation and its end."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from card.iso7816 import tlv
from tests.card.bench import AID_CONTACTLESS, AID_MF, PIN_1234, PIN_9999, cps_items, powered, private_key

PIN_PARAMETERS = "00CB3FFF0A4D087006BF810102A08000"
PUK_PARAMETERS = "00CB3FFF0A4D087006BF810202A08000"
KEY_PARAMETERS = "00CB3FFF0A4D087006BF900102A08000"
ENVIRONMENT_5 = "00CB3FFF0A4D087006BFFB05027B8000"


@pytest.fixture
def cps():
    return powered(cps_items())


@pytest.fixture
def blank():
    return powered(cps_items(operational=False)).contact()


def test_pin_parameters_are_the_real_bytes(cps):
    """DOCP of the PIN equals the public dump (facts 3.5), and follows the counter."""
    assert cps.ok(PIN_PARAMETERS).hex().upper() == "7016BF810112A0109A01039B0103A1088C06F3000013FF00"
    cps.verify(PIN_9999)
    assert "9b0102" in cps.ok(PIN_PARAMETERS).hex()


def test_puk_parameters(cps):
    """Ten tries, 100 uses, change never."""
    text = cps.ok(PUK_PARAMETERS).hex().upper()
    assert "9A010A" in text
    assert "9B010A" in text
    assert "9D020064" in text
    assert "F3FF00FFFF00" in text


def test_secret_values_are_never_given(cps):
    """PIN value 7F41 and private key value 7F48: 6A80, never 6A88 (OpenSC stumbles over that)."""
    assert cps.sw("00CB3FFF0B4D097007BF8101037F418000") == 0x6A80
    cps.contact()
    assert cps.sw("00CB3FFF0B4D097007BF9001037F488000") == 0x6A80


def test_key_parameters_in_their_application(cps):
    """Size 0100 and an access rule, from DF 0001 only."""
    assert cps.sw(KEY_PARAMETERS) == 0x6A88
    cps.contact()
    answer = tlv.parse(cps.ok(KEY_PARAMETERS))
    parameters = tlv.find(answer[0].value, 0xBF9001, 0xA0)
    assert tlv.find(parameters, 0x80) == bytes.fromhex("0100")
    assert tlv.find(parameters, 0xA1, 0x8C)[0] & 0x40


def test_environments_are_found_under_the_mf_only(cps):
    """Security environment 5 exists when the MF is current, 6A88 in DF 0002."""
    assert cps.ok(ENVIRONMENT_5)[:1] == b"\x70"
    cps.ok("00A4040C0D", AID_CONTACTLESS)
    assert cps.sw(ENVIRONMENT_5) == 0x6A88


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00CB3FFE0A4D087006BF810102A08000", 0x6A86),
        ("00CB3FFF0A4D087006BF810302A08000", 0x6A88),
        ("00CB3FFF0A4D087006BF810102A08100", 0x6A80),
        ("00CB3FFF0A4D087006AF810102A08000", 0x6A80),
        ("00CB3FFF024D0000", 0x6A80),
        ("00CB3FFF035C017E00", 0x6A80),
        ("00CB3FFF0A4D097006BF810102A08000", 0x6A80),
    ],
)
def test_malformed_questions(cps, command, sw):
    """Wrong P1-P2, unknown object, broken nesting."""
    assert cps.sw(command) == sw


FCP_TRANSPARENT = "62148002000A8201018302D3008801508C0407000000"
FCP_LINEAR = "62148002001E82040221000A8302D3018C0407000000"


def create(fcp):
    return "00E00000" + f"{len(fcp) // 2:02X}" + fcp


def test_create_use_delete(blank):
    """Personalisation: a new EF is current at once, written, read by SFI, and removed."""
    blank.ok(create(FCP_TRANSPARENT))
    blank.ok("00D6000003AABBCC")
    assert blank.ok("00B08A0000") == bytes.fromhex("AABBCC") + bytes(7)
    assert blank.sw(create(FCP_TRANSPARENT)) == 0x6A89
    blank.ok("00E4000002D300")
    assert blank.sw("00B08A0000") == 0x6A82
    assert blank.sw("00A4020C02D300") == 0x6A82
    blank.ok(create(FCP_TRANSPARENT))


def test_create_linear_and_df(blank):
    """Record files take records; a DF can be made with a name, once, and holds files."""
    blank.ok(create(FCP_LINEAR))
    blank.ok("00E200000A", b"r" * 10)
    assert blank.ok("00B2010400") == b"r" * 10
    name = bytes.fromhex("A0000000190019")
    fcp = tlv.encode(0x62, bytes.fromhex("820138830200198407"), name, bytes.fromhex("8C0100"))
    blank.ok(create(fcp.hex()))
    blank.ok(create(FCP_TRANSPARENT))
    blank.ok("00A4040C07", name)
    assert blank.sw(create(fcp.hex().replace("83020019", "83020020"))) == 0x6A8A
    blank.contact()
    blank.ok("00E40000020019")
    assert blank.sw("00A4040C07", name) == 0x6A82


@pytest.mark.parametrize(
    ("fcp", "sw"),
    [
        ("6200", 0x6A80),
        ("6103800100", 0x6A80),
        ("620A800280008201018302D302", 0x6A80),
        ("620B800280008201018302D302", 0x6A84),
        ("620B800200108201038302D302", 0x6A80),
        ("620B8002001082010183020001", 0x6A89),
        ("620F8002000182040221000A8302D3018C00", 0x6A80),
        ("620F800200108201018302D3028C027B00", 0x6A80),
    ],
)
def test_create_refuses_nonsense(blank, fcp, sw):
    """No identifier, impossible size, kind or rules: refused, and nothing was made."""
    assert blank.sw(create(fcp)) == sw
    assert blank.sw("00A4020C02D302") == 0x6A82


def test_what_cannot_be_deleted_or_used(blank):
    """The MF stays (6985) in every state; a key object without key answers 6A88 until it gets one."""
    blank.ok("00A4000C023F00")
    assert blank.sw("00E40000") == 0x6985
    card = powered(cps_items(operational=False) | {"key/3F00/0001/81": b""}).contact()
    card.verify()
    card.ok("002241B606800142840181")
    assert card.sw("002A9E9A20", bytes(32), "00") == 0x6A88
    assert card.sw("00DB3FFF0C700ABF9001067F4103800101") == 0x6A88
    assert put_key(card, private_key(1).private_numbers()) == 0x9000
    card.ok("002A9E9A20", bytes(32), "00")


def test_deactivate_and_activate(blank):
    """A deactivated EF answers 6283 to SELECT and 6985 to use, until activated."""
    blank.ok("00A4020C02D107")
    blank.ok("00040000")
    assert blank.send("00A4020402D10700")[1] == 0x6283
    assert blank.sw("00B0000000") == 0x6985
    blank.card.power_on()
    blank.contact()
    assert blank.sw("00A4020C02D107") == 0x6283
    blank.ok("00440000")
    blank.ok("00B0000000")
    blank.contact()
    assert blank.sw("00040000") == 0x6985


def test_put_pin(blank):
    """A new PIN value with its number of tries, effective at once and after reset."""
    body = bytes.fromhex("7014BF8101107F410D8001058208") + b"5678\xff\xff\xff\xff"
    blank.ok("00DB3FFF16", body)
    assert blank.verify(PIN_1234) == 0x63C4
    blank.card.power_on()
    assert blank.verify(b"5678\xff\xff\xff\xff") == 0x9000
    assert blank.sw("00DB3FFF16", body.replace(b"5678", b"5A78")) == 0x6A80
    assert blank.sw("00DB3FFF16", body.replace(b"\xbf\x81\x01", b"\xbf\x81\x03")) == 0x6A88


def put_key(host, numbers):
    """PUT DATA of the five parts of a private key, one command each, as pkcs15init does."""
    parts = {0x92: numbers.p, 0x93: numbers.q, 0x94: numbers.iqmp, 0x95: numbers.dmp1, 0x96: numbers.dmq1}
    sw = 0
    for tag, value in parts.items():
        inner = tlv.encode(tag, value.to_bytes(128, "big"))
        body = tlv.encode(0x70, tlv.encode(0xBF9001, tlv.encode(0x7F48, inner)))
        sw = host.sw("00DB3FFF", bytes((len(body),)), body)
    return sw


def test_put_private_key(blank):
    """A key brought in parts signs; parts that disagree are refused (6A80)."""
    numbers = private_key(2).private_numbers()
    assert put_key(blank, numbers) == 0x9000
    blank.ok("002241B606800142840181")
    assert blank.sw("002A9E9A20", bytes(32), "00") == 0x6982
    assert blank.verify() == 0x9000
    signature = blank.ok("002A9E9A20", bytes(32), "00")
    prehashed = utils.Prehashed(hashes.SHA256())
    private_key(2).public_key().verify(signature, bytes(32), padding.PKCS1v15(), prehashed)
    wrong = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d, numbers.dmq1, numbers.dmp1, numbers.iqmp, numbers.public_numbers
    )
    assert put_key(blank, wrong) == 0x6A80
    blank.ok("00DB3FFF0C700ABF9001067F4903820103")
    assert blank.sw("00DB3FFF0C700ABF9009067F4903820103") == 0x6A88
    assert blank.sw("00DB3FFF0C700ABF8101067F4903820103") == 0x6A88


def test_generate(blank):
    """A pair made on the card: the public half comes out, the private half signs."""
    first, sw = blank.send("00470000057003BF900100")
    assert (len(first), sw) == (256, 0x610E)
    public = tlv.find(first + blank.ok("00C000000E"), 0x7F49)
    modulus = int.from_bytes(tlv.find(public, 0x81), "big")
    blank.verify()
    blank.ok("002241B606800142840181")
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    signature = blank.ok("002A9E9A20", bytes(32), "00")
    key.verify(signature, bytes(32), padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    assert blank.sw("00470000057003BF900900") == 0x6A88


def test_the_end_of_personalisation(blank):
    """ACTIVATE on the MF makes the card operational for ever; what worked before gives 6982."""
    blank.ok("00A4020C025031")
    blank.ok("00D6000001AA")
    blank.ok("00A4040C08", AID_MF)
    blank.ok("00440000")
    blank.card.power_on()
    blank.contact()
    blank.ok("00A4020C025031")
    assert blank.sw("00D6000001BB") == 0x6982
    assert blank.sw(create(FCP_TRANSPARENT)) == 0x6982
