"""SSV groups: what the public SESAM-Vitale programming interface returns after reading a card.

Zone encoding: group number (2 bytes, big endian), BER length, then the fields; a field is a BER length and
an ASCII value; an absent field has length 0. A repeated group is written several times; a beneficiary is
group 104 followed by its own 105, 106, 107, 108 and 109. Dates are `AAAAMMJJhhmm`, all zeros for none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from card.iso7816.tlv import encode_length
from card.layout.tree import FileCodec, LayoutError

CARD_HOLDER = 1
PRACTITIONER_SITUATION = 2
INSURED = 101
AMO_FAMILY = 102
WORK_ACCIDENT = 103
BENEFICIARY = 104
AMO_RIGHTS = 105
COVERAGE = 106
MUTUELLE = 107
MUTUELLE_RIGHTS = 108
AMC = 109
COMMON = 111

NO_DATE = "000000000000"

# INVENTED(ssv-situation-codes): the public note shows 106.4 as four digits only, so their meanings are ours.
SITUATION_PLAIN = "0100"
SITUATION_ALSACE_MOSELLE = "0200"
SITUATION_MATERNITY = "0300"
SITUATION_ASPA = "0400"
SITUATIONS = (SITUATION_PLAIN, SITUATION_ALSACE_MOSELLE, SITUATION_MATERNITY, SITUATION_ASPA)

# INVENTED(ssv-ald-codes): 106.3 is a one-digit ALD code here: 0 none, 1 exempting ALD.
ALD_NONE = "0"
ALD_EXEMPTING = "1"

# AMO service codes (104.15, 102.1): the old CMU-C, today the CSS: run by the AMO, by an insurer under a
# convention with the AMO, by an insurer alone.
AMO_SERVICE_NONE = "00"
AMO_SERVICE_CSS = "01"

# INVENTED(css-contribution): 104.15 has no public code for a contribution: 21 to 23 are 01 to 03 with one.
CSS_SERVICES: Mapping[str, tuple[str, bool]] = {
    "01": ("amo", False),
    "02": ("convention", False),
    "03": ("insurer", False),
    "21": ("amo", True),
    "22": ("convention", True),
    "23": ("insurer", True),
}
"""Code of 104.15: who runs the CSS, and whether the person contributes."""


def css_service(run_by: str, *, contribution: bool) -> str:
    """The code of 104.15 for a CSS; KeyError when `run_by` is not amo, convention or insurer."""
    return {value: code for code, value in CSS_SERVICES.items()}[run_by, contribution]


FIELDS: Mapping[int, tuple[str, ...]] = {
    1: ("card_type", "id_type", "national_id", "national_id_key", "civility", "name", "first_name"),
    2: (
        "logical_number",
        "mode",
        "status",
        "sector",
        "structure_id_type",
        "structure_id",
        "structure_key",
        "structure_name",
        "billing_number",
        "billing_key",
        "substitute_number",
        "substitute_key",
        "convention",
        "specialty",
        "zone",
        "ik_zone",
        "agreement_1",
        "agreement_2",
        "agreement_3",
        "may_sign_invoice",
        "may_sign_lot",
    ),
    # INVENTED(ssv-configuration-groups): how the known fields are spread over groups 60 to 64 is not public.
    60: ("ssv_version", "galss_version", "pss_version"),
    61: ("maker", "reader_type", "serial", "os", "software", "software_version", "date", "checksum"),
    62: ("table_name", "table_version"),
    63: ("component_name", "component_version"),
    64: ("system_name", "system_version"),
    101: (
        "card_type",
        "serial",
        "validity_end",
        "ruf_admin_1",
        "ruf_admin_2",
        "ruf_admin_3",
        "holder_id_type",
        "nir",
        "nir_key",
        "regime",
        "caisse",
        "centre",
        "management_code",
        "ruf_family",
    ),
    102: ("service_code", "start", "end"),
    103: (
        "organism_1",
        "bgdh_1",
        "accident_id_1",
        "organism_2",
        "bgdh_2",
        "accident_id_2",
        "organism_3",
        "bgdh_3",
        "accident_id_3",
    ),
    104: (
        "name",
        "birth_name",
        "first_name",
        "address_1",
        "address_2",
        "address_3",
        "address_4",
        "address_5",
        "certified_nir",
        "certified_nir_key",
        "certification_date",
        "birth_date",
        "birth_rank",
        "quality",
        "amo_service",
        "amo_service_start",
        "amo_service_end",
        "ruf",
    ),
    105: ("start", "end"),
    106: ("start", "end", "ald", "situation"),
    107: ("number", "guarantees", "treatment", "service_type", "services", "sts_switch"),
    108: ("start", "end"),
    109: (
        "b2_number",
        "edi_number",
        "member_number",
        "treatment",
        "start",
        "end",
        "routing",
        "host",
        "domain",
        "sts_switch",
        "service_type",
        "services",
    ),
    111: ("common",),
    1110: (
        "invoice_number",
        "operation",
        "elaboration_date",
        "situation_number",
        "rectified_number",
        "rectified_date",
    ),
    1120: (
        "billing_number",
        "billing_key",
        "name",
        "first_name",
        "convention",
        "specialty",
        "zone",
        "ik_zone",
        "agreement_1",
        "agreement_2",
        "agreement_3",
        "condition",
    ),
    1130: ("id_type", "nir", "nir_key", "birth_date", "birth_rank", "quality", "coverage", "booklet"),
    1140: ("structure_id_type", "structure_id", "structure_key", "structure_name"),
    1150: ("substitute_number", "substitute_key", "name", "first_name", "signature"),
    1160: ("nir", "nir_key"),
    1220: ("days", "end"),
    1310: ("regime", "caisse", "centre", "destination", "computing_centre"),
    1321: (
        "contract_type",
        "number",
        "member_number",
        "zone_1",
        "zone_2",
        "edi_number",
        "application",
        "routing",
        "domain",
        "treatment",
        "host",
        "insured_id",
        "extra",
    ),
}


@dataclass(frozen=True, slots=True)
class Group:
    """One occurrence of a group: its number and the values of its fields, in the order of FIELDS."""

    number: int
    fields: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, number: int, /, **values: str) -> Group:
        """A group from field names; those not given are empty. Raises LayoutError on an unknown name."""
        names = field_names(number)
        if unknown := set(values) - set(names):
            raise LayoutError(f"group {number} has no field named {', '.join(sorted(unknown))}")
        return cls(number, tuple(values.get(name, "") for name in names))

    def get(self, name: str) -> str:
        """The value of a field by its name ("" when absent); raises LayoutError on an unknown name."""
        try:
            rank = field_names(self.number).index(name)
        except ValueError:
            raise LayoutError(f"group {self.number} has no field named {name}") from None
        return self.fields[rank] if rank < len(self.fields) else ""

    def to_bytes(self) -> bytes:
        """Number, length, fields."""
        body = b"".join(_field_bytes(self.number, rank, value) for rank, value in enumerate(self.fields, 1))
        return self.number.to_bytes(2, "big") + encode_length(len(body)) + body


def field_names(number: int) -> tuple[str, ...]:
    """The names of a group's fields; raises LayoutError for a group the public material does not describe."""
    try:
        return FIELDS[number]
    except KeyError:
        raise LayoutError(f"SSV group {number} is not described") from None


