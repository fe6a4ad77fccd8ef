"""Dialogues recorded with the real OpenSC 0.23 and cardpeek 0.8.4, sent again to personalised cards.

What was wrong the first time these programs saw our cards is here, each beside what must stay refused.
"""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from card.iso7816 import tlv
from card.layout import cps, pkcs15
from card.layout.vitale import AID_MF, AID_VITALE
from tests.card.bench import PIN_1234, PIN_9999, Host
from tests.card.factory import card

FCP_MF = "621E82013883023F0084088025000001FF0100A1088C067AFFFFFFFF458A0105"
OPENSC_SELECTS_MF = "00A40204023F00"
PUK_VERIFY = "0020000208" + b"12345678".hex()
DIGEST = hashlib.sha256(b"hello").digest()
DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420") + DIGEST


@pytest.fixture
def practitioner() -> Host:
    """A powered CPS."""
    return Host(card("cps-gp-sector1"))


@pytest.fixture
def insured() -> Host:
    """A powered Vitale of a family of three."""
    return Host(card("vitale-family"))


def t0(host: Host, *parts: str | bytes) -> bytes:
    """A command without Le, then GET RESPONSE with the length that 61xx told: the way of T=0."""
    empty, sw = host.send(*parts)
    assert (empty, sw >> 8) == (b"", 0x61), f"{sw:04X}"
    return host.ok("00C00000", bytes((sw & 0xFF,)))


def opensc_asks_for_the_pin(host: Host) -> str:
    """The policy of PIN 1, in the order OpenSC asks: state, MF, MF once more, value object, parameters."""
    assert host.sw("0020000100") in (0x63C3, 0x63C2, 0x63C1, 0x63C0, 0x6983, 0x9000)
    assert t0(host, OPENSC_SELECTS_MF).hex().upper() == FCP_MF
    assert t0(host, "00A40904023F00").hex().upper() == FCP_MF
    assert host.sw("00CB3FFF0B4D097007BF8101037F4180") == 0x6A80
    return t0(host, "00CB3FFF0A4D087006BF810102A080").hex().upper()


def test_opensc_verifies_the_pin(practitioner: Host) -> None:
    """Between its two VERIFY commands OpenSC selects the MF as if it were an EF (P1 02), from DF 0001."""
    t0(practitioner, "00A40904063F0000017001")
    policy = opensc_asks_for_the_pin(practitioner)
    assert policy == "7016BF810112A0109A01039B0103A1088C06F3000013FF00"
    t0(practitioner, "00A40904043F000001")
    assert practitioner.verify(PIN_9999) == 0x63C2
    assert "9B0102" in opensc_asks_for_the_pin(practitioner)
    assert practitioner.verify() == 0x9000
    assert practitioner.sw("0020000100") == 0x9000


def test_p1_02_leads_to_the_mf_and_to_no_other_df(practitioner: Host, insured: Host) -> None:
    """P1 02 with 3F00 is the MF of a CPS, wherever one stands; any other DF stays 6A82, and so a Vitale."""
    practitioner.contact()
    practitioner.ok("00A4020C023F00")
    practitioner.ok("00A4020C02D003")
    assert practitioner.sw("00A4020C020001") == 0x6A82
    assert practitioner.sw("00A4010C023F00") == 0x6A82
    assert insured.sw("00A4020C023F00") == 0x6A82


def test_opensc_unblocks_with_the_puk(practitioner: Host) -> None:
    """The policy says environment 3; its object holds control references alone; they name the PUK."""
    for _ in range(3):
        practitioner.verify(PIN_9999)
    assert "8C06F3000013FF00" in opensc_asks_for_the_pin(practitioner)
    environment = t0(practitioner, "00CB3FFF0A4D087006BFFB03027B80")
    assert environment.hex().upper() == "700EBFFB030A7B08A406830102950108"
    assert practitioner.sw("0020000200") == 0x63CA
    practitioner.ok(PUK_VERIFY)
    practitioner.ok("002C020108", PIN_1234)
    assert practitioner.sw("0020000100") == 0x63C3
    assert practitioner.verify() == 0x9000


