"""The protected files of a Vitale card: SSV groups 101-111 mirrored as TLV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from card.iso7816 import tlv
from card.layout import ssv
from card.layout.reading import ascii_text, printable, walk
from card.layout.tree import FileCodec, LayoutError

FID_INSURED = 0x2010
FID_BENEFICIARIES = 0x2011
FID_AMO_RIGHTS = 0x2012
FID_COVERAGE = 0x2013
FID_MUTUELLE = 0x2014
FID_AMC = 0x2015

MAX_BENEFICIARIES = 6

# Which protected file mirrors which SSV groups.
# INVENTED(vitale-rights-files): the real protected files are not public; six files mirror SSV groups 101-111.
# A group is a template E0+(number-100): 80 = rank of the beneficiary (0 for the whole card), 81, 82, … = its
# fields, empty ones left out.
RIGHTS_FILES: Mapping[int, tuple[int, ...]] = {
    FID_INSURED: (ssv.INSURED, ssv.AMO_FAMILY, ssv.WORK_ACCIDENT, ssv.COMMON),
    FID_BENEFICIARIES: (ssv.BENEFICIARY,),
    FID_AMO_RIGHTS: (ssv.AMO_RIGHTS,),
    FID_COVERAGE: (ssv.COVERAGE,),
    FID_MUTUELLE: (ssv.MUTUELLE, ssv.MUTUELLE_RIGHTS),
    FID_AMC: (ssv.AMC,),
}
_FILE_OF_GROUP = {group: fid for fid, groups in RIGHTS_FILES.items() for group in groups}
_FAMILY_GROUPS = (ssv.INSURED, ssv.AMO_FAMILY, ssv.WORK_ACCIDENT)
_PERSON_GROUPS = (
    ssv.BENEFICIARY,
    ssv.AMO_RIGHTS,
    ssv.COVERAGE,
    ssv.MUTUELLE,
    ssv.MUTUELLE_RIGHTS,
    ssv.AMC,
)


class RightsFile(FileCodec):
    """A protected file: (beneficiary rank, group) pairs as templates; rank 0 is the whole card."""

    NAME = "Vitale protected rights"
    EXAMPLES = (
        ((), b""),
        (
            ((1, ssv.Group(ssv.COVERAGE, (ssv.NO_DATE, "", "0", "0100"))),),
            bytes.fromhex("E61A800101810C") + b"000000000000" + bytes.fromhex("830130840430313030"),
        ),
    )

    @classmethod
    def encode(cls, value: Iterable[tuple[int, ssv.Group]]) -> bytes:
        """Ranked groups to bytes; each group must have all its fields."""
        return b"".join(cls._template(rank, group) for rank, group in value)

    @classmethod
    def decode(cls, data: bytes) -> tuple[tuple[int, ssv.Group], ...]:
        """Bytes to ranked groups."""
        return tuple(cls._ranked(item) for item in walk(data, "protected rights"))

    @staticmethod
    def _template(rank: int, group: ssv.Group) -> bytes:
        expected = len(ssv.field_names(group.number))
        if len(group.fields) != expected:
            raise LayoutError(f"group {group.number} has {expected} fields, not {len(group.fields)}")
        parts = [tlv.encode(0x80, bytes((rank,)))]
        for at, value in enumerate(group.fields, 1):
            if value:
                parts.append(tlv.encode(0x80 + at, printable(value, "field").encode("ascii")))
        return tlv.encode(0xE0 + group.number - 100, *parts)

    @staticmethod
    def _ranked(item: tlv.Tlv) -> tuple[int, ssv.Group]:
        number = item.tag - 0xE0 + 100
        if number not in _FILE_OF_GROUP:
            raise LayoutError(f"a protected file holds an unknown template {item.tag:X}")
        values = {part.tag - 0x80: part.value for part in walk(item.value, "protected rights")}
        names = ssv.field_names(number)
        if not set(values) <= set(range(len(names) + 1)) or len(values.get(0, b"")) != 1:
            raise LayoutError(f"a protected file holds a template of group {number} that does not fit")
        fields = tuple(ascii_text(values.get(at, b""), "protected rights") for at in range(1, len(names) + 1))
        return values[0][0], ssv.Group(number, fields)


def encode_rights(groups: Iterable[ssv.Group]) -> dict[int, bytes]:
    """SSV groups 101-111, in zone order, to the content of each protected file (fid → bytes).

    Raises LayoutError when a group has no place: unknown number, or a person's group before any 104.
    """
    ranked: dict[int, list[tuple[int, ssv.Group]]] = {fid: [] for fid in RIGHTS_FILES}
    person = 0
    for group in groups:
        if group.number not in _FILE_OF_GROUP:
            raise LayoutError(f"a Vitale card has no place for SSV group {group.number}")
        if group.number == ssv.BENEFICIARY:
            person += 1
        rank = person if group.number in _PERSON_GROUPS else 0
        if rank == 0 and group.number in _PERSON_GROUPS:
            raise LayoutError(f"group {group.number} comes before the first beneficiary")
        ranked[_FILE_OF_GROUP[group.number]].append((rank, group))
    if person > MAX_BENEFICIARIES:
        raise LayoutError(f"a Vitale card holds at most {MAX_BENEFICIARIES} beneficiaries, not {person}")
    return {fid: RightsFile.encode(entries) for fid, entries in ranked.items()}


def decode_rights(files: Mapping[int, bytes]) -> tuple[ssv.Group, ...]:
    """The protected files (fid → bytes) back to SSV groups: 101-103, then each beneficiary's, then 111."""
    found: dict[tuple[int, int], list[ssv.Group]] = {}
    people = 0
    for data in files.values():
        for rank, group in RightsFile.decode(data):
            found.setdefault((rank, group.number), []).append(group)
            people = max(people, rank)
    order = [(0, number) for number in _FAMILY_GROUPS]
    order += [(rank, number) for rank in range(1, people + 1) for number in _PERSON_GROUPS]
    order.append((0, ssv.COMMON))
    return tuple(group for key in order for group in found.get(key, ()))
