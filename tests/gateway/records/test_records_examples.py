"""Every record of the house against its example and against the positions of the norm."""

from __future__ import annotations

import pytest

from gateway.records import b2, noemie, security
from gateway.records.fields import Field, Record, RecordError, num, text

RECORDS = (*b2.RECORDS, *security.RECORDS, *noemie.RECORDS)

# First and last positions as printed in the public sources, written down apart from the tables.
POSITIONS = {
    "000": "4-5 6-19 20-25 26-27 28-41 42-47 48-49 50-55 56-61 62-65 66-67 83-85 86-91 92-128",
    "1": "2-10 17-19 20-22 23-25 26-27 28-29 30-69 70-71 72-77 79-80 82-87 88-88",
    "2": "2-10 12-24 25-26 27-29 30-38 39-39 40-48 49-50 51-53 54-57 58-58 59-64 71-73 77-78 79-79 80-85"
    " 86-94 96-101 102-102 103-108 109-114 117-118 119-128",
    "2S": "12-24 30-38 50-62 63-64 121-121",
    "2C": "91-95",
    "2B": "40-40",
    "3": "39-40 41-43 44-49 50-55 56-60 61-63 64-64 65-69 71-75 76-82 83-90 91-93 94-101 102-109 122-128",
    "4": "39-40 41-43 54-54 68-69 70-75 76-80 81-82 83-88 89-90 91-97 98-104 105-107 108-114 115-121 123-128",
    "4M": "43-55 56-56 57-57 58-58 59-62 63-63 64-64 71-102",
    "4B": "49-54 55-56 57-64 65-70 71-72 73-80 81-86 87-88 89-96 97-102 103-104 105-112"
    " 113-118 119-120 121-128",
    "5": "39-41 42-49 50-57 58-65 66-73 74-81 82-89 90-97 115-122",
    "6": "11-13 14-17 18-21 22-24 25-33 34-42 43-51 52-54",
    "999": "4-5 6-19 20-25 26-27 28-41 42-47 48-49 50-55 56-63 83-85",
    "071": "6-11 12-43 44-75 76-85",
    "080": "6-11 12-14",
    "081": "6-7 8-21",
    "102": "6-14 15-20 21-23 24-29 30-30 31-36 37-37 38-39",
    "103": "6-18 19-20 86-98 101-106 107-107 108-132 133-147 148-151",
    "198": "6-13 14-14 15-22 23-23",
    "199": "6-13 14-14 15-22 23-23 24-33 34-48",
    "210": "6-7 34-41 42-49 50-52 53-60 61-61 62-64 65-66 67-69 70-74 75-77 78-85 86-87 88-90 91-98 99-101"
    " 102-109 110-117",
    "290": "6-7 8-17 18-97",
    "294": "6-9 10-95 96-96 97-97 98-102 103-108 109-117 118-120 121-122 123-152",
    "295": "7-134",
    "990": "6-22 23-30 31-41 42-42",
}
SIZES = {
    "010": 14, "020": 21, "040": 21, "070": 12, "071": 86, "080": 15, "081": 22, "100": 15, "102": 40,
    "103": 152, "110": 88, "120": 57, "150": 8, "160": 23, "198": 24, "199": 49, "210": 118, "220": 118,
    "250": 47, "261": 19, "262": 134, "290": 98, "294": 153, "295": 135, "990": 43,
}  # fmt: skip


def names(kind: type[Record]) -> str:
    return kind.__name__


@pytest.mark.parametrize("kind", RECORDS, ids=names)
def test_examples(kind: type[Record]) -> None:
    """The example's values make the example's bytes, and its bytes give back its values."""
    for values, data in kind.EXAMPLES:
        assert kind.encode(**values) == data
        assert kind.decode(data) == values
        assert len(data) == kind.SIZE


@pytest.mark.parametrize("kind", RECORDS, ids=names)
def test_examples_fill_every_field(kind: type[Record]) -> None:
    """An example names each field, so that a new field needs a new example."""
    wanted = {field.name for field in kind.FIELDS if field.kind != "const"}
    for values, _ in kind.EXAMPLES:
        assert set(values) == wanted


@pytest.mark.parametrize("kind", RECORDS, ids=names)
def test_no_overlap_and_blanks_between(kind: type[Record]) -> None:
    """Each position belongs to one field at most, and to a blank otherwise."""
    owner: dict[int, str] = {}
    for field in kind.FIELDS:
        for position in range(field.start, field.start + field.length):
            assert position not in owner, (field.name, owner.get(position))
            assert position <= kind.SIZE
            owner[position] = field.name
    for _, data in kind.EXAMPLES:
        free = [at for at in range(1, kind.SIZE + 1) if at not in owner]
        assert all(data[at - 1 : at] == b" " for at in free)
        for at in free:
            spoiled = data[: at - 1] + b"0" + data[at:]
            with pytest.raises(RecordError, match="blanks") as refused:
                kind.decode(spoiled)
            assert 0 < refused.value.position <= at


@pytest.mark.parametrize("kind", [kind for kind in RECORDS if kind.NAME in POSITIONS], ids=names)
def test_positions_of_the_norm(kind: type[Record]) -> None:
    """Each public position range is exactly one field of the table."""
    ranges = {(field.start, field.start + field.length - 1) for field in kind.FIELDS}
    for item in POSITIONS[kind.NAME].split():
        first, last = map(int, item.split("-"))
        assert (first, last) in ranges, item


@pytest.mark.parametrize("kind", noemie.ENTITIES, ids=names)
def test_sizes_of_entities(kind: type[Record]) -> None:
    """Each NOEMIE entity has its public size and ends with the delimiter."""
    assert kind.NAME in ("901", "902") or SIZES[kind.NAME] == kind.SIZE
    assert kind.EXAMPLES[0][1].endswith(b"@")


def test_every_record_class_is_listed() -> None:
    """No record class escapes the generic tests."""
    ours = {kind for kind in Record.__subclasses__() if kind.__module__.startswith("gateway.")}
    assert ours == set(RECORDS)


def test_overlapping_table_is_refused() -> None:
    """A table with two fields on one position cannot be declared; its neighbour without overlap can."""
    fields = (num("one", 1, 4), text("two", 4, 2))
    with pytest.raises(TypeError, match="overlaps position 4"):
        type("Wrong", (Record,), {"NAME": "W", "FIELDS": fields})
    type("Right", (Record,), {"NAME": "R", "FIELDS": (num("one", 1, 4), text("two", 5, 2))})


def test_field_beyond_the_end_is_refused() -> None:
    """A field past the record's size cannot be declared."""
    with pytest.raises(TypeError, match="longer than 128"):
        type("Long", (Record,), {"NAME": "L", "FIELDS": (Field("late", 127, 3, "num", 0),)})
