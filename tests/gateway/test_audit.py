"""The audit trail shows any tampering."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.audit import GENESIS, AuditEntry, AuditHead, AuditRecord, link, seal_head, verify
from gateway.errors import StoreError

KEY = b"k" * 32
COUNT = 12


def trail(count: int = COUNT) -> tuple[list[AuditRecord], AuditHead]:
    """A true trail of `count` records."""
    records, previous = [], GENESIS
    for seq in range(1, count + 1):
        entry = AuditEntry(f"2026-03-02T09:00:{seq:02d}.000000Z", "gateway", "FSE kept", f"cabinet/{seq}", "")
        previous = link(previous, seq, entry)
        records.append(AuditRecord(seq, entry, previous))
    at = records[-1].entry.at if records else ""
    return records, AuditHead(count, previous, seal_head(KEY, count, previous), at)


def rechained(records: list[AuditRecord]) -> list[AuditRecord]:
    """The records numbered and chained afresh: what a forger without the key can do."""
    made, previous = [], GENESIS
    for seq, record in enumerate(records, 1):
        previous = link(previous, seq, record.entry)
        made.append(AuditRecord(seq, record.entry, previous))
    return made


def test_true_trail_is_believed() -> None:
    """Trails that nobody touched are believed, the empty one too."""
    for count in (0, 1, COUNT):
        records, head = trail(count)
        assert verify(records, head, KEY) == count


def _edits(at: int) -> dict[str, Callable[[list[AuditRecord]], list[AuditRecord]]]:
    def altered(field: str) -> Callable[[list[AuditRecord]], list[AuditRecord]]:
        def edit(records: list[AuditRecord]) -> list[AuditRecord]:
            entry = records[at].entry._replace(**{field: "forged"})
            return [*records[:at], replace(records[at], entry=entry), *records[at + 1 :]]

        return edit

    return {
        **{f"alter {field}": altered(field) for field in AuditEntry._fields},
        "delete": lambda records: records[:at] + records[at + 1 :],
        "duplicate": lambda records: [*records[: at + 1], *records[at:]],
        "truncate": lambda records: records[:at],
        "exchange": lambda r: [*r[: at - 1], r[at], r[at - 1], *r[at + 1 :]] if at else [r[1], r[0], *r[2:]],
        "digest": lambda r: [*r[:at], replace(r[at], digest=bytes(32)), *r[at + 1 :]],
    }


@pytest.mark.parametrize(
    ("edit", "rechain"),
    # Chaining afresh would undo a wrong digest, so that edit exists without it only.
    [
        (edit, rechain)
        for edit in _edits(0)
        for rechain in (False, True)
        if (edit, rechain) != ("digest", True)
    ],
)
@pytest.mark.parametrize("at", range(COUNT))
def test_every_single_edit_is_detected(at: int, edit: str, rechain: bool) -> None:
    """Altering, deleting, doubling, exchanging or cutting any record is detected, also when re-chained."""
    records, head = trail()
    forged = _edits(at)[edit](records)
    if rechain:
        forged = rechained(forged)
    with pytest.raises(StoreError, match="tampered"):
        verify(forged, head, KEY)


def test_head_needs_the_key() -> None:
    """A head made without the gateway's key, or for another length, is not believed."""
    records, head = trail()
    shorter = AuditHead(head.seq - 1, records[-2].digest, head.seal, records[-2].entry.at)
    foreign = replace(head, seal=seal_head(b"x" * 32, head.seq, head.digest))
    for forged, kept in ((shorter, records[:-1]), (foreign, records)):
        with pytest.raises(StoreError, match="not sealed by this gateway"):
            verify(kept, forged, KEY)


def test_fields_cannot_be_shifted() -> None:
    """Moving characters from one field to the next changes the digest."""
    one = AuditEntry("t", "ab", "c", "", "")
    assert link(GENESIS, 1, one) != link(GENESIS, 1, one._replace(who="a", what="bc"))
