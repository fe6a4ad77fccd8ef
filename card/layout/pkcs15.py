"""The PKCS#15 (ISO/IEC 7816-15) directory files of a CPS3: ODF, TokenInfo, AODF, PrKDF, CDF, DODF.

They are built with a handful of DER writers; the bytes that public dumps of real cards show are in EXAMPLES.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from card.iso7816 import tlv
from card.layout.der import NULL, bits, integer, octets, oid, sequence, utf8
from card.layout.reading import objects, value_of, walk
from card.layout.tree import FileCodec, LayoutError

FID_ODF = 0x5031
FID_TOKEN_INFO = 0x5032
FID_AODF = 0x7001
FID_PRKDF = 0x7002
FID_CDF = 0x7005
FID_DODF = 0x7006

PIN_ID = b"\x01"
PUK_ID = b"\x04"

# Tags of the ODF choices (ISO/IEC 7816-15, 8.2.3): private keys, certificates, data objects, authentication.
_ODF = ((0xA8, FID_AODF), (0xA0, FID_PRKDF), (0xA4, FID_CDF), (0xA7, FID_DODF))

# A BIT STRING that announces 8 unused bits and has none: not valid DER, but what real cards hold.
_NO_FLAGS = bytes.fromhex("030108")
_NO_FLAGS_CERTIFICATE = bytes.fromhex("03020800")


def path(*fids: int) -> bytes:
    """Path: the file identifiers, relative to the application when they do not begin with 3F00."""
    return sequence(octets(b"".join(fid.to_bytes(2, "big") for fid in fids)))


def rule(bit: int | Sequence[int], condition: bytes = b"") -> bytes:
    """AccessControlRule: mode bits, and the identifier of the PIN (always when empty)."""
    modes = (bit,) if isinstance(bit, int) else tuple(bit)
    return sequence(bits(*modes), octets(condition) if condition else NULL)


# Access mode bits (ISO/IEC 7816-15, 8.2.4).
READ, UPDATE, EXECUTE, ATTRIBUTE, PSO_CDS, PSO_DECRYPT, INT_AUTH = 0, 1, 2, 4, 5, 7, 9
# Key usage bits.
USE_DECRYPT, USE_SIGN, USE_NON_REPUDIATION = 1, 2, 9


class ConstantFile(FileCodec):
    """A file whose bytes are the same on every card: its only value is None."""

    CONTENT: ClassVar[bytes]

    @classmethod
    def encode(cls, value: None = None) -> bytes:
        """The constant bytes."""
        return cls.CONTENT

    @classmethod
    def decode(cls, data: bytes) -> None:
        """Nothing; raises LayoutError when the bytes are not the constant ones."""
        if data != cls.CONTENT:
            raise LayoutError(f"file {cls.NAME} is not the one every CPS3 carries")


class Odf(ConstantFile):
    """ODF (5031): where the other directory files are."""

    NAME = "CPS ODF"
    CONTENT = b"".join(tlv.encode(tag, path(fid)) for tag, fid in _ODF)
    EXAMPLES = ((None, bytes.fromhex("A806300404027001A006300404027002A406300404027005A706300404027006")),)


# reference, PKCS#11 mechanism, operation bit, object identifier, algorithm reference of the card
ALGORITHMS = (
    (1, 0x220, 6, "1.3.14.3.2.26", 0x10),
    (2, 0x250, 6, "2.16.840.1.101.3.4.2.1", 0x40),
    (3, 0x006, 1, "1.2.840.113549.1.1.5", 0x12),
    (4, 0x040, 1, "1.2.840.113549.1.1.11", 0x42),
    (5, 0x001, 1, "1.2.840.113549.1.1.1", 0x02),
    (6, 0x001, 5, "1.2.840.113549.1.1.1", 0x1A),
)


def algorithm_info(reference: int, mechanism: int, operation: int, identifier: str, card_ref: int) -> bytes:
    """AlgorithmInfo (ISO/IEC 7816-15, 8.10)."""
    return sequence(
        integer(reference),
        integer(mechanism),
        NULL,
        bits(operation),
        oid(identifier),
        integer(card_ref),
    )


class TokenInfo(FileCodec):
    """TokenInfo (5032): the value is the 10-digit card number behind `CPS3v3-`; all else is constant."""

    NAME = "CPS TokenInfo"
    EXAMPLES = (
        (
            "2600971845",
            bytes.fromhex(
                "3081E2020100"
                "0C0A4153495020"
                "53414E5445"
                "8011435053337633"
                "2D32363030393731383435"
                "030206C0"
                "A281A6"
                "30170201010202022005000302010206052B0E03021A020110"
                "301B020102020202500500030201020609608648016503040201020140"
                "301A02010302010605000302064006092A864886F70D010105020112"
                "301A02010402014005000302064006092A864886F70D01010B020142"
                "301A02010502010105000302064006092A864886F70D010101020102"
                "301A02010602010105000302020406092A864886F70D01010102011A"
                "A511180F32303130303331363131303030305A"
            ),
        ),
    )

    @classmethod
    def encode(cls, value: str) -> bytes:
        """Card number to bytes."""
        if len(value) != 10 or not (value.isascii() and value.isdecimal()):
            raise LayoutError("a CPS card number has 10 digits")
        return sequence(
            integer(0),
            utf8("ASIP SANTE"),
            tlv.encode(0x80, f"CPS3v3-{value}".encode()),
            bits(0, 1),  # read-only, login required
            tlv.encode(0xA2, *(algorithm_info(*row) for row in ALGORITHMS)),
            tlv.encode(0xA5, tlv.encode(0x18, b"20100316110000Z")),
        )

    @classmethod
    def decode(cls, data: bytes) -> str:
        """Bytes to card number."""
        label = value_of(value_of(data, 0x30, "TokenInfo"), 0x80, "TokenInfo")
        if not label.startswith(b"CPS3v3-") or not label[7:].isdigit():
            raise LayoutError("file TokenInfo does not carry the label of a CPS3")
        return label[7:].decode("ascii")


@dataclass(frozen=True, slots=True)
class PinObject:
    """One entry of the AODF: label, identifier, who unblocks it, flags, lengths and card reference."""

    label: str
    identifier: bytes
    unblocking: bytes
    rules: tuple[bytes, ...]
    flags: tuple[int, ...]
    min_length: int
    stored_length: int
    max_length: int
    reference: int
    pad: bytes = b""

    def to_bytes(self) -> bytes:
        """The AuthenticationType choice `pwd`."""
        common = [utf8(self.label), _NO_FLAGS]
        if self.unblocking:
            common.append(octets(self.unblocking))
        attributes = [
            bits(*self.flags),
            tlv.encode(0x0A, b"\x01"),  # ascii-numeric
            integer(self.min_length),
            integer(self.stored_length),
            integer(self.max_length),
            tlv.encode(0x80, bytes((self.reference,))),
        ]
        if self.pad:
            attributes.append(octets(self.pad))
        return sequence(
            sequence(*common, sequence(*self.rules)),
            sequence(octets(self.identifier)),
            tlv.encode(0xA1, sequence(*attributes)),
        )


# Flag bits of a PIN: initialized 4, needs-padding 5, unblockingPin 6, soPin 7, unblock-disabled 3,
# exchangeRefData 11.
PINS = (
    PinObject(
        "Code porteur de la carte CPS",
        PIN_ID,
        b"\x02",
        (rule(EXECUTE), rule(UPDATE), rule(ATTRIBUTE, PUK_ID)),
        (4, 5, 11),
        4,
        8,
        4,
        1,
        b"\xff",
    ),
    PinObject(
        "Code de déblocage de la carte CPS",
        PUK_ID,
        b"",
        (rule(EXECUTE), rule(UPDATE)),
        (3, 4, 5, 7, 11),
        8,
        8,
        8,
        2,
    ),
)


class Aodf(ConstantFile):
    """AODF (7001): the PIN and the PUK, 189 bytes, quirks of the real card included.

    The PIN says that code 02 unblocks it (ISO/IEC 7816-15, authId), the PUK is called 04: OpenSC finds none.
    In `COMPATIBLE` the PIN names the PUK there is.
    """

    NAME = "CPS AODF"
    CONTENT = b"".join(pin.to_bytes() for pin in PINS)
    COMPATIBLE = b"".join(pin.to_bytes() for pin in (replace(PINS[0], unblocking=PUK_ID), PINS[1]))
    EXAMPLES = (
        (
            None,
            bytes.fromhex(
                "3061303F0C1C436F646520706F7274657572206465206C61206361727465204350530301080401023019300603020520"
                "050030060302064005003007030203080401043003040101A11930170303040C100A0101020104020108020104800101"
                "0401FF305830390C22436F64652064652064C3A9626C6F63616765206465206C61206361727465204350530301083010"
                "300603020520050030060302064005003003040104A11630140303041D100A0101020108020108020108800102"
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One private key of the PrKDF."""

    label: str
    identifier: bytes
    reference: int
    flags: tuple[int, ...]
    rules: tuple[bytes, ...]
    usage: tuple[int, ...]
    algorithms: tuple[int, ...] = ()

    def to_bytes(self) -> bytes:
        """The PrivateKeyType choice `rsa`, 2048 bits."""
        attributes = [
            octets(self.identifier),
            bits(*self.usage),
            bits(0, 2, 3),  # sensitive, always sensitive, never extractable
            integer(self.reference),
        ]
        if self.algorithms:
            attributes.append(tlv.encode(0xA1, *(integer(reference) for reference in self.algorithms)))
        return sequence(
            sequence(utf8(self.label), bits(*self.flags), octets(PIN_ID), sequence(*self.rules)),
            sequence(*attributes),
            tlv.encode(0xA1, sequence(path(), integer(2048))),
        )


