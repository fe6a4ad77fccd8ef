"""The opposition list: cards reported lost, stolen or withdrawn. No secured FSE from one of them.

A complete list (base) comes rarely, an update daily. Both are one header line and fixed entries in
ascending order, and both name the SHA-256 of the complete list they lead to, so a torn, reordered,
rolled-back or foreign file is told apart before anything is used:

    OPPOSITION 1 BASE <number> <issued> <entries> <digest after>
    OPPOSITION 1 UPDATE <number> <issued> <changes> <digest before> <digest after>

Who published it is vouched for by the signed message it travels in; the digests vouch for the rest.
"""

from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from gateway.errors import CardRefusal, InputError, TrustError
from gateway.folder import sync_folder

# INVENTED(opposition-list-format): the real layout is not public; ours is a header line and 14-byte entries.
SERIAL_SIZE, ENTRY_SIZE = 10, 14
"""An entry: card serial 10, day of opposition in days since 2000-01-01 3, reason letter 1."""
_REASONS = bytes(range(ord("A"), ord("Z") + 1))
REMOVED = b"-"
"""The reason letter of an update's entry that takes a card off the list."""
# INVENTED(opposition-freshness): "daily" of the 2009 addendum is read as 24 hours.
FRESH_FOR = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)
HEADER_LIMIT = 256
_ORIGIN = date(2000, 1, 1)

