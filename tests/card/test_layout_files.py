"""Every file class keeps its word: the examples in its body encode and decode."""

from __future__ import annotations

from contextlib import suppress

import pytest

import card.layout.vitale
from card.layout import cps
from card.layout.pkcs15 import Aodf, TokenInfo
from card.layout.tree import Df, Ef, FileCodec, LayoutError, file_codecs

CODECS = file_codecs()
TREE = cps.cps_tree(
    cps.CpsContent(
        "99213845",
        cps.CardIdFile.EXAMPLES[0][0],
        cps.HolderNameFile.EXAMPLES[0][0],
        cps.ProfessionalInfoFile.EXAMPLES[0][0],
        (cps.Activity("00", "CABINET TEST", "4123", "SA07"),),
        cps.SituationFile.EXAMPLES[0][0],
        b"\x30\x00",
        b"\x30\x00",
    )
)


def test_no_file_class_is_forgotten() -> None:
    """The files of both cards are among the classes walked below, each with at least one example."""
    assert card.layout.vitale.Identity in CODECS
    assert cps.SerialNumber in CODECS
    assert len(CODECS) >= 20
    assert all(codec.EXAMPLES for codec in CODECS)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.NAME)
def test_examples(codec: type[FileCodec]) -> None:
    """Each example of a file class encodes to its bytes and decodes back to its value."""
    for value, data in codec.EXAMPLES:
        assert codec.encode(value) == data
        assert codec.decode(data) == value


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.NAME)
def test_damaged_files_are_refused_in_words(codec: type[FileCodec]) -> None:
    """A file cut short anywhere either still decodes or raises LayoutError, nothing else."""
    for _, data in codec.EXAMPLES:
        for end in range(len(data)):
            with suppress(LayoutError):
                codec.decode(data[:end])


def test_sizes_of_the_real_files() -> None:
    """EF.DIR has 101 bytes, EF.ATR 57, EF.SN 12, the AODF 189, as on real cards."""
    assert len(cps.EfDir.CONTENT) == 101
    assert len(cps.EfAtr.CONTENT) == 57
    assert len(cps.SerialNumber.encode("99213845")) == 12
    assert len(Aodf.CONTENT) == 189


def test_contactless_comes_first_in_ef_dir() -> None:
    """OpenSC finds the keys only when the contactless application is the first entry."""
    assert cps.EfDir.CONTENT.index(cps.AID_CONTACTLESS) < cps.EfDir.CONTENT.index(b"CPX IAS\x51")


@pytest.mark.parametrize(
    ("fid", "fcp"),
    [
        (0x2F01, "62258002003982010183022F018801E8A1128C077B45FFFFFF45009C077BFFFFFFFFFF008A0105"),
        (0x2F00, "62258002006582010183022F008801F0A1128C077B45FFFFFF45009C077BFFFFFFFFFF008A0105"),
        (0xD003, "62258002000C8201018302D0038801E0A1128C077BFFFFFFFFFF009C077BFFFFFFFFFF008A0105"),
    ],
)
def test_fcp_of_the_files_below_the_mf(fid: int, fcp: str) -> None:
    """Their FCP is byte for byte the one real cards answered."""
    (found,) = [child for child in TREE.children if isinstance(child, Ef) and child.fid == fid]
    assert found.fcp == bytes.fromhex(fcp)


def test_serial_number_key() -> None:
    """EF.SN ends with the Luhn digit of the 18 digits before it; another digit is refused."""
    good = bytes.fromhex("5A0A8025000001992138450F")
    assert cps.SerialNumber.decode(good) == "99213845"
    with pytest.raises(LayoutError, match=r"EF\.SN"):
        cps.SerialNumber.decode(good[:-1] + b"\x1f")


def test_token_label() -> None:
    """Test programs recognise the model by CPS3 inside the label; another label is refused."""
    data = TokenInfo.encode("2900000011")
    assert b"CPS3v3-2900000011" in data
    with pytest.raises(LayoutError, match="CPS3"):
        TokenInfo.decode(data.replace(b"CPS3", b"ABC3"))


def test_file_too_big_for_its_size_is_refused() -> None:
    """A description with more content than size is a mistake, the same content in a fitting size is not."""
    assert Ef(0x2F00, "X", b"123", size=3).size == 3
    with pytest.raises(LayoutError, match="X holds 2 bytes"):
        Ef(0x2F00, "X", b"123", size=2)


def test_tree_walk() -> None:
    """`files` gives every EF once, with its whole path."""
    paths = [path for path, _ in TREE.files()]
    assert (0x3F00, 0x0001, 0x7001) in paths
    assert len(paths) == len(set(paths))
    assert isinstance(TREE, Df)