class PrKdf(FileCodec):
    """PrKDF (7002): the private keys of the application."""

    NAME = "CPS PrKDF"
    EXAMPLES = (
        (
            (
                KeyEntry(
                    "CPS_PRIV_AUT",
                    bytes.fromhex("E828BD080F8025000001FF001002"),
                    0x82,
                    (0, 1, 2),
                    (rule(PSO_DECRYPT, PIN_ID), rule(INT_AUTH, PIN_ID)),
                    (USE_DECRYPT, USE_SIGN),
                ),
            ),
            bytes.fromhex(
                "3056302A0C0C4350535F505249565F415554030205E0040101"
                "301330070302000104010130080303060040040101301C040E"
                "E828BD080F8025000001FF001002"
                "03020560030204B002020082"
                "A10A30083002040002020800"
            ),
        ),
        (
            (KeyEntry("X", b"\x01", 0x81, (0,), (rule(PSO_CDS, PIN_ID),), (USE_NON_REPUDIATION,), (5,)),),
            bytes.fromhex(
                "303A30150C015803020780040101300930070302020404010130150401010303060040030204B002020081"
                "A103020105A10A30083002040002020800"
            ),
        ),
    )

    @classmethod
    def encode(cls, value: Iterable[KeyEntry]) -> bytes:
        """Entries to bytes."""
        return b"".join(entry.to_bytes() for entry in value)

    @classmethod
    def decode(cls, data: bytes) -> tuple[KeyEntry, ...]:
        """Bytes to entries."""
        return tuple(cls._entry(body) for body in objects(data, "PrKDF", 0x30))

    @staticmethod
    def _entry(body: bytes) -> KeyEntry:
        common, attributes = _two(body, "PrKDF")
        rules = walk(value_of(common, 0x30, "PrKDF"), "PrKDF")
        found = [item for item in walk(attributes, "PrKDF") if item.tag == 0xA1]
        algorithms = walk(found[0].value, "PrKDF") if found else ()
        return KeyEntry(
            _label(common, "PrKDF"),
            value_of(attributes, 0x04, "PrKDF"),
            int.from_bytes(value_of(attributes, 0x02, "PrKDF"), "big"),
            _set_bits(value_of(common, 0x03, "PrKDF")),
            tuple(item.to_bytes() for item in rules),
            _set_bits(value_of(attributes, 0x03, "PrKDF")),
            tuple(int.from_bytes(item.value, "big") for item in algorithms),
        )


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """One certificate of the CDF: its label, the identifier of its key, the file that holds it."""

    label: str
    identifier: bytes
    fid: int


