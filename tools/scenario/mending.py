"""What a practice does about a no: a refused sheet is made anew, a lot with a negative ARL too.

Nothing is sent again by itself. Each morning the professional looks at what was refused: all sheets of a lot
that the national side would not read, and sheets of somebody whom the caisse did not know, because another
organism insures them now: their card is brought up to date first. Each gets a new number, and names the
old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gateway.errors import GatewayError
from tools.receiver.codes import UNKNOWN_INSURED
from tools.scenario.people import CAISSE_UNKNOWN, Patient
from tools.scenario.till import Till
from tools.scenario.workplace import Seen, Workplace


@dataclass(frozen=True)
class Mended:
    """An old sheet and the one in its place. `refused_by_caisse`: its payment was refused, not its lot."""

    old: int
    seen: Seen
    refused_by_caisse: bool


@dataclass
class Mender:
    """One professional's. `updated` gives the patient after a visit to the kiosk."""

    place: Workplace
    till: Till
    patient: Callable[[int], Patient]
    updated: Callable[[int], Patient]
    _waiting: set[int] = field(default_factory=set)

    @property
    def waiting(self) -> int:
        """Sheets that are to be made anew."""
        return len(self._waiting) + len(self.place.refused_lots())

    def mend(self) -> Iterator[Mended]:
        """The morning's round; a sheet whose card cannot be used today waits for another day."""
        for number in self.place.refused_lots():
            yield from self._again(number, self.patient(self.till.patient_of(number)), of_caisse=False)
        self._waiting |= {number for number in self.till.take_refused(UNKNOWN_INSURED) if self._can(number)}
        for number in sorted(self._waiting):
            yield from self._again(number, self.updated(self.till.patient_of(number)), of_caisse=True)

    def _can(self, number: int) -> bool:
        """Paid at the desk, by somebody who has only changed organism."""
        seen = self.till.sheet(number)
        return seen.third_party == "none" and self.patient(seen.patient).trouble in ("", CAISSE_UNKNOWN)

    def _again(self, number: int, patient: Patient, *, of_caisse: bool) -> Iterator[Mended]:
        try:
            seen = self.place.make_anew(number, patient, self.till.sheet(number))
        except GatewayError:
            return
        self._waiting.discard(number)
        self.till.rectifies(number, seen)
        yield Mended(number, seen, of_caisse)
