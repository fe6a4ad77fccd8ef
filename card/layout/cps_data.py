"""The business data of a CPS: who the practitioner is, where they practise, how they bill.

Public: the labels, the access rule of each object, tags 84, 85 and 86 of an activity, and that an activity
and the professional characteristics END with a code of four characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar

from card.iso7816 import tlv
from card.layout import ssv
from card.layout.reading import ascii_text, date8, printable, value_of, walk
from card.layout.ssv import Group
from card.layout.tree import FileCodec, LayoutError


@dataclass(frozen=True, slots=True)
class CardId:
    """Category (80 = TEST), type (00 = CPS), number of the token label, first and last day of validity."""

    category: str
    card_type: str
    number: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class HolderName:
    """The holder: type (8 = RPPS) and number of the identifier, civility, names, profession (G15)."""

    id_type: str
    number: str
    civility: str
    name: str = field(repr=False)
    first_name: str = field(repr=False)
    profession: str

    @property
    def national_id(self) -> str:
        """Type and number in one, as in the certificates."""
        return self.id_type + self.number


@dataclass(frozen=True, slots=True)
class ProfessionalInfo:
    """Professional characteristics; `specialty` is the RPPS speciality, four characters, last on the card."""

    national_id: str
    profession: str
    specialty: str


@dataclass(frozen=True, slots=True)
class Activity:
    """One place of practice: mode (G17), structure name and identifier, sector (four characters, last)."""

    mode: str
    structure_name: str
    structure_id: str
    sector: str


class _Template(FileCodec):
    """One template with primitive text fields in a fixed order."""

    TAG: ClassVar[int]
    TAGS: ClassVar[tuple[int, ...]]

    @classmethod
    def _write(cls, *texts: str) -> bytes:
        parts = (
            tlv.encode(tag, printable(text, "card text").encode("ascii"))
            for tag, text in zip(cls.TAGS, texts, strict=True)
        )
        return tlv.encode(cls.TAG, *parts)

    @classmethod
    def _read(cls, data: bytes) -> tuple[str, ...]:
        body = value_of(data, cls.TAG, cls.NAME)
        return tuple(ascii_text(value_of(body, tag, cls.NAME), cls.NAME) for tag in cls.TAGS)


# INVENTED(cps-business-data): the formats of the CPS data objects are not public, templates EA-EF are ours.
class CardIdFile(_Template):
    """CPS_ID_CARD: template EA."""

    NAME = "CPS_ID_CARD"
    TAG = 0xEA
    TAGS = (0x80, 0x81, 0x82, 0x83, 0x84)
    EXAMPLES = (
        (
            CardId("80", "00", "2600000001", date(2025, 1, 1), date(2027, 12, 31)),
            b"\xea\x28\x80\x0280\x81\x0200\x82\x0a2600000001\x83\x0820250101\x84\x0820271231",
        ),
    )

    @classmethod
    def encode(cls, value: CardId) -> bytes:
        """Card identification to bytes."""
        dates = (f"{day:%Y%m%d}" for day in (value.valid_from, value.valid_to))
        return cls._write(value.category, value.card_type, value.number, *dates)

    @classmethod
    def decode(cls, data: bytes) -> CardId:
        """Bytes to card identification."""
        category, card_type, number, start, end = cls._read(data)
        return CardId(category, card_type, number, date8(start, cls.NAME), date8(end, cls.NAME))


class HolderNameFile(_Template):
    """CPS_NAME_PS: template EB."""

    NAME = "CPS_NAME_PS"
    TAG = 0xEB
    TAGS = (0x80, 0x81, 0x82, 0x83, 0x84, 0x85)
    EXAMPLES = (
        (
            HolderName("8", "99900000018", "22", "TESTON", "ZOE", "10"),
            b"\xeb\x25\x80\x018\x81\x0b99900000018\x82\x0222\x83\x06TESTON\x84\x03ZOE\x85\x0210",
        ),
    )

    @classmethod
    def encode(cls, value: HolderName) -> bytes:
        """Holder to bytes."""
        return cls._write(
            value.id_type, value.number, value.civility, value.name, value.first_name, value.profession
        )

    @classmethod
    def decode(cls, data: bytes) -> HolderName:
        """Bytes to holder."""
        return HolderName(*cls._read(data))


class LanguageFile(FileCodec):
    """CPS_LANG_PS: template EC, one object 80 per language code."""

    NAME = "CPS_LANG_PS"
    EXAMPLES = ((("fr", "en"), b"\xec\x08\x80\x02fr\x80\x02en"),)

    @classmethod
    def encode(cls, value: Iterable[str]) -> bytes:
        """Language codes to bytes."""
        return tlv.encode(0xEC, *(tlv.encode(0x80, printable(code, "language").encode()) for code in value))

    @classmethod
    def decode(cls, data: bytes) -> tuple[str, ...]:
        """Bytes to language codes."""
        body = value_of(data, 0xEC, cls.NAME)
        return tuple(ascii_text(item.value, cls.NAME) for item in walk(body, cls.NAME))


class ProfessionalInfoFile(_Template):
    """CPS_INFO_PS: template ED; readers take its last four characters as the speciality."""

    NAME = "CPS_INFO_PS"
    TAG = 0xED
    TAGS = (0x80, 0x81, 0x82)
    EXAMPLES = (
        (
            ProfessionalInfo("899900000018", "10", "SM26"),
            b"\xed\x18\x80\x0c899900000018\x81\x0210\x82\x04SM26",
        ),
    )

    @classmethod
    def encode(cls, value: ProfessionalInfo) -> bytes:
        """Characteristics to bytes."""
        return cls._write(value.national_id, value.profession, _four(value.specialty, "specialty"))

    @classmethod
    def decode(cls, data: bytes) -> ProfessionalInfo:
        """Bytes to characteristics."""
        return ProfessionalInfo(*cls._read(data))


class ActivityFile(_Template):
    """CPS_ACTIVITY_nn_PS: template EE; 84 name, 85 identifier, 86 sector, which comes last."""

    NAME = "CPS_ACTIVITY_PS"
    TAG = 0xEE
    TAGS = (0x81, 0x84, 0x85, 0x86)
    EXAMPLES = (
        (
            Activity("00", "CABINET TEST", "499900000018001", "SA07"),
            b"\xee\x29\x81\x0200\x84\x0cCABINET TEST\x85\x0f499900000018001\x86\x04SA07",
        ),
    )

    @classmethod
    def encode(cls, value: Activity) -> bytes:
        """Activity to bytes."""
        return cls._write(
            value.mode, value.structure_name, value.structure_id, _four(value.sector, "activity sector")
        )

    @classmethod
    def decode(cls, data: bytes) -> Activity:
        """Bytes to activity."""
        return Activity(*cls._read(data))


class Activities:
    """All activities of a card, a file each."""

    @staticmethod
    def encode(value: Sequence[Activity]) -> tuple[bytes, ...]:
        """The content of each activity file."""
        return tuple(ActivityFile.encode(activity) for activity in value)


class SituationFile(FileCodec):
    """CPS_SIT_FACT: a template EF per billing situation; objects 81, 82, … mirror the fields of group 2."""

    NAME = "CPS_SIT_FACT"
    EXAMPLES: ClassVar[tuple[tuple[Any, bytes], ...]] = (
        (
            (Group.of(ssv.PRACTITIONER_SITUATION, logical_number="1", convention="1", specialty="01"),),
            b"\xef\x0a\x81\x011\x8d\x011\x8e\x0201",
        ),
    )

    @classmethod
    def encode(cls, value: Iterable[Group]) -> bytes:
        """Groups 2 to bytes; empty fields are left out."""
        return b"".join(cls._situation(group) for group in value)

    @classmethod
    def decode(cls, data: bytes) -> tuple[Group, ...]:
        """Bytes to groups 2."""
        return tuple(cls._group(item) for item in walk(data, cls.NAME))

    @staticmethod
    def _situation(group: Group) -> bytes:
        if group.number != ssv.PRACTITIONER_SITUATION:
            raise LayoutError(f"file CPS_SIT_FACT holds SSV group 2, not group {group.number}")
        parts = (
            tlv.encode(0x80 + rank, printable(value, "situation").encode("ascii"))
            for rank, value in enumerate(group.fields, 1)
            if value
        )
        return tlv.encode(0xEF, *parts)

    @classmethod
    def _group(cls, item: tlv.Tlv) -> Group:
        count = len(ssv.field_names(ssv.PRACTITIONER_SITUATION))
        values = {part.tag - 0x80: part.value for part in walk(item.value, cls.NAME)}
        if item.tag != 0xEF or not set(values) <= set(range(1, count + 1)):
            raise LayoutError("file CPS_SIT_FACT holds an unexpected object")
        fields = (ascii_text(values.get(rank, b""), cls.NAME) for rank in range(1, count + 1))
        return Group(ssv.PRACTITIONER_SITUATION, tuple(fields))


def _four(code: str, what: str) -> str:
    if len(code) != 4:
        raise LayoutError(f"the {what} is a code of four characters")
    return code