class Cdf(FileCodec):
    """CDF (7005): the certificates. Entry of 84 bytes for the signature certificate, as publicly dumped."""

    NAME = "CPS CDF"
    EXAMPLES = (
        (
            (
                CertificateEntry(
                    "Certificat de Signature CPS",
                    bytes.fromhex("E828BD080F8025000001FF001001"),
                    0xA001,
                ),
            ),
            bytes.fromhex(
                "305230340C1B4365727469666963617420646520"
                "5369676E617475726520435053"
                "03020800301130060302078005003007030206400401013010040E"
                "E828BD080F8025000001FF001001"
                "A108300630040402A001"
            ),
        ),
    )

    @classmethod
    def encode(cls, value: Iterable[CertificateEntry]) -> bytes:
        """Entries to bytes."""
        rules = sequence(rule(READ), rule(UPDATE, PIN_ID))
        return b"".join(
            sequence(
                sequence(utf8(entry.label), _NO_FLAGS_CERTIFICATE, rules),
                sequence(octets(entry.identifier)),
                tlv.encode(0xA1, sequence(path(entry.fid))),
            )
            for entry in value
        )

    @classmethod
    def decode(cls, data: bytes) -> tuple[CertificateEntry, ...]:
        """Bytes to entries."""
        return tuple(cls._entry(body) for body in objects(data, "CDF", 0x30))

    @staticmethod
    def _entry(body: bytes) -> CertificateEntry:
        common, attributes = _two(body, "CDF")
        fids = _path_of(value_of(value_of(body, 0xA1, "CDF"), 0x30, "CDF"), "CDF")
        return CertificateEntry(_label(common, "CDF"), value_of(attributes, 0x04, "CDF"), fids[-1])


