"""SELECT in all forms of facts 5, on a CPS (strict) and on a Vitale (with FCI)."""

import pytest

from tests.card.bench import (
    AID_CONTACT,
    AID_CONTACTLESS,
    AID_MF,
    AID_MF_VITALE,
    AID_VITALE,
    cps_items,
    powered,
    vitale_items,
)


@pytest.fixture
def cps():
    return powered(cps_items())


@pytest.fixture
def vitale():
    return powered(vitale_items())


@pytest.mark.parametrize(
    ("command", "fid"),
    [
        ("00A40004023F00", "3F00"),
        ("00A40004", "3F00"),
        ("00A40104020001", "0001"),
        ("00A40204022F00", "2F00"),
        ("00A4040408" + AID_MF.hex(), "3F00"),
        ("00A404040D" + AID_CONTACT.hex(), "0001"),
        ("00A4080402D003", "D003"),
        ("00A408040400015031", "5031"),
        ("00A40904043F00D003", "D003"),
        ("00A40904063F0000015031", "5031"),
        ("00A409040400015031", "5031"),
        ("00A40904023F00", "3F00"),
    ],
)
def test_every_form_finds_its_file(cps, command, fid):
    """Each P1 finds the file and answers its FCP behind 61xx or Le."""
    fcp = cps.ok(command, "00") if len(command) > 8 else cps.ok(command + "00")
    assert fcp[0] == 0x62
    assert bytes.fromhex("8302" + fid) in fcp


def test_no_le_gives_61xx_and_get_response(cps):
    """The T=0 way: 61xx, then GET RESPONSE gives the FCP."""
    data, sw = cps.send("00A40004023F00")
    assert (data, sw >> 8) == (b"", 0x61)
    assert len(cps.ok(f"00C00000{sw & 0xFF:02X}")) == sw & 0xFF


def test_fcp_of_the_mf_is_the_real_one(cps):
    """The built FCP equals the public dump of a CPS3 (facts 3.2)."""
    real = "621E82013883023F0084088025000001FF0100A1088C067AFFFFFFFF458A0105"
    assert cps.ok("00A40004023F0000").hex().upper() == real


def test_no_answer_with_0c(cps):
    """P2 0C selects silently."""
    assert cps.send("00A4000C023F00") == (b"", 0x9000)


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00A40000023F00", 0x6A86),
        ("00A4040008" + AID_MF.hex(), 0x6A86),
        ("00A40504023F00", 0x6A86),
        ("00A40005023F00", 0x6A86),
        ("00A4000E023F00", 0x6A86),
        ("00A40004022F00", 0x6A82),
        ("00A4020402FFFF", 0x6A82),
        ("00A40204020001", 0x6A82),
        ("00A40104022F00", 0x6A82),
        ("00A4030C", 0x6A82),
        ("00A4030C023F00", 0x6700),
        ("00A402040100", 0x6700),
        ("00A4090403000150", 0x6700),
        ("00A4080C06D00300015031", 0x6A82),
        ("00A4040C05A000000308", 0x6A82),
        ("00A4040C0480250000", 0x6A82),
        ("00A4040C11" + "80" * 17, 0x6700),
    ],
)
def test_refusals(cps, command, sw):
    """Wrong P1-P2 6A86, unknown 6A82, wrong length 6700."""
    assert cps.sw(command) == sw


def test_failed_select_changes_nothing(cps):
    """After a refused SELECT the old EF is still current."""
    cps.ok("00A4020C02D003")
    before = cps.ok("00B000000C")
    assert cps.sw("00A4020C02FFFF") == 0x6A82
    assert cps.ok("00B000000C") == before


def test_parent_and_relative_path(cps):
    """P1 03 climbs one level; P1 09 without 3F00 starts at the current DF."""
    cps.contact()
    cps.ok("00A4090C025031")
    cps.ok("00A4030C")
    assert cps.sw("00A4090C025031") == 0x6A82
    cps.ok("00A4090C0400015031")


def test_truncated_name_and_next_occurrence(cps):
    """A name cut at the right finds the first DF, then the next one, then none."""
    stem = AID_CONTACT[:12].hex()
    assert AID_CONTACT in cps.ok("00A404040C" + stem + "00")
    assert AID_CONTACTLESS in cps.ok("00A404060C" + stem + "00")
    assert cps.sw("00A404060C" + stem + "00") == 0x6A82


def test_vitale_answers_fci_to_the_public_readers(vitale):
    """P2 00 gives 6F on a Vitale: what cardpeek and Rufus send works, in their order."""
    assert vitale.ok("00A40000023F0000")[0] == 0x6F
    assert vitale.ok("00B0820000") == b"identity"
    assert AID_VITALE in vitale.ok("00A404000B", AID_VITALE, "00")
    assert vitale.ok("00B0820000") == b"free here"
    assert vitale.ok("00A402000220 0100")[0] == 0x6F
    vitale.ok("00A404000E", AID_MF_VITALE, "00")


def test_vitale_finds_near_files_by_identifier(vitale):
    """P1 00 on a Vitale: child, the DF itself, its parent and DFs beside it (ISO 7816-4, 7.1.2)."""
    vitale.ok("00A4000C022000")
    vitale.ok("00A4000C022010")
    vitale.ok("00A4000C022000")
    assert vitale.sw("00A4000C022F02") == 0x6A82
    vitale.ok("00A4000C023F00")
    vitale.ok("00A4000C022F02")


@pytest.mark.parametrize(
    "command",
    [
        "00A4040C07627601FF000000",
        "00A4040C06A00000000101",
        "00A4040C09A00000030800001000",
        "00A4040C0CF276A288BCFBA69D34F31001",
        "00A4040C06D27600012401",
    ],
)
def test_vitale_refuses_foreign_applications(vitale, command):
    """Probing by OpenSC finds nothing: 6A82 to every unknown name (facts 2.3)."""
    assert vitale.sw(command) == 0x6A82


@pytest.mark.parametrize("command", ["00CADF3000", "00CB3FFF035C017E00", "0047000000"])
def test_vitale_refuses_foreign_instructions(vitale, command):
    """Unknown objects 6A88, unknown instructions 6D00."""
    assert vitale.sw(command) in (0x6A88, 0x6D00)
