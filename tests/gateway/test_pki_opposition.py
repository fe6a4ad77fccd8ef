"""A12: no card of the opposition list passes, no stale or partial list is used."""

from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import CardRefusal, InputError, TrustError
from gateway.pki.opposition import (
    ENTRY_SIZE,
    Opposition,
    OppositionList,
    encode_base,
    encode_update,
)

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def serial(number: int) -> str:
    return f"9925{number:016d}"


def entry(number: int, reason: str = "V") -> Opposition:
    return Opposition(serial(number), date(2026, 1, 15), reason)


def base(*numbers: int, number: int = 1, issued: datetime = NOW) -> OppositionList:
    return OppositionList.parse(encode_base(number, issued, [entry(one) for one in numbers]))


@given(st.sets(st.integers(0, 60), max_size=40), st.sets(st.integers(0, 60), max_size=20))
@settings(max_examples=150, deadline=None)
def test_lookup_is_membership(listed: set[int], gone: set[int]) -> None:
    """After any base and any update, exactly the right cards are found."""
    first = base(*listed)
    added = [entry(one + 100) for one in listed] + [entry(one, "P") for one in listed - gone if one % 3 == 0]
    second = first.apply(encode_update(first, NOW + DAY, added, [serial(one) for one in gone]))
    expected = (listed - gone) | {one + 100 for one in listed}
    assert {one for one in range(200) if second.lookup(serial(one)) is not None} == expected
    assert len(second) == len(expected)
    assert OppositionList.parse(second.to_bytes()) == second


def test_what_an_entry_says() -> None:
    """Serial, day and reason come back; an unlisted card is not found."""
    known = base(1, 2, 3)
    assert known.lookup(serial(2)) == Opposition(serial(2), date(2026, 1, 15), "V")
    assert known.lookup(serial(4)) is None
    with pytest.raises(InputError):
        known.lookup("12")


def test_a_listed_card_is_refused() -> None:
    """The refusal has a code and says what to do; another card passes."""
    known = base(1)
    known.check(serial(2), NOW)
    with pytest.raises(CardRefusal, match="ask the patient for a new card") as refused:
        known.check(serial(1), NOW)
    assert refused.value.code == "card-opposed"


def test_a_list_is_fresh_for_24_hours() -> None:
    """Good for exactly 24 hours, then refused; so is a list from the future; a listed card stays listed."""
    known = base(1)
    known.check(serial(2), NOW + DAY)
    for moment in (NOW + DAY + timedelta(seconds=1), NOW - timedelta(minutes=6)):
        with pytest.raises(TrustError) as stale:
            known.check(serial(2), moment)
        assert stale.value.code == "opposition-stale"
        with pytest.raises(CardRefusal):
            known.check(serial(1), moment)


def test_every_torn_or_changed_byte_is_noticed() -> None:
    """Each truncation and each changed byte of base and update is refused; the list held stays as it was."""
    known = base(*range(5))
    update = encode_update(known, NOW + DAY, [entry(7)], [serial(3)])
    whole = known.apply(update)
    for data, read in ((known.to_bytes(), OppositionList.parse), (update, known.apply)):
        for at in range(len(data)):
            with pytest.raises(TrustError):
                read(data[:at])
            with pytest.raises(TrustError):
                read(data[:at] + bytes((data[at] ^ 0x01,)) + data[at + 1 :])
        with pytest.raises(TrustError):
            read(data + bytes(ENTRY_SIZE))
    assert (known, known.apply(update)) == (base(*range(5)), whole)


def test_updates_in_the_wrong_order() -> None:
    """Reordered, repeated, missing, or of another list: refused, naming the one that is needed."""
    first = base(1)
    one = encode_update(first, NOW + DAY, [entry(2)], [])
    second = first.apply(one)
    two = encode_update(second, NOW + 2 * DAY, [entry(3)], [])
    assert len(second.apply(two)) == 3
    for held, update in ((first, two), (second, one), (base(9), one), (second.apply(two), two)):
        with pytest.raises(TrustError, match="does not follow"):
            held.apply(update)


def test_roll_back() -> None:
    """An older complete list, or an update dated before the list, does not replace a newer one."""
    newer, older = base(1, 2, number=5, issued=NOW), base(1, number=4, issued=NOW - DAY)
    assert older.replaced_by(newer.to_bytes()) == newer
    for evil in (older, newer, base(1, number=6, issued=NOW - DAY), base(1, number=4, issued=NOW + DAY)):
        with pytest.raises(TrustError, match="not newer"):
            newer.replaced_by(evil.to_bytes())
    with pytest.raises(TrustError, match="older than the list"):
        newer.apply(encode_update(newer, NOW - DAY, [entry(3)], []))


def test_a_stale_list_cannot_be_dated_anew() -> None:
    """The moment of issue is inside the digest."""
    stale = base(1, issued=NOW - 3 * DAY).to_bytes()
    evil = re.sub(rb"2026-11-19T06:00:00Z", b"2026-11-22T06:00:00Z", stale)
    assert evil != stale
    OppositionList.parse(stale)
    with pytest.raises(TrustError, match="damaged"):
        OppositionList.parse(evil)


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1)], ids=["unordered", "twice"])
def test_entries_out_of_order(numbers: tuple[int, int]) -> None:
    """A publisher's mistake that would make looking up by halves wrong is refused despite a right digest."""
    entries = b"".join(entry(one).encode() for one in numbers)
    with pytest.raises(TrustError, match="out of order"):
        OppositionList.parse(OppositionList(1, NOW, entries).to_bytes())


def test_kept_on_disk(tmp_path: Path) -> None:
    """Saved and loaded; a missing or torn file is refused; a torn temporary file does no harm."""
    path = tmp_path / "opposition"
    with pytest.raises(TrustError, match="no opposition list"):
        OppositionList.load(path)
    base(1, 2).save(path)
    (tmp_path / "opposition.new").write_bytes(b"torn")
    assert OppositionList.load(path) == base(1, 2)
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrustError, match="damaged"):
        OppositionList.load(path)


def test_a_list_of_a_large_country() -> None:
    """100,000 entries: every tenth of a thousand cards looked up is found, the others not."""
    chance = random.Random(7)
    numbers = chance.sample(range(10**9), 100_000)
    large = base(*numbers)
    for number in numbers[:1000]:
        assert large.lookup(serial(number)) is not None
        assert large.lookup(serial(number + 10**10)) is None


@given(st.binary(max_size=120))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused(data: bytes) -> None:
    """Nothing but TrustError comes out of bytes that are not a list (A10)."""
    for read in (OppositionList.parse, base(1).apply, base(1).replaced_by):
        with pytest.raises(TrustError):
            read(data)
        with pytest.raises(TrustError):
            read(b"OPPOSITION 1 BASE " + data)