def encode_zone(groups: Iterable[Group]) -> bytes:
    """Groups one after the other; raises LayoutError on a value that is not ASCII."""
    return b"".join(group.to_bytes() for group in groups)


def decode_zone(data: bytes) -> tuple[Group, ...]:
    """All groups of a zone; raises LayoutError when lengths do not add up. Unknown numbers are kept."""
    groups, at = [], 0
    while at < len(data):
        if at + 2 > len(data):
            raise LayoutError("the SSV zone ends inside a group number")
        number = int.from_bytes(data[at : at + 2], "big")
        body, at = _sized(data, at + 2, f"group {number}")
        groups.append(Group(number, _fields(body, number)))
    return tuple(groups)


def _field_bytes(number: int, rank: int, value: str) -> bytes:
    if not value.isascii():
        raise LayoutError(f"field {rank} of group {number} is not plain ASCII")
    return encode_length(len(value)) + value.encode("ascii")


def _fields(body: bytes, number: int) -> tuple[str, ...]:
    values: list[str] = []
    at = 0
    while at < len(body):
        raw, at = _sized(body, at, f"field {len(values) + 1} of group {number}")
        if not raw.isascii():
            raise LayoutError(f"field {len(values) + 1} of group {number} is not plain ASCII")
        values.append(raw.decode("ascii"))
    return tuple(values)


def _sized(data: bytes, at: int, what: str) -> tuple[bytes, int]:
    """The bytes behind a BER length at `at`, and where they end."""
    if at >= len(data):
        raise LayoutError(f"the SSV zone ends before the length of {what}")
    length, at = data[at], at + 1
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 2 or at + size > len(data):
            raise LayoutError(f"the length of {what} is not one the zone allows")
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    if at + length > len(data):
        raise LayoutError(f"{what} says {length} bytes but {len(data) - at} remain")
    return data[at : at + length], at + length


class SsvZone(FileCodec):
    """A whole zone, as the interface hands it over."""

    NAME = "SSV zone"
    EXAMPLES = (
        ((), b""),
        (
            (Group(105, ("202501010000", "202612312359")),),
            bytes.fromhex("00691a0c") + b"202501010000" + b"\x0c" + b"202612312359",
        ),
        (
            (Group(102, ("01", "", NO_DATE)), Group(111, ("T" * 200,))),
            bytes.fromhex("006611023031000c") + b"000000000000" + bytes.fromhex("006f81ca81c8") + b"T" * 200,
        ),
    )

    @classmethod
    def encode(cls, value: Iterable[Group]) -> bytes:
        """Groups to zone bytes."""
        return encode_zone(value)

    @classmethod
    def decode(cls, data: bytes) -> tuple[Group, ...]:
        """Zone bytes to groups."""
        return decode_zone(data)