@dataclass(frozen=True, slots=True)
class DataEntry:
    """One data object of the DODF: label, path of file identifiers, and whether reading needs the PIN."""

    label: str
    path: tuple[int, ...]
    needs_pin: bool


class Dodf(FileCodec):
    """DODF (7006): the business data objects, application name `CPS`."""

    NAME = "CPS DODF"
    EXAMPLES = (
        (
            (DataEntry("CPS_DATA", (0xD107,), False), DataEntry("CPS_X", (0x3F00, 0xD120), True)),
            bytes.fromhex(
                "301B300A0C084350535F4441544130050C03435053A10630040402D107"
                "3021300E0C054350535F580302078004010130050C03435053A108300604043F00D120"
            ),
        ),
    )

    @classmethod
    def encode(cls, value: Iterable[DataEntry]) -> bytes:
        """Entries to bytes."""
        return b"".join(
            sequence(
                sequence(utf8(entry.label), *((bits(0), octets(PIN_ID)) if entry.needs_pin else ())),
                sequence(utf8("CPS")),
                tlv.encode(0xA1, path(*entry.path)),
            )
            for entry in value
        )

    @classmethod
    def decode(cls, data: bytes) -> tuple[DataEntry, ...]:
        """Bytes to entries."""
        return tuple(cls._entry(body) for body in objects(data, "DODF", 0x30))

    @staticmethod
    def _entry(body: bytes) -> DataEntry:
        common, _ = _two(body, "DODF")
        needs_pin = any(item.tag == 0x04 for item in walk(common, "DODF"))
        return DataEntry(_label(common, "DODF"), _path_of(value_of(body, 0xA1, "DODF"), "DODF"), needs_pin)


def _two(body: bytes, file: str) -> tuple[bytes, bytes]:
    """The common attributes and the class attributes of an object."""
    parts = [item.value for item in walk(body, file) if item.tag == 0x30]
    if len(parts) < 2:
        raise LayoutError(f"file {file} holds an object without its attributes")
    return parts[0], parts[1]


def _set_bits(value: bytes) -> tuple[int, ...]:
    """The numbers of the bits set in the content of a BIT STRING."""
    return tuple(at for at in range(8 * len(value[1:])) if value[1 + at // 8] & (0x80 >> at % 8))


def _label(common: bytes, file: str) -> str:
    try:
        return value_of(common, 0x0C, file).decode("utf-8")
    except UnicodeDecodeError:
        raise LayoutError(f"file {file} holds a label that is not UTF-8") from None


def _path_of(data: bytes, file: str) -> tuple[int, ...]:
    """The file identifiers of the Path inside `data`."""
    raw = value_of(value_of(data, 0x30, file), 0x04, file)
    if not raw or len(raw) % 2:
        raise LayoutError(f"file {file} holds a path that is not a list of file identifiers")
    return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))
