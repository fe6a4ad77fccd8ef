"""What is on a Carte Vitale 2: applications, files and their content.

The free part (identity, validity, NIR list, index) follows the tags that the two public readers of the card
understand; the protected part and the card's certificate are stand-ins, each marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from card.iso7816 import tlv
from card.layout import ssv
from card.layout.nir import NirError, check_nir
from card.layout.reading import ascii_text, date8, objects, printable, value_of
from card.layout.rights import (
    FID_AMC,
    FID_AMO_RIGHTS,
    FID_BENEFICIARIES,
    FID_COVERAGE,
    FID_INSURED,
    FID_MUTUELLE,
    MAX_BENEFICIARIES,
    RIGHTS_FILES,
    RightsFile,
    decode_rights,
    encode_rights,
)
from card.layout.tree import Df, Ef, FileCodec, LayoutError

__all__ = [  # the protected files are part of the card: their names are read from here too
    "FID_AMC",
    "FID_AMO_RIGHTS",
    "FID_BENEFICIARIES",
    "FID_COVERAGE",
    "FID_INSURED",
    "FID_MUTUELLE",
    "MAX_BENEFICIARIES",
    "RIGHTS_FILES",
    "RightsFile",
    "decode_rights",
    "encode_rights",
]

# Observed on Vitale 2 cards: direct convention, TA1 13, T=0 only, five historical bytes.
ATR = bytes.fromhex("3B75130000" + "4309EA9000")

AID_MF = bytes.fromhex("D2500000024D465F564954414C45")  # ends with "MF_VITALE"
AID_VITALE = bytes.fromhex("D250000002564954414C45")  # ends with "VITALE"

FID_MF = 0x3F00
FID_DIR = 0x2F00
FID_PAN = 0x2F02
FID_POINTERS = 0x2001

# INVENTED(vitale-fids): only 2001, 2F00 and 2F02 are known identifiers; the others are listed in the index.
FID_IDENTITY = 0x2F10
FID_VALIDITY = 0x2F11
FID_CERTIFICATE = 0x2F12
FID_DF_VITALE = 0x7F10
FID_NIR = 0x2002
SFI_DIR = 0x1E
SFI_IDENTITY = 2  # in the MF
SFI_POINTERS = 1
SFI_NIR = 2  # in the VITALE application

# INVENTED(vitale-key-reference): the key that seals care sheets is reference 83 of the VITALE application.
KEY_SEAL = 0x83

PAN_LENGTH = 10

# The largest value of a one-byte TLV length, the only length one of the public readers understands.
_ONE_BYTE_LENGTH = 0x7F
_PAGE = 256

_READ_ALWAYS = bytes.fromhex("7BFFFFFFFFFF00")
# INVENTED(vitale-read-rule): protected files are readable after an external authentication (condition 21).
_READ_AFTER_CPS = bytes.fromhex("7BFFFFFFFFFF21")


@dataclass(frozen=True, slots=True)
class Holder:
    """One person printed in the free identity file."""

    name: str = field(repr=False)
    first_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    nationality: str = "FRA"


@dataclass(frozen=True, slots=True)
class PointerEntry:
    """One file of the index: its short name, the application it belongs to and its identifier."""

    name: str
    application: int
    fid: int


@dataclass(frozen=True, slots=True)
class PointerIndex:
    """The content of POINTERS: application entry keys with their AID, and the files."""

    applications: tuple[tuple[int, bytes], ...]
    files: tuple[PointerEntry, ...]


@dataclass(frozen=True, slots=True)
class VitaleCertificate:
    """The card's certificate: who issued it, for which card, until when, and its RSA-2048 key (e = 65537)."""

    issuer: bytes
    serial: bytes
    expiry: date
    modulus: bytes = field(repr=False)
    signature: bytes = field(repr=False, default=b"")

    @property
    def body(self) -> bytes:
        """The signed bytes: issuer 8, serial 10, expiry 3 (BCD AAMMJJ), modulus 256."""
        if (len(self.issuer), len(self.serial), len(self.modulus)) != (8, PAN_LENGTH, 256):
            raise LayoutError(
                "a Vitale certificate has an issuer of 8, a serial of 10 and a modulus of 256 bytes"
            )
        return self.issuer + self.serial + bytes.fromhex(f"{self.expiry:%y%m%d}") + self.modulus


