"""What makes a lot negative although its signatures stand: opposition, keys, dates, routing.

A serial number is believed only once the seal of its card stands: that is why the opposition list is asked
after the signatures. Every refusal names its invoice, its record (1 = 000) and the first position of the
field, and never the value. A lot with several faults is told all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from card.layout.nir import NirError, nir_key
from gateway.errors import InputError
from gateway.lots.fse import Fse, FseView
from gateway.lots.invoice import kinds_of
from gateway.lots.organism import Complementary, Organism
from gateway.lots.refusal import LotRefusal
from gateway.pki import OppositionList
from gateway.records.fields import RecordError, read_date

_SERIAL = re.compile(r"[0-9A-Fa-f]{20}")
_ACTS = {b"4 ": 70, b"3 ": 44}
"""Where an act line has its date, by kind of record."""


@dataclass(frozen=True)
class Subject:
    """One verified invoice: its records, what they say, and the number of its first record in the file."""

    fse: Fse = field(repr=False)
    view: FseView = field(repr=False)
    first: int

    def refusal(self, code: str, sentence: str, record: int, position: int) -> LotRefusal:
        """The refusal of this invoice at a place; `record` counts from 0 inside the invoice."""
        number = self.view.number
        return LotRefusal(code, sentence, record=self.first + record, invoice=number, position=position)

    @property
    def kinds(self) -> list[bytes]:
        """The kind of each record, two bytes each."""
        kinds = kinds_of(self.fse.records)
        return [kinds[at : at + 2] for at in range(0, len(kinds), 2)]

    def record_of(self, kind: bytes) -> int:
        """The place of the first record of this kind, 0 when there is none."""
        kinds = self.kinds
        return kinds.index(kind) if kind in kinds else 0


def refusals(subjects: Sequence[Subject], opposition: OppositionList | None) -> Iterator[LotRefusal]:
    """Everything that is wrong with these invoices, in the order of the checks (billing facts 10.11)."""
    for subject in subjects:
        yield from _opposed(subject, opposition)
        yield from _keys(subject)
        yield from _dates(subject)
        yield from _routing(subject)


def _opposed(subject: Subject, opposition: OppositionList | None) -> Iterator[LotRefusal]:
    if opposition is None:
        return
    view = subject.view
    places = {
        "6001": (view.vitale_serial, 58, "the Vitale card is on the opposition list; make a degraded sheet"),
        "6002": (view.cps_serial, 78, "the card of the professional is on the opposition list; replace it"),
    }
    for code, (serial, position, sentence) in places.items():
        if _SERIAL.fullmatch(serial.strip()) and opposition.lookup(serial.strip()) is not None:
            yield subject.refusal(code, sentence, subject.record_of(b"7H"), position)


def _keys(subject: Subject) -> Iterator[LotRefusal]:
    view = subject.view
    if not _is_key(view.nir, view.nir_key):
        sentence = "the key of the insured person's number is wrong; read the card again"
        yield subject.refusal("2006", sentence, 0, 25)
    if view.own_nir and not _is_key(view.own_nir, view.own_key):
        sentence = "the key of the beneficiary's own number is wrong; read the card again"
        yield subject.refusal("2006", sentence, subject.record_of(b"2S"), 63)


def _is_key(nir: str, key: str) -> bool:
    try:
        return f"{nir_key(nir):02d}" == key
    except NirError:
        return False


def _dates(subject: Subject) -> Iterator[LotRefusal]:
    view = subject.view
    if not _is_day(view.care_date):
        yield subject.refusal("2007", "the date of the care is not a day of the calendar", 0, 80)
    if not _is_day(view.birth_date):
        yield subject.refusal("2007", "the birth date is not a day of the calendar", 0, 96)
    records = [at for at, kind in enumerate(subject.kinds) if kind in _ACTS]
    for record, line in zip(records, view.lines, strict=True):
        if not _is_day(line.date):
            position = _ACTS[subject.kinds[record]]
            yield subject.refusal("2007", "the date of an act is not a day of the calendar", record, position)


def _is_day(text: str) -> bool:
    try:
        read_date(text)
    except RecordError:
        return False
    return True


def _routing(subject: Subject) -> Iterator[LotRefusal]:
    """The organism of record 2 is the one that the tables give for régime, caisse and centre."""
    view = subject.view
    if isinstance(view.destination, Complementary):  # the gate has read the insurer from record 2 itself
        return
    try:
        right = Organism.of_insured(view.regime, view.caisse, view.centre)
    except InputError:
        yield subject.refusal("2003", "the régime has no organism; read the card again", 0, 49)
        return
    if view.destination.organism != right.organism:
        sentence = f"the insured person belongs to organism {right.organism}; send it there in its own lot"
        yield subject.refusal("4011", sentence, 0, 71)
