"""One owner per card reader: taken, kept, taken over when its lease ends, given back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.errors import StoreError
from tests.gateway.store.line import Line

LEASE = timedelta(minutes=2)


def test_a_reader_has_one_owner(line: Line) -> None:
    """A second gateway is refused in one sentence that names the first; another reader it may take."""
    until = line.store.take_reader("cabinet/pcsc", "desk", LEASE)
    assert until == line.clock.now() + LEASE
    with pytest.raises(StoreError) as refused:
        line.store.take_reader("cabinet/pcsc", "hall", LEASE)
    assert refused.value.code == "reader-taken"
    assert str(refused.value) == (
        "the reader cabinet/pcsc is used by desk until 2026-03-02 09:02 UTC or longer: stop that gateway, or "
        "give this reader a name of its own"
    )
    line.store.take_reader("other/pcsc", "hall", LEASE)


def test_a_lease_is_renewed_and_ends(line: Line) -> None:
    """Kept in time, the reader stays; once the lease has ended another takes it, and the first is told."""
    line.store.take_reader("pcsc", "desk", LEASE)
    line.clock.advance(LEASE - timedelta(seconds=1))
    line.store.keep_reader("pcsc", "desk", LEASE)
    line.clock.advance(timedelta(seconds=2))
    with pytest.raises(StoreError, match="used by desk"):
        line.store.take_reader("pcsc", "hall", LEASE)
    line.clock.advance(LEASE)
    line.store.take_reader("pcsc", "hall", LEASE)
    with pytest.raises(StoreError, match="used by hall"):
        line.store.keep_reader("pcsc", "desk", LEASE)


def test_a_reader_that_is_given_back_is_free(line: Line) -> None:
    """Given back by its owner it is free at once, by somebody else it is not; the trail tells of it."""
    line.store.take_reader("pcsc", "desk", LEASE)
    line.store.give_reader_back("pcsc", "hall")
    with pytest.raises(StoreError, match="used by desk"):
        line.store.take_reader("pcsc", "hall", LEASE)
    line.store.give_reader_back("pcsc", "desk")
    line.store.take_reader("pcsc", "hall", LEASE)
    said = [(record.entry.what, record.entry.detail) for record in line.store.audit_records("")]
    assert said == [("reader taken", "desk"), ("reader given back", "desk"), ("reader taken", "hall")]


def test_the_same_gateway_starts_again(line: Line) -> None:
    """After a stop without a farewell the same owner takes its reader at once, nobody else does."""
    line.store.take_reader("pcsc", "desk", LEASE)
    line.reopen()
    with pytest.raises(StoreError, match="used by desk"):
        line.store.take_reader("pcsc", "hall", LEASE)
    line.store.take_reader("pcsc", "desk", LEASE)
