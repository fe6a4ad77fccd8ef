"""The audit trail: who did what, when, to which id, each record chained to the one before.

A record's digest covers the digest of the record before it, so that altering, removing, inserting
or exchanging records breaks the chain; the head (how many records, and the last digest) is sealed
with a local key, so that cutting off the tail breaks the seal. No personal data: ids only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.errors import StoreError

GENESIS = bytes(32)
"""What stands for the digest before the first record."""


class AuditEntry(NamedTuple):
    """What is recorded. `at` is ISO 8601 UTC, `ref` an id (FSE number, lot id), `detail` short."""

    at: str
    who: str
    what: str
    ref: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the trail."""

    seq: int
    entry: AuditEntry
    digest: bytes


@dataclass(frozen=True, slots=True)
class AuditHead:
    """How long the trail is and how it ends, sealed."""

    seq: int
    digest: bytes
    seal: bytes


def link(previous: bytes, seq: int, entry: AuditEntry) -> bytes:
    """The digest of a record: SHA-256 over the previous digest and the length-framed fields."""
    parts = [part.encode() for part in (str(seq), *entry)]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha256(previous + framed).digest()


def seal_head(key: bytes, seq: int, digest: bytes) -> bytes:
    """The seal of a head: HMAC-SHA-256 with the store's own key."""
    return hmac.digest(key, b"audit head" + seq.to_bytes(8, "big") + digest, "sha256")


def verify(records: Iterable[AuditRecord], head: AuditHead, key: bytes) -> int:
    """Walk the whole trail and return its length; raises StoreError naming the first bad record."""
    seq, previous = 0, GENESIS
    for record in records:
        seq += 1
        if record.seq != seq:
            raise _broken(seq, "is missing or out of order")
        expected = link(previous, seq, record.entry)
        if not hmac.compare_digest(expected, record.digest):
            raise _broken(seq, "was altered")
        previous = expected
    if not hmac.compare_digest(seal_head(key, head.seq, head.digest), head.seal):
        raise _broken(head.seq, "is not sealed by this gateway")
    if (seq, previous) != (head.seq, head.digest):
        raise _broken(seq + 1, f"is missing: the trail should have {head.seq} records and has {seq}")
    return seq


def _broken(seq: int, what: str) -> StoreError:
    sentence = (
        f"the audit trail was tampered with: record {seq} {what}; keep the store as it is and call for help"
    )
    return StoreError(sentence, code="audit")
