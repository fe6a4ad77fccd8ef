"""The audit trail: who did what, when, to which id, each record chained to the one before.

Each practice has a chain of its own, so that practices never wait for each other, and the gateway has one,
the chain of practice "", which names those that were begun: a chain that is gone as a whole is missed.

A record's digest covers the digest of the record before it, so that altering, removing, inserting
or exchanging records breaks the chain; the head (how many records, and the last digest) is sealed
with a local key, so that cutting off the tail breaks the seal. No personal data: ids only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

from gateway.errors import StoreError

GENESIS = bytes(32)
"""What stands for the digest before the first record of the gateway's own chain."""

BEGINS = "audit chain begins"
"""What the gateway's own chain says when a practice gets its chain; the record's ref is the practice."""


_ACTS: ContextVar[str] = ContextVar("acts", default="gateway")


def who_acts() -> str:
    """Who does what is recorded now: a program, the page, the command line, else the gateway itself."""
    return _ACTS.get()


@contextmanager
def acting(who: str) -> Iterator[None]:
    """What this thread (or task) does in the block is done by them; never the name of a person."""
    before = _ACTS.set(who)
    try:
        yield
    finally:
        _ACTS.reset(before)


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
    practice: str = ""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """How a chain ends, sealed: its last number, the moment (a stamp) and digest of that record."""

    seq: int
    digest: bytes
    seal: bytes
    at: str = ""


def genesis(practice: str, seq: int) -> bytes:
    """What stands for the digest before record `seq` + 1, the first one of a practice's chain.

    Numbers go on from where the gateway's own chain stood then: what is told of a practice there, by an
    earlier release, has lower numbers than its own chain.
    """
    if not practice:
        return GENESIS
    return hashlib.sha256(b"audit chain" + seq.to_bytes(8, "big") + practice.encode()).digest()


def link(previous: bytes, seq: int, entry: AuditEntry) -> bytes:
    """The digest of a record: SHA-256 over the previous digest and the length-framed fields."""
    parts = [part.encode() for part in (str(seq), *entry)]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha256(previous + framed).digest()


def seal_head(key: bytes, seq: int, digest: bytes) -> bytes:
    """The seal of a head: HMAC-SHA-256 with the store's own key."""
    return hmac.digest(key, b"audit head" + seq.to_bytes(8, "big") + digest, "sha256")


def verify(records: Iterable[AuditRecord], head: AuditHead, key: bytes, practice: str = "") -> int:
    """Walk one whole chain; how many records it has. StoreError naming the first bad record."""
    count, seq, previous, at = 0, 0, genesis(practice, 0), ""
    for record in records:
        if practice and not count:
            seq, previous = record.seq - 1, genesis(practice, record.seq - 1)
        seq, count, at = seq + 1, count + 1, record.entry.at
        if record.seq != seq:
            raise broken(practice, f"record {seq} is missing or out of order")
        expected = link(previous, seq, record.entry)
        if not hmac.compare_digest(expected, record.digest):
            raise broken(practice, f"record {seq} was altered")
        previous = expected
    if not hmac.compare_digest(seal_head(key, head.seq, head.digest), head.seal):
        raise broken(practice, f"record {head.seq} is not sealed by this gateway")
    if (seq, previous, at) != (head.seq, head.digest, head.at):
        raise broken(
            practice,
            f"record {seq + 1} is missing: the trail should end with record {head.seq} and ends with {seq}",
        )
    return count


def broken(practice: str, what: str) -> StoreError:
    """The trail was tampered with, in the chain of this practice."""
    whose = f" of practice {practice}" if practice else ""
    sentence = f"the audit trail{whose} was tampered with: {what}; keep the store as it is and call for help"
    return StoreError(sentence, code="audit")
