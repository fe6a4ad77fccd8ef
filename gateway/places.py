"""A place of practice: what an invoice says of the professional, from the CPS or from what was kept of it.

The CPS is read when it is there. What it says is kept (closed, in the store), so that an FSE can be made for
a professional whose card comes later (desynchronised) or not at all (degraded).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from gateway.cards.cps import CpsSession, Situation
from gateway.errors import CardRefusal, InputError
from gateway.lots.parties import PractitionerIds


# INVENTED(absent-practitioner): how a sheet is made while its CPS is away is not public; a place is kept.
@dataclass(frozen=True, slots=True)
class Place:
    """One professional at one place of practice; `cps_serial` as the card has it."""

    practitioner: PractitionerIds
    cps_serial: str = field(repr=False)

    @property
    def identifier(self) -> str:
        """Billing number and key, nine digits: what invoices and lots are filed under."""
        return self.practitioner.billing_number

    @classmethod
    def of_card(cls, cps: CpsSession, wanted: str) -> Place:
        """The situation of this logical number on the CPS ("": the first); CardRefusal when none may sign."""
        return cls._of(cps, _situation(cps, wanted))

    @classmethod
    def named(cls, cps: CpsSession, identifier: str) -> Place | None:
        """The situation of this billing number on the CPS, None when it is another one's."""
        found = next((one for one in cps.situations if one.identifier == identifier), None)
        return None if found is None else cls.of_card(cps, found.logical_number)

    @classmethod
    def _of(cls, cps: CpsSession, situation: Situation) -> Place:
        practitioner = PractitionerIds(
            billing_number=situation.identifier,
            national_id=cps.holder.national_id,
            name=cps.holder.full_name,
            specialty=situation.specialty,
            convention=situation.convention,
            zone=situation.zone,
        )
        return cls(practitioner, cps.serial)

    def to_bytes(self) -> bytes:
        """The form that is kept; always the same bytes for the same place."""
        return json.dumps({**asdict(self.practitioner), "cps_serial": self.cps_serial}).encode()

    @classmethod
    def parse(cls, kept: bytes) -> Place:
        """Read back `to_bytes`."""
        values = json.loads(kept)
        serial = values.pop("cps_serial")
        return cls(PractitionerIds(**values), serial)


def unknown(identifier: str) -> InputError:
    """The refusal of a place whose CPS was never seen by this gateway."""
    return InputError(
        f"practitioner.place: no CPS of {identifier} was seen here yet; bill once with that card first.",
        code="place-unknown",
    )


def _situation(cps: CpsSession, wanted: str) -> Situation:
    signing = [s for s in cps.situations if s.may_sign_invoice and s.may_sign_lot]
    usable = [s for s in signing if wanted in ("", s.logical_number)]
    if not usable:
        which = f"situation {wanted}" if wanted else "a situation"
        raise CardRefusal(
            f"The CPS in the {cps.connection.slot_name} slot has not {which} "
            "that may sign invoices and lots: insert another CPS or choose another situation.",
            code="no-situation",
        )
    return usable[0]
