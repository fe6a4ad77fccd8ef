"""The SSV zone codec, and its mirror in the protected files of a Vitale."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.layout import ssv
from card.layout.rights import RIGHTS_FILES, decode_rights, encode_rights
from card.layout.ssv import FIELDS, Group, decode_zone, encode_zone
from card.layout.tree import LayoutError

ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=140)
FIELD_COUNTS = {101: 14, 102: 3, 103: 9, 104: 18, 105: 2, 106: 4, 107: 6, 108: 2, 109: 12, 1: 7, 2: 21}


def group(number: int) -> st.SearchStrategy[Group]:
    """A group with all its fields."""
    size = len(FIELDS[number])
    return st.lists(ASCII, min_size=size, max_size=size).map(lambda values: Group(number, tuple(values)))


GROUPS = st.lists(st.sampled_from(sorted(FIELDS)).flatmap(group), max_size=6)
PERSON = st.tuples(
    group(104), st.lists(group(105), max_size=3), st.lists(group(106), max_size=7), st.booleans()
).flatmap(
    lambda start: st.tuples(*(group(number) for number in ((107, 108, 109) if start[3] else ()))).map(
        lambda end: (start[0], *start[1], *start[2], *end)
    )
)
CARD = st.tuples(group(101), st.lists(PERSON, min_size=1, max_size=6)).map(
    lambda card: (card[0], *(item for person in card[1] for item in person))
)


@pytest.mark.parametrize(("number", "count"), FIELD_COUNTS.items())
def test_field_counts(number: int, count: int) -> None:
    """Groups have the field counts seen in the public sample zones (billing facts 1.5)."""
    assert len(FIELDS[number]) == count


@given(GROUPS)
@settings(max_examples=100, deadline=None)
def test_zone_round_trip(groups: list[Group]) -> None:
    """Any groups come back as they were."""
    assert decode_zone(encode_zone(groups)) == tuple(groups)


@given(st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a zone or a LayoutError; what decodes survives a second round."""
    try:
        groups = decode_zone(data)
    except LayoutError:
        return
    assert decode_zone(encode_zone(groups)) == groups


@given(GROUPS)
@settings(max_examples=50, deadline=None)
def test_cut_zone(groups: list[Group]) -> None:
    """A zone cut short never yields more groups than were whole."""
    data = encode_zone(groups)
    for end in range(0, len(data), 7):
        with suppress(LayoutError):
            assert len(decode_zone(data[:end])) <= len(groups)


def test_fields_by_name() -> None:
    """Fields are given and read by name; unknown names and groups are refused."""
    cover = Group.of(ssv.COVERAGE, ald="1", situation="0100")
    assert (cover.get("ald"), cover.get("start")) == ("1", "")
    for wrong in (lambda: cover.get("colour"), lambda: Group.of(106, colour="1"), lambda: Group.of(40)):
        with pytest.raises(LayoutError):
            wrong()


def test_a_group_shows_nobody() -> None:
    """The repr of a group holds no field."""
    assert "SECRETNAME" not in repr(Group.of(ssv.BENEFICIARY, name="SECRETNAME"))


def test_accents_do_not_fit_a_zone() -> None:
    """Only ASCII goes into a zone; the same name without accent does."""
    assert encode_zone([Group.of(104, name="HELENE")])
    with pytest.raises(LayoutError, match="ASCII"):
        encode_zone([Group.of(104, name="HÉLÈNE")])


@given(CARD)
@settings(max_examples=60, deadline=None)
def test_rights_round_trip(groups: tuple[Group, ...]) -> None:
    """What goes into the protected files comes back in zone order, whoever it belongs to."""
    files = encode_rights(groups)
    assert set(files) == set(RIGHTS_FILES)
    assert decode_rights(files) == groups


def test_rights_without_owner() -> None:
    """A right before the first beneficiary, or of an unknown group, has no place; after one it has."""
    person, right = Group.of(104), Group.of(105)
    assert decode_rights(encode_rights([person, right])) == (person, right)
    for wrong in ([right], [Group.of(1)], [person] * 7, [Group(104, ("too", "short"))]):
        with pytest.raises(LayoutError):
            encode_rights(wrong)


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_protected_bytes(data: bytes) -> None:
    """Any bytes in a protected file decode or raise LayoutError."""
    with suppress(LayoutError):
        decode_rights({0x2010: data})
