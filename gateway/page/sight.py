"""What is in the two slots, in words for a person: who, which rights on this day, locked or not.

The Vitale is read once for each time it is put in, and what it said is forgotten when it leaves.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from gateway.cards.cps import Situation
from gateway.cards.rights import Beneficiary, Rights
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.exchange.calendar import legal_day
from gateway.page.words import age
from reader.errors import NoCard, ReaderError

if TYPE_CHECKING:
    from gateway.page.room import Room


@dataclass(frozen=True)
class Person:
    """One person of the card on a day. `signs` are keys of the catalogue (`right.…`) with their tone."""

    number: int
    name: str = field(repr=False)
    born: date = field(repr=False)
    age: int
    has_rights: bool
    signs: tuple[tuple[str, str], ...] = ()
    contract: str = ""
    has_ald: bool = False
    covers: tuple[str, ...] = ()


@dataclass(frozen=True)
class VitaleSeen:
    """The Vitale slot. `state`: empty, hidden (the CPS is locked), seen, refused or trouble."""

    state: str
    people: tuple[Person, ...] = ()
    valid_until: date | None = None
    is_test: bool = False
    error: GatewayError | ReaderError | None = None


@dataclass(frozen=True)
class CpsSeen:
    """The CPS slot. `state`: empty, locked, open or trouble; `has_pad`: its reader takes the PIN itself.

    `pad_only`: the PIN is typed where the reader is, never on this page.
    """

    state: str
    name: str = field(default="", repr=False)
    place: str = field(default="", repr=False)
    specialty: str = ""
    situations: tuple[Situation, ...] = field(default=(), repr=False)
    ends: datetime | None = None
    sheets_left: int | None = None
    has_pad: bool = False
    pad_only: bool = False
    last_try: bool = False
    error: ReaderError | None = None


class Sight:
    """The slots of one practice's desk."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._guard = threading.Lock()
        self._read: tuple[int, Rights | GatewayError | ReaderError] | None = None

    @property
    def rights(self) -> Rights | None:
        """The rights that the inserted Vitale was seen with; None when it has to be read anew."""
        desk = self._room.desk
        with self._guard:
            kept = self._read
            if desk is None or kept is None or kept[0] != _movements(desk) or not desk.has_vitale:
                self._read = None
                return None
            return kept[1] if isinstance(kept[1], Rights) else None

    def vitale(self) -> VitaleSeen:
        """The Vitale slot."""
        desk = self._room.desk
        if desk is None:
            return VitaleSeen("none")
        if not desk.has_vitale:
            self._forget()
            why = desk.slots[0].emptiness()
            return VitaleSeen("empty") if isinstance(why, NoCard) else VitaleSeen("trouble", error=why)
        if not desk.is_unlocked:
            self._forget()
            return VitaleSeen("hidden")
        found = self._look(desk)
        if not isinstance(found, Rights):
            return VitaleSeen("refused", error=found)
        today = self._room.today
        people = tuple(person(one, at, today) for at, one in enumerate(found.beneficiaries, 1))
        return VitaleSeen("seen", people, found.validity_end, found.is_test)

    def cps(self) -> CpsSeen:
        """The CPS slot."""
        desk = self._room.desk
        if desk is None:
            return CpsSeen("none")
        has_pad = desk.slots[1].has_pad
        if not desk.has_cps:
            why = desk.slots[1].emptiness()
            return CpsSeen("empty") if isinstance(why, NoCard) else CpsSeen("trouble", error=why)
        if not desk.is_unlocked:
            only, last_try = desk.slots[1].pad_only, self._room.is_last_try
            return CpsSeen("locked", has_pad=has_pad, pad_only=only, last_try=last_try)
        try:
            cps, sitting = desk.cps, desk.sitting
            situations = tuple(one for one in cps.situations if one.may_sign_invoice and one.may_sign_lot)
        except (GatewayError, ReaderError):
            return CpsSeen("locked", has_pad=has_pad)
        first = next(iter((*situations, *cps.situations)), None)
        return CpsSeen(
            "open",
            name=cps.holder.full_name,
            place=first.structure_name if first else "",
            specialty=first.specialty if first else "",
            situations=situations,
            ends=sitting.ends if sitting else None,
            sheets_left=sitting.left if sitting else None,
            has_pad=has_pad,
        )

    def _look(self, desk: Desk) -> Rights | GatewayError | ReaderError:
        """What the card says, read once for each time it was put in; a passing trouble is not kept."""
        with self._guard:
            at = _movements(desk)
            if self._read is not None and self._read[0] == at:
                return self._read[1]
            try:
                found: Rights | GatewayError = self._rights(desk)
            except GatewayError as refusal:
                found = refusal
            except ReaderError as trouble:
                return trouble
            self._read = at, found
            return found

    def _rights(self, desk: Desk) -> Rights:
        practice = self._room.practice
        cps = desk.cps
        with desk.vitale() as vitale:
            vitale.check_validity(legal_day(practice.clock.now()))
            practice.opposition.check(vitale.serial, practice.clock.now())
            vitale.authenticate(cps)
            found = vitale.read_rights()
        self._room.note("rights read")
        return found

    def _forget(self) -> None:
        with self._guard:
            self._read = None


def person(one: Beneficiary, number: int, on: date) -> Person:
    """A beneficiary in the words of the page."""
    signs = [("open", "good") if one.has_rights(on) else ("closed", "bad")]
    for name, holds in (
        ("ald", one.has_ald(on)),
        ("css", one.is_css(on)),
        ("maternity", one.is_maternity(on)),
        ("alsace", one.is_alsace_moselle(on)),
        ("aspa", one.is_aspa(on)),
    ):
        if holds:
            signs.append((name, "go"))
    covers = tuple(
        name
        for name, cover in (("mutuelle", one.mutuelle), ("amc", one.amc))
        if cover is not None and cover.includes(on)
    )
    return Person(
        number=number,
        name=f"{one.first_name} {one.name}".strip(),
        born=one.birth_date,
        age=age(one.birth_date, on),
        has_rights=one.has_rights(on),
        signs=tuple(signs),
        contract=one.complementary(on) or "",
        has_ald=one.has_ald(on),
        covers=covers,
    )


def _movements(desk: Desk) -> int:
    return desk.slots[0].event_counter