class Dir(FileCodec):
    """EF.DIR (2F00): the AIDs of the card's applications with their labels."""

    NAME = "Vitale DIR"
    EXAMPLES = ((((AID_VITALE, "VITALE"),), bytes.fromhex("61154F0BD250000002564954414C455006564954414C45")),)

    @classmethod
    def encode(cls, value: Iterable[tuple[bytes, str]]) -> bytes:
        """(AID, label) pairs to bytes."""
        return b"".join(
            tlv.encode(0x61, tlv.encode(0x4F, aid), tlv.encode(0x50, label.encode("ascii")))
            for aid, label in value
        )

    @classmethod
    def decode(cls, data: bytes) -> tuple[tuple[bytes, str], ...]:
        """Bytes to (AID, label) pairs."""
        entries = objects(data, "DIR", 0x61)
        return tuple((value_of(e, 0x4F, "DIR"), ascii_text(value_of(e, 0x50, "DIR"), "DIR")) for e in entries)


# INVENTED(vitale-serial): the length and inner form of the card number in PAN are not public; 20 digits here.
class Pan(FileCodec):
    """PAN (2F02): `5A 0A` and the card number, 20 decimal digits packed in 10 bytes."""

    NAME = "Vitale PAN"
    EXAMPLES = (("99250000000000000018", bytes.fromhex("5A0A99250000000000000018")),)

    @classmethod
    def encode(cls, value: str) -> bytes:
        """20 digits to bytes."""
        if len(value) != 2 * PAN_LENGTH or not (value.isascii() and value.isdecimal()):
            raise LayoutError("a Vitale serial number has 20 digits")
        return tlv.encode(0x5A, bytes.fromhex(value))

    @classmethod
    def decode(cls, data: bytes) -> str:
        """Bytes to 20 digits."""
        number = value_of(data, 0x5A, "PAN").hex().upper()
        if len(number) != 2 * PAN_LENGTH or not number.isdecimal():
            raise LayoutError("file PAN does not hold a number of 20 digits")
        return number


class Identity(FileCodec):
    """The free identity file: one template 65 per holder, zero padded to whole pages of 256 bytes."""

    NAME = "Vitale identity"
    EXAMPLES = (
        (
            (Holder("TESTON", "ZOE", date(2001, 2, 3)),),
            bytes.fromhex(
                "651C8006544553544F4E81035A4F458208323030313032303390034652 41".replace(" ", "")
            ).ljust(256, b"\0"),
        ),
    )

    @classmethod
    def encode(cls, value: Sequence[Holder]) -> bytes:
        """Holders to bytes; each template stays below 128 bytes."""
        if not 1 <= len(value) <= MAX_BENEFICIARIES:
            raise LayoutError(f"a Vitale card holds 1 to {MAX_BENEFICIARIES} people, not {len(value)}")
        return _padded(b"".join(cls._template(holder) for holder in value))

    @classmethod
    def decode(cls, data: bytes) -> tuple[Holder, ...]:
        """Bytes to holders, in card order."""
        return tuple(cls._holder(body) for body in objects(data, "identity", 0x65))

    @staticmethod
    def _template(holder: Holder) -> bytes:
        return _short_template(
            (0x80, printable(holder.name, "name")),
            (0x81, printable(holder.first_name, "first name")),
            (0x82, f"{holder.birth_date:%Y%m%d}"),
            (0x90, printable(holder.nationality, "nationality")),
        )

    @staticmethod
    def _holder(body: bytes) -> Holder:
        def text(tag: int) -> str:
            return ascii_text(value_of(body, tag, "identity"), "identity")

        return Holder(text(0x80), text(0x81), date8(text(0x82), "identity"), text(0x90))


class Validity(FileCodec):
    """The free validity file: `66 { 80 AAAAMMJJ }`, the first day the card is valid."""

    NAME = "Vitale validity"
    EXAMPLES = ((date(2025, 1, 2), bytes.fromhex("660A80083230323530313032")),)

    @classmethod
    def encode(cls, value: date) -> bytes:
        """First day of validity to bytes."""
        return tlv.encode(0x66, tlv.encode(0x80, f"{value:%Y%m%d}".encode()))

    @classmethod
    def decode(cls, data: bytes) -> date:
        """Bytes to the first day of validity."""
        return date8(
            ascii_text(value_of(value_of(data, 0x66, "validity"), 0x80, "validity"), "validity"), "validity"
        )