_HEADER = re.compile(
    rb"OPPOSITION 1 (?P<kind>BASE|UPDATE) (?P<number>[1-9][0-9]{0,8}) "
    rb"(?P<issued>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z) (?P<count>0|[1-9][0-9]{0,8})"
    rb"(?: (?P<before>[0-9a-f]{64}))? (?P<after>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Opposition:
    """One card on the list: its serial (20 hexadecimal digits), since when, reason (one letter)."""

    serial: str
    since: date
    reason: str

    def encode(self) -> bytes:
        """The 14 bytes of the entry."""
        days = (self.since - _ORIGIN).days
        return bytes.fromhex(self.serial) + days.to_bytes(3, "big") + self.reason.encode("ascii")


@dataclass(frozen=True)
class _Header:
    kind: str
    number: int
    issued: datetime
    before: str
    after: str


@dataclass(frozen=True)
class OppositionList:
    """An immutable version of the list: `number` rises by one with every update; `issued` is UTC."""

    number: int
    issued: datetime
    _entries: bytes = field(repr=False)

    @classmethod
    def parse(cls, base: bytes) -> OppositionList:
        """Read a complete base list; a torn or altered one raises TrustError."""
        header, entries = _split(base, "BASE")
        _check_entries(entries, _REASONS)
        if _digest(header.number, header.issued, entries) != header.after:
            raise TrustError("the opposition list is damaged or incomplete: fetch it again")
        return cls(header.number, header.issued, entries)

    @classmethod
    def load(cls, path: Path) -> OppositionList:
        """The list kept at `path`; a missing or damaged file raises TrustError."""
        try:
            return cls.parse(path.read_bytes())
        except TrustError as wrong:
            raise TrustError(f"{path}: {wrong}") from None
        except FileNotFoundError:
            raise TrustError(f"there is no opposition list at {path}: fetch the complete list") from None
        except OSError as problem:
            raise TrustError(
                f"the opposition list {path} cannot be read ({problem.strerror}): correct its rights"
            ) from None

    def save(self, path: Path) -> None:
        """Keep this list at `path`, durably and all or nothing: write, sync, rename, sync the directory."""
        temporary = path.with_name(path.name + ".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(self.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)

    @property
    def digest(self) -> str:
        """SHA-256 over number, moment and entries, hexadecimal: what the next update must name."""
        return _digest(self.number, self.issued, self._entries)

    def to_bytes(self) -> bytes:
        """The complete list as a base file."""
        return (
            f"OPPOSITION 1 BASE {self.number} {self.issued:%Y-%m-%dT%H:%M:%SZ} {len(self)} {self.digest}\n"
        ).encode("ascii") + self._entries

    def apply(self, update: bytes) -> OppositionList:
        """The list after one daily update; any doubt raises TrustError and changes nothing."""
        header, changes = _split(update, "UPDATE")
        if header.number != self.number + 1 or header.before != self.digest:
            raise TrustError(
                f"opposition update {header.number} does not follow the list {self.number} held here: "
                f"fetch update {self.number + 1} or the complete list"
            )
        if header.issued <= self.issued:
            raise TrustError("the opposition update is older than the list held here: fetch it again")
        _check_entries(changes, _REASONS + REMOVED)
        entries = _merge(self._entries, changes)
        if _digest(header.number, header.issued, entries) != header.after:
            raise TrustError("the opposition update does not lead to the list it names: fetch it again")
        return OppositionList(header.number, header.issued, entries)

    def replaced_by(self, base: bytes) -> OppositionList:
        """A newer complete list; an older one (roll-back) raises TrustError."""
        newer = OppositionList.parse(base)
        if newer.number <= self.number or newer.issued <= self.issued:
            raise TrustError(
                f"the complete opposition list {newer.number} is not newer than the list {self.number} "
                "held here: fetch the present one"
            )
        return newer

    def lookup(self, serial: str) -> Opposition | None:
        """The entry of a Vitale card (20 hexadecimal digits), if it is on the list."""
        if not re.fullmatch(r"[0-9A-Fa-f]{20}", serial):
            raise InputError("a Vitale serial number has 20 hexadecimal digits: read the card again")
        wanted = bytes.fromhex(serial)
        at = _position(self._entries, wanted)
        entry = self._entries[at : at + ENTRY_SIZE]
        return _decode(entry) if entry[:SERIAL_SIZE] == wanted else None

    def check_fresh(self, now: datetime) -> None:
        """TrustError (code `opposition-stale`) if the list is older than 24 hours, or from the future."""
        if now - self.issued > FRESH_FOR:
            raise TrustError(
                f"the opposition list of {self.issued:%Y-%m-%d %H:%M} UTC is older than 24 hours: "
                "fetch today's update",
                code="opposition-stale",
            )
        if self.issued - now > CLOCK_SKEW:
            raise TrustError(
                "the opposition list is from the future: set this machine's clock", code="opposition-stale"
            )

    def check(self, serial: str, now: datetime) -> None:
        """CardRefusal (code `card-opposed`) for a listed card; TrustError for a stale list."""
        entry = self.lookup(serial)
        if entry is not None:
            raise CardRefusal(
                f"the Vitale card is on the opposition list since {entry.since:%Y-%m-%d}: "
                "no secured FSE with it; ask the patient for a new card",
                code="card-opposed",
            )
        self.check_fresh(now)

    def __len__(self) -> int:
        return len(self._entries) // ENTRY_SIZE


def encode_base(number: int, issued: datetime, entries: list[Opposition]) -> bytes:
    """A complete list as its publisher writes it."""
    ordered = b"".join(sorted(entry.encode() for entry in entries))
    return OppositionList(number, issued.astimezone(UTC).replace(microsecond=0), ordered).to_bytes()


def encode_update(
    current: OppositionList, issued: datetime, added: list[Opposition], removed: list[str]
) -> bytes:
    """The update that leads from `current` to the next number, as its publisher writes it.

    A card to remove that is not listed is left out.
    """
    gone = [bytes.fromhex(one) + bytes(3) + REMOVED for one in removed if current.lookup(one) is not None]
    changes = b"".join(sorted([*(entry.encode() for entry in added), *gone]))
    moment = issued.astimezone(UTC).replace(microsecond=0)
    after = _digest(current.number + 1, moment, _merge(current._entries, changes))
    return (
        f"OPPOSITION 1 UPDATE {current.number + 1} {moment:%Y-%m-%dT%H:%M:%SZ} "
        f"{len(changes) // ENTRY_SIZE} {current.digest} {after}\n"
    ).encode("ascii") + changes


def _split(data: bytes, kind: str) -> tuple[_Header, bytes]:
    """Header and entries of a file of that kind, sizes agreeing."""
    line, newline, entries = data.partition(b"\n") if b"\n" in data[:HEADER_LIMIT] else (b"", b"", b"")
    match = _HEADER.fullmatch(line)
    if not newline or match is None or (match["before"] is None) != (match["kind"] == b"BASE"):
        raise TrustError("the file is not an opposition list: fetch it again")
    if match["kind"].decode() != kind:
        raise TrustError(f"the file is not an opposition {kind.lower()}: fetch the right one")
    if len(entries) != int(match["count"]) * ENTRY_SIZE:
        raise TrustError("the opposition list is damaged or incomplete: fetch it again")
    return _header(match), entries


def _header(match: re.Match[bytes]) -> _Header:
    try:
        issued = datetime.strptime(match["issued"].decode(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise TrustError("the opposition list is issued on an impossible day: fetch it again") from None
    before = match["before"] or b""
    return _Header(
        match["kind"].decode(), int(match["number"]), issued, before.decode(), match["after"].decode()
    )


def _digest(number: int, issued: datetime, entries: bytes) -> str:
    state = hashlib.sha256(f"OPPOSITION 1 {number} {issued:%Y-%m-%dT%H:%M:%SZ}\n".encode())
    state.update(entries)
    return state.hexdigest()


def _check_entries(entries: bytes, reasons: bytes) -> None:
    """Known reason letters; serials strictly ascending, so that looking up by halves is right."""
    if set(entries[ENTRY_SIZE - 1 :: ENTRY_SIZE]) - set(reasons):
        raise TrustError("the opposition list gives an unknown reason: fetch it again")
    previous = b""
    for at in range(0, len(entries), ENTRY_SIZE):
        serial = entries[at : at + SERIAL_SIZE]
        if serial <= previous:
            raise TrustError("the opposition list is out of order: fetch it again")
        previous = serial


def _position(entries: bytes, serial: bytes) -> int:
    """Offset of the first entry whose serial is not below `serial`."""

    def serial_at(index: int) -> bytes:
        return entries[index * ENTRY_SIZE : index * ENTRY_SIZE + SERIAL_SIZE]

    return bisect_left(range(len(entries) // ENTRY_SIZE), serial, key=serial_at) * ENTRY_SIZE


def _merge(entries: bytes, changes: bytes) -> bytes:
    """Entries with each change put in its place: added, replaced, or taken away."""
    pieces: list[bytes] = []
    done = 0
    for at in range(0, len(changes), ENTRY_SIZE):
        change = changes[at : at + ENTRY_SIZE]
        place = _position(entries, change[:SERIAL_SIZE])
        pieces.append(entries[done:place])
        is_there = entries[place : place + SERIAL_SIZE] == change[:SERIAL_SIZE]
        if not change.endswith(REMOVED):
            pieces.append(change)
        elif not is_there or any(change[SERIAL_SIZE:-1]):
            raise TrustError("the opposition update removes a card that is not listed: fetch it again")
        done = place + ENTRY_SIZE if is_there else place
    return b"".join([*pieces, entries[done:]])


def _decode(entry: bytes) -> Opposition:
    days = int.from_bytes(entry[SERIAL_SIZE:-1], "big")
    since = _ORIGIN + timedelta(days=min(days, 2_900_000))
    return Opposition(entry[:SERIAL_SIZE].hex().upper(), since, entry[-1:].decode("latin-1"))