def test_without_the_puk_nothing_is_unblocked(practitioner: Host) -> None:
    """The same end of the dialogue without VERIFY of the PUK: 6982, and the PIN stays blocked."""
    for _ in range(3):
        practitioner.verify(PIN_9999)
    assert practitioner.sw("002C020108", PIN_1234) == 0x6982
    assert practitioner.verify() == 0x6983


@pytest.mark.parametrize("number", [1, 3, 5])
def test_environments_hold_control_references_only(practitioner: Host, number: int) -> None:
    """A parser that expects A4, B4, B6, B8 or AA at once, as OpenSC's, meets nothing else."""
    answer = practitioner.ok("00CB3FFF0A4D087006BFFB", bytes((number,)), "027B8000")
    content = tlv.find(answer, 0x70, 0xBFFB00 | number, 0x7B)
    assert content
    assert {item.tag for item in tlv.parse(content)} <= {0xA4, 0xB4, 0xB6, 0xB8, 0xAA}


def test_keys_name_no_algorithm_but_in_the_compatible_card() -> None:
    """Flags 01 and 07 (private, modifiable, internal) and no algorithm; 5 opens the signature key."""
    signature, authentication = cps.keys()
    assert (signature.flags, authentication.flags) == ((0,), (0, 1, 2))
    assert signature.algorithms == authentication.algorithms == ()
    assert [key.algorithms for key in cps.keys(compatible=True)] == [(5,), ()]


def test_prkdf_on_the_card_says_the_same(practitioner: Host) -> None:
    """The flags and the missing algorithms are in the bytes of file 7002."""
    practitioner.ok("00A4090C063F0000017002")
    entries = pkcs15.PrKdf.decode(practitioner.ok("00B0000000"))
    assert [entry.label for entry in entries] == ["CPS_PRIV_SIG", "CPS_PRIV_AUT"]
    assert entries == cps.keys()


def test_the_directory_names_the_puk_in_the_compatible_card_only() -> None:
    """Real cards say that code 02 unblocks the PIN and call the PUK 04; one byte differs, 02 becomes 04."""
    directories = []
    for compatible in (False, True):
        host = Host(card("cps-gp-sector1", compatible=compatible))
        host.ok("00A4090C063F0000017001")
        directories.append(host.ok("00B00000BD"))
    faithful, other = directories
    assert faithful == pkcs15.Aodf.CONTENT
    unblocked_by, called = faithful.index(bytes.fromhex("0301080401")) + 5, bytes.fromhex("3003040104")
    assert (faithful[unblocked_by], other[unblocked_by]) == (2, 4)
    assert called in faithful
    assert [at for at in range(189) if faithful[at] != other[at]] == [unblocked_by]


@pytest.mark.parametrize(
    ("prepare", "command"),
    [
        ((), "00A404040880250000 01FF0100"),
        ((), "00A40904063F0000017001"),
        (("00A4000C023F00",), "00CB3FFF0A4D087006BF810102A080"),
        (("00A4090C043F000001", "002241A406840182800102"), "0088000033" + DIGEST_INFO.hex()),
        (("00A4090C043F000001", "002241B606800142840181"), "002A9E9A20" + DIGEST.hex()),
    ],
)
def test_case_4_with_and_without_le(practitioner: Host, prepare: tuple[str, ...], command: str) -> None:
    """pcscd lets a T=0 client leave Le out or write it: the same data either way, never both."""
    practitioner.verify()
    for step in prepare:
        practitioner.ok(step)
    at_once = practitioner.ok(command, "00")
    assert practitioner.sw("00C0000000") == 0x6985
    assert t0(practitioner, command) == at_once


def test_pkcs11_signs_with_the_authentication_key(practitioner: Host) -> None:
    """Login, RSA-PKCS with the authentication key, verified with its certificate."""
    practitioner.contact()
    assert practitioner.verify() == 0x9000
    practitioner.ok("002241A406840182800102")
    signature = t0(practitioner, "0088000033", DIGEST_INFO)
    practitioner.ok("00A40204", b"\x02", cps.FID_CERT_AUTHENTICATION.to_bytes(2, "big"), "00")
    der = b"".join(practitioner.ok("00B0", bytes((page, 0)), "00") for page in range(4))
    key = x509.load_der_x509_certificate(der).public_key()
    key.verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def test_a_second_application_without_directory(practitioner: Host) -> None:
    """OpenSC looks for the directory of the contactless application too: 6A82, and goes on."""
    t0(practitioner, "00A40904043F000002")
    assert practitioner.sw("00A40904063F0000025031") == 0x6A82
    t0(practitioner, "00A40904063F0000015031")