class NirList(FileCodec):
    """The NIR of each holder, in the order of the identity file: `65 { 93 NIR15 }`, zero padded."""

    NAME = "Vitale NIR list"
    EXAMPLES = (
        (
            ("250196264300268",),
            bytes.fromhex("65119 30F".replace(" ", "")).ljust(4, b"\0") + b"250196264300268" + bytes(237),
        ),
    )

    @classmethod
    def encode(cls, value: Sequence[str]) -> bytes:
        """NIRs with their key to bytes."""
        try:
            return _padded(b"".join(_short_template((0x93, check_nir(nir))) for nir in value))
        except NirError as wrong:
            raise LayoutError(f"file NIR list: {wrong}") from None

    @classmethod
    def decode(cls, data: bytes) -> tuple[str, ...]:
        """Bytes to NIRs with their key."""
        return tuple(
            ascii_text(value_of(body, 0x93, "NIR list"), "NIR list")
            for body in objects(data, "NIR list", 0x65)
        )


class Pointers(FileCodec):
    """POINTERS (2001): `E0 { A0 { 82 key 2 · 2 ignored · AID … } 80 name 8 · key 2 · FID 2 … }`."""

    NAME = "Vitale POINTERS"
    EXAMPLES = (
        (
            PointerIndex(((2, AID_VITALE),), (PointerEntry("NIR", 2, FID_NIR),)),
            bytes.fromhex("E021A011820F00020000D250000002564954414C45" + "800C4E4952202020202000022002"),
        ),
    )

    @classmethod
    def encode(cls, value: PointerIndex) -> bytes:
        """Index to bytes."""
        applications = b"".join(
            tlv.encode(0x82, key.to_bytes(2, "big"), b"\0\0", aid) for key, aid in value.applications
        )
        files = b"".join(
            tlv.encode(
                0x80,
                printable(entry.name, "file name").encode("ascii").ljust(8)[:8],
                entry.application.to_bytes(2, "big"),
                entry.fid.to_bytes(2, "big"),
            )
            for entry in value.files
        )
        return tlv.encode(0xE0, tlv.encode(0xA0, applications), files)

    @classmethod
    def decode(cls, data: bytes) -> PointerIndex:
        """Bytes to index."""
        body = value_of(data, 0xE0, "POINTERS")
        applications = tuple(
            (int.from_bytes(v[:2], "big"), v[4:])
            for v in objects(value_of(body, 0xA0, "POINTERS"), "POINTERS", 0x82)
        )
        return PointerIndex(applications, tuple(cls._entry(v) for v in objects(body, "POINTERS", 0x80, 0xA0)))

    @staticmethod
    def _entry(value: bytes) -> PointerEntry:
        if len(value) != 12:
            raise LayoutError("file POINTERS holds an entry that has not 12 bytes")
        name = ascii_text(value[:8], "POINTERS").rstrip()
        return PointerEntry(name, int.from_bytes(value[8:10], "big"), int.from_bytes(value[10:], "big"))


# INVENTED(vitale-certificate): only tags 7F21, 5F37 and 5F38 are known; the certificate's content is ours.
class Certificate(FileCodec):
    """The certificate: `7F21 { 5F38 body, 5F37 signature }`, RSA-2048 PKCS#1 v1.5 SHA-256 over the body."""

    NAME = "Vitale certificate"
    EXAMPLES = (
        (
            VitaleCertificate(b"VITTEST1", bytes(10), date(2030, 12, 31), b"\xc3" * 256, b"\x5a" * 256),
            bytes.fromhex("7F2182021F" + "5F38820115")
            + b"VITTEST1"
            + bytes(10)
            + bytes.fromhex("301231")
            + b"\xc3" * 256
            + bytes.fromhex("5F37820100")
            + b"\x5a" * 256,
        ),
    )

    @classmethod
    def encode(cls, value: VitaleCertificate) -> bytes:
        """Certificate to bytes."""
        return tlv.encode(0x7F21, tlv.encode(0x5F38, value.body), tlv.encode(0x5F37, value.signature))

    @classmethod
    def decode(cls, data: bytes) -> VitaleCertificate:
        """Bytes to certificate. The signature is not checked here."""
        outer = value_of(data, 0x7F21, "certificate")
        body = value_of(outer, 0x5F38, "certificate")
        signature = value_of(outer, 0x5F37, "certificate")
        if len(body) != 277 or len(signature) != 256:
            raise LayoutError("a Vitale certificate has a body of 277 bytes and a signature of 256")
        expiry = date8("20" + body[18:21].hex(), "certificate")
        return VitaleCertificate(body[:8], body[8:18], expiry, body[21:], signature)


