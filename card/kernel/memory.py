"""The non-volatile memory of a card: durable key → value in one file, safe against tearing.

The image is a snapshot followed by a journal.

    snapshot  magic · version · body length · SHA-256 of the body · body
    record    length · sequence · CRC of these two │ payload · CRC of the payload │ END mark

A record is appended and synced first, its END mark is appended and synced after. Therefore:
1. a record without END mark is a power cut: it is dropped, the card is as before the command;
2. a record with END mark was whole on the disk: when it does not verify, the image was damaged.
Values in RAM change only once the record is durable, so a failed write leaves the old values.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from zlib import crc32

from card.kernel.errors import ImageError
from card.kernel.storage import Storage

MAGIC = b"VGCARD"
VERSION = 1
END = b"\xe5END"

_SNAPSHOT = struct.Struct(">6sHI32s")
_RECORD = struct.Struct(">III")
_JOURNAL_LIMIT = 64 * 1024

Changes = dict[str, bytes | None]


class Memory:
    """All values of a card by key. Raises ImageError when `storage` does not hold a sound image."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._pending: Changes | None = None
        raw = storage.read()
        self._values, start = _read_snapshot(raw)
        self._sequence, end = _replay(raw, start, self._values)
        self._journal_size = end - start
        # After a torn tail or a failed write the next change rewrites the whole image.
        self._rewrite = end != len(raw)

    @classmethod
    def create(cls, storage: Storage, items: Mapping[str, bytes]) -> Memory:
        """Write a fresh image that holds `items`, in place of whatever was there."""
        storage.replace(_snapshot(items))
        return cls(storage)

    def get(self, key: str) -> bytes | None:
        """The value, as the open transaction sees it; None when there is none."""
        if self._pending is not None and key in self._pending:
            return self._pending[key]
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Set one value: at once, or together with the open transaction."""
        self._change(key, bytes(value))

    def delete(self, key: str) -> None:
        """Remove one value; nothing happens when there is none."""
        if self.get(key) is not None:
            self._change(key, None)

    def put_at_once(self, key: str, value: bytes) -> None:
        """Set one value durably now, even inside a transaction that is later given up.

        Try counters use this: an abort never refunds a try (Java Card PIN, same rule).
        """
        if self._pending is not None:
            self._pending.pop(key, None)
        self._commit({key: bytes(value)})

    def keys(self, prefix: str = "") -> tuple[str, ...]:
        """All keys that begin with `prefix`, oldest first."""
        merged: dict[str, bytes | None] = {**self._values, **(self._pending or {})}
        return tuple(key for key, value in merged.items() if value is not None and key.startswith(prefix))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside become durable together at the end, or not at all. Nested ones join."""
        if self._pending is not None:
            yield
            return
        self._pending = {}
        try:
            yield
            changes = self._pending
        finally:
            self._pending = None
        if changes:
            self._commit(changes)

    def _change(self, key: str, value: bytes | None) -> None:
        if self._pending is None:
            self._commit({key: value})
        else:
            self._pending[key] = value

    def _commit(self, changes: Changes) -> None:
        if self._rewrite or self._journal_size > _JOURNAL_LIMIT:
            self._replace(changes)
        else:
            self._append(changes)
        _apply(self._values, changes)

    def _append(self, changes: Changes) -> None:
        record = _record(self._sequence + 1, changes)
        self._rewrite = True
        self._storage.append(record)
        self._storage.sync()
        self._storage.append(END)
        self._storage.sync()
        self._rewrite = False
        self._sequence += 1
        self._journal_size += len(record) + len(END)

    def _replace(self, changes: Changes) -> None:
        values = dict(self._values)
        _apply(values, changes)
        self._rewrite = True
        self._storage.replace(_snapshot(values))
        self._rewrite = False
        self._sequence = self._journal_size = 0


def _apply(values: dict[str, bytes], changes: Changes) -> None:
    for key, value in changes.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value


def _snapshot(values: Mapping[str, bytes]) -> bytes:
    body = b"".join(_entry(key, value) for key, value in values.items())
    return _SNAPSHOT.pack(MAGIC, VERSION, len(body), hashlib.sha256(body).digest()) + body


def _record(sequence: int, changes: Changes) -> bytes:
    payload = b"".join(_entry(key, value) for key, value in changes.items())
    head = struct.pack(">II", len(payload), sequence)
    return head + crc32(head).to_bytes(4, "big") + payload + crc32(payload).to_bytes(4, "big")


def _entry(key: str, value: bytes | None) -> bytes:
    name = key.encode("ascii")
    size = 0 if value is None else len(value) + 1  # 0 says "removed"
    return struct.pack(">HI", len(name), size) + name + (value or b"")


def _entries(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    at = 0
    while at < len(data):
        name_size, size = struct.unpack_from(">HI", data, at)
        at += 6
        key = data[at : at + name_size].decode("ascii")
        at += name_size
        value = data[at : at + size - 1] if size else None
        at += max(0, size - 1)
        yield key, value


def _read_snapshot(raw: bytes) -> tuple[dict[str, bytes], int]:
    if raw[: len(MAGIC)] != MAGIC:
        raise ImageError("This file is not a card image; make one with `vitale-card new`.")
    if len(raw) < _SNAPSHOT.size:
        raise ImageError("The card image is cut short; take a copy of it or make the card again.")
    _, version, size, digest = _SNAPSHOT.unpack_from(raw)
    if version != VERSION:
        raise ImageError(f"The card image has format {version}, this program reads format {VERSION}.")
    body = raw[_SNAPSHOT.size : _SNAPSHOT.size + size]
    if len(body) < size:
        raise ImageError(
            f"The card image is cut short: {len(body)} of {size} bytes are there; make the card again."
        )
    if hashlib.sha256(body).digest() != digest:
        raise ImageError("The card image was altered: its checksum does not match; make the card again.")
    return {key: value for key, value in _entries(body) if value is not None}, _SNAPSHOT.size + size


def _replay(raw: bytes, start: int, values: dict[str, bytes]) -> tuple[int, int]:
    """Apply the journal; returns the last sequence number and where the sound part ends."""
    sequence, at = 0, start
    while (payload := _read_record(raw, at, sequence + 1)) is not None:
        _apply(values, dict(_entries(payload)))
        sequence += 1
        at += _RECORD.size + len(payload) + 4 + len(END)
    return sequence, at


def _read_record(raw: bytes, at: int, sequence: int) -> bytes | None:
    """The payload of the record at `at`; None at the end or before a torn tail."""
    if len(raw) - at < _RECORD.size:
        return None
    size, number, check = _RECORD.unpack_from(raw, at)
    if crc32(raw[at : at + 8]) != check:
        _refuse_damage(raw, sequence)
        return None
    body = at + _RECORD.size
    end = body + size + 4
    if len(raw) < end + len(END):
        return None
    payload = raw[body : body + size]
    sound = crc32(payload).to_bytes(4, "big") == raw[body + size : end]
    if number == sequence and sound and raw[end : end + len(END)] == END:
        return payload
    _refuse_damage(raw, sequence)
    return None


def _refuse_damage(raw: bytes, sequence: int) -> None:
    """A torn write never leaves an END mark at the end of the file; damage does."""
    if raw.endswith(END):
        raise ImageError(
            f"The card image was altered: change {sequence} does not verify; make the card again."
        )