def probes() -> list[str]:
    """The names under which OpenSC looks for other cards, as recorded."""
    cac = [f"A0000000790{number:03X}" for number in (*range(0x100, 0x110), 0x1FF)]
    others = (
        "627601FF000000 A00000000101 E82B0601040181C31F0201 D23300000045737445494420763335 "
        "D392F000260100000001 A00000030800001000 A000000116DB00 F276A288BCFBA69D34F31001 "
        "A00000039742544659 D27600012401"
    )
    return [*others.split(), *cac]


@pytest.mark.parametrize("p2", ["00", "0C"])
def test_no_driver_of_opensc_claims_a_vitale(insured: Host, p2: str) -> None:
    """6A82 to every name probed, no data object, and the answer of its own name still there."""
    for name in probes():
        assert insured.sw(f"00A404{p2}{len(name) // 2:02X}{name}") == 0x6A82
    assert insured.sw("00CADF3005") == 0x6A88
    assert insured.sw("00CB3FFF035C017E") == 0x6D00
    insured.ok("00A404000B", AID_VITALE, "00")


@pytest.mark.parametrize("le", ["", "00"])
def test_rufus_reads_every_holder(insured: Host, le: str) -> None:
    """MF, identity by SFI 2, VITALE, NIR by SFI 2, the n-th NIR for the n-th holder; both case 4 forms."""
    assert insured.sw("00A40000023F00", le) >> 8 == (0x90 if le else 0x61)
    holders = [item for item in tlv.walk(insured.ok("00B0820000")) if item.tag == 0x65]
    assert insured.sw("00A404000B", AID_VITALE, le) >> 8 == (0x90 if le else 0x61)
    nirs = [item for item in tlv.walk(insured.ok("00B0820000")) if item.tag == 0x65]
    assert len(holders) == len(nirs) == 3
    for holder, nir in zip(holders, nirs, strict=True):
        assert [item.tag for item in tlv.parse(holder.value)] == [0x80, 0x81, 0x82, 0x90]
        assert max(len(holder.value), len(nir.value)) < 128
        assert [(item.tag, len(item.value)) for item in tlv.parse(nir.value)] == [(0x93, 15)]


def test_a_cps_is_no_vitale_for_rufus(practitioner: Host) -> None:
    """Its first command fails on a CPS, which is how that reader tells the two cards apart."""
    assert practitioner.sw("00A40000023F00") == 0x6A86


def pages(host: Host) -> tuple[bytes, int]:
    """READ BINARY in steps of 256 as cardpeek does: until a short page or a refusal."""
    content = b""
    while True:
        data, sw = host.send("00B0", len(content).to_bytes(2, "big"), "00")
        content += data
        if sw != 0x9000 or len(data) != 256:
            return content, sw


def test_cardpeek_shows_the_whole_tree(insured: Host) -> None:
    """Every file of the index answers SELECT with its FCI; free ones are read, protected ones say 6982."""
    insured.ok("00A404000B", AID_VITALE, "00")
    insured.ok("00A4020002200100")
    index, _ = pages(insured)
    shown = {}
    for entry in (item.value for item in tlv.parse(tlv.find(index, 0xE0) or b"") if item.tag == 0x80):
        name = AID_MF if entry[8:10] == b"\x00\x01" else AID_VITALE
        insured.ok("00A40400", bytes((len(name),)), name, "00")
        assert insured.ok("00A4020002", entry[10:], "00")[0] == 0x6F
        content, sw = pages(insured)
        shown[entry[:8].decode().strip()] = (bool(content), sw)
    free = {name for name, (read, _) in shown.items() if read}
    assert free == {"IDENTITE", "VALIDITE", "CERTIF", "NIR"}
    closed = {name for name, answer in shown.items() if answer == (False, 0x6982)}
    assert closed == {"ASSURE", "BENEF", "DROITS", "COUVERT", "MUTUELLE", "AMC"}