@dataclass(frozen=True, slots=True)
class VitaleContent:
    """All that one card carries, before it becomes files."""

    serial: str
    valid_from: date
    holders: tuple[Holder, ...] = field(repr=False)
    nirs: tuple[str, ...] = field(repr=False)
    certificate: bytes = field(repr=False)
    rights: tuple[ssv.Group, ...] = field(repr=False)


# Application entry keys of the index.
_KEY_MF, _KEY_VITALE = 1, 2
_INDEX_NAMES = {
    FID_IDENTITY: "IDENTITE",
    FID_VALIDITY: "VALIDITE",
    FID_CERTIFICATE: "CERTIF",
    FID_NIR: "NIR",
    FID_INSURED: "ASSURE",
    FID_BENEFICIARIES: "BENEF",
    FID_AMO_RIGHTS: "DROITS",
    FID_COVERAGE: "COUVERT",
    FID_MUTUELLE: "MUTUELLE",
    FID_AMC: "AMC",
}
_MF_FILES = (FID_IDENTITY, FID_VALIDITY, FID_CERTIFICATE)


def index() -> PointerIndex:
    """The index every card of ours carries: both applications and every file but 2001, 2F00 and 2F02."""
    return PointerIndex(
        ((_KEY_MF, AID_MF), (_KEY_VITALE, AID_VITALE)),
        tuple(
            PointerEntry(name, _KEY_MF if fid in _MF_FILES else _KEY_VITALE, fid)
            for fid, name in _INDEX_NAMES.items()
        ),
    )


def vitale_tree(content: VitaleContent) -> Df:
    """The file tree of a card: the MF with the free files, the VITALE application with NIRs and rights."""
    protected = tuple(
        Ef(fid, _INDEX_NAMES[fid], data, sfi=fid & 0x1F, acl=_READ_AFTER_CPS)
        for fid, data in encode_rights(content.rights).items()
    )
    vitale = Df(
        FID_DF_VITALE,
        "VITALE",
        AID_VITALE,
        (
            _free(FID_POINTERS, "POINTERS", Pointers.encode(index()), SFI_POINTERS),
            _free(FID_NIR, "NIR", NirList.encode(content.nirs), SFI_NIR),
            *protected,
        ),
    )
    return Df(
        FID_MF,
        "MF_VITALE",
        AID_MF,
        (
            _free(FID_DIR, "DIR", Dir.encode(((AID_VITALE, "VITALE"),)), SFI_DIR),
            _free(FID_PAN, "PAN", Pan.encode(content.serial)),
            _free(FID_IDENTITY, "IDENTITE", Identity.encode(content.holders), SFI_IDENTITY),
            _free(FID_VALIDITY, "VALIDITE", Validity.encode(content.valid_from)),
            _free(FID_CERTIFICATE, "CERTIF", content.certificate),
            vitale,
        ),
    )


def _free(fid: int, name: str, content: bytes, sfi: int | None = None) -> Ef:
    return Ef(fid, name, content, sfi=sfi, acl=_READ_ALWAYS)


def _short_template(*fields: tuple[int, str]) -> bytes:
    body = b"".join(tlv.encode(tag, text.encode("ascii")) for tag, text in fields)
    if len(body) > _ONE_BYTE_LENGTH:
        raise LayoutError("a holder's identity does not fit 127 bytes: shorten the name")
    return tlv.encode(0x65, body)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _PAGE)
