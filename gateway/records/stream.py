"""Files of entities: 000, entities that end with "@", 999. Shared by ARL and NOEMIE returns."""

from __future__ import annotations

from typing import Any

from gateway.records.b2 import FileStart
from gateway.records.fields import Record, RecordError
from gateway.records.noemie import ENTITIES, Break, ReturnEnd

_SIZE = 128
_CLASSES = {entity.NAME.encode("ascii"): entity for entity in ENTITIES}
_COMMON = ("sender_type", "sender", "destination_type", "destination", "file_id", "application")


def sign_of(cents: int) -> str:
    """P for zero and more, N below."""
    return "N" if cents < 0 else "P"


def signed(amount: int, sign: str) -> int:
    """The amount with its sign; RecordError for another letter, and for a negative zero."""
    if sign not in ("P", "N") or (sign == "N" and not amount):
        raise RecordError("a sign is P or N, and zero has P")
    return -amount if sign == "N" else amount


class Writer:
    """Collects entities; `close` frames them with 000 and a 999 that counts them."""

    def __init__(self, **start: str) -> None:
        self._start = {name: start[name] for name in _COMMON}
        self._records = [FileStart.encode(**start)]

    @property
    def count(self) -> int:
        """Records so far, 000 included."""
        return len(self._records)

    def add(self, kind: type[Record], level: str, **values: Any) -> None:
        """One entity at a level of break."""
        self._records.append(kind.encode(level=level, **values))

    def break_(self, level: str, key: str, count: int, cents: int) -> None:
        """990 for a level."""
        self.add(Break, level, id=key, count=count, sum=abs(cents), sign=sign_of(cents))

    def close(self, lots: int, cents: int) -> bytes:
        """999, and the whole file."""
        self._records.append(
            ReturnEnd.encode(
                **self._start,
                records=self.count + 1,
                flow_type="T",
                lots=lots,
                total=abs(cents),
                sign=sign_of(cents),
            )
        )
        return b"".join(self._records)


class Reader:
    """Walks over the entities of a file, strictly in order. `start` and `end`: 000 and 999 decoded."""

    def __init__(self, data: bytes, application: str) -> None:
        if len(data) < 2 * _SIZE:
            raise RecordError(f"a return of {len(data)} bytes is too short: ask for it again")
        self.start = FileStart.decode(data[:_SIZE])
        self.end = ReturnEnd.decode(data[-_SIZE:])
        if self.start["application"] != application:
            raise RecordError(f"record 000: this is not a file of kind {application}", 48)
        if data[3:55] != data[-_SIZE + 3 : -_SIZE + 55]:
            raise RecordError("record 999 does not repeat positions 4 to 55 of record 000", 4)
        self._entities = _split(data[_SIZE:-_SIZE])
        self._at = 0
        if self.end["records"] != len(self._entities) + 2:
            raise RecordError("record 999 counts another number of records than there are", 56)

    @property
    def at(self) -> int:
        """How many entities were taken."""
        return self._at

    def has(self, kind: type[Record], level: str) -> bool:
        """True when the next entity is of this kind and level."""
        head = (kind.NAME + level).encode("ascii")
        return self._at < len(self._entities) and self._entities[self._at].startswith(head)

    def take(self, kind: type[Record], level: str) -> dict[str, Any]:
        """The next entity, which must be of this kind and level, decoded."""
        if not self.has(kind, level):
            raise RecordError(f"entity {self._at + 2} of the return is not {kind.NAME} of level {level}")
        entity = self._entities[self._at]
        self._at += 1
        return kind.decode(entity)

    def all_of(self, kind: type[Record], level: str) -> list[dict[str, Any]]:
        """The next entities of this kind and level, none or several."""
        found = []
        while self.has(kind, level):
            found.append(self.take(kind, level))
        return found

    def close_level(self, level: str, key: str, count: int, cents: int) -> None:
        """990 of a level: its id, counter and sum must be these."""
        found = self.take(Break, level)
        if (found["id"], found["count"]) != (key, count):
            raise RecordError(f"entity 990 of level {level} closes or counts something else", 6)
        if signed(found["sum"], found["sign"]) != cents:
            raise RecordError(f"entity 990 of level {level}: the sum is not what it closes", 31)

    def close(self, lots: int, cents: int) -> None:
        """999: nothing is left, and it says these lots and this total."""
        if self._at != len(self._entities):
            raise RecordError(f"entity {self._at + 2} of the return is out of its place")
        if self.end["lots"] != lots or self.end["flow_type"] != "T":
            raise RecordError("record 999 counts other lots or names another flow", 83)
        if signed(self.end["total"], self.end["sign"]) != cents:
            raise RecordError("record 999: the total is not the sum of the return", 86)


def _split(body: bytes) -> list[bytes]:
    """Entities with their "@"; RecordError for an unknown type."""
    if body and not body.endswith(b"@"):
        raise RecordError("the last entity of the return is cut")
    entities = [entity + b"@" for entity in body.split(b"@")[:-1]]
    for entity in entities:
        if entity[:3] not in _CLASSES:
            raise RecordError("the return holds an entity of unknown type")
    return entities
