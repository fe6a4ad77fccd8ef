"""What a page may set going: cards opposed and made, complementary links, médecin traitant, withdrawals.

Each is kept durably first and then put into force; when a receiver starts, it is all in force again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from card.kernel.storage import FileStorage
from card.personalise import personalise
from gateway.billing.rows import WithdrawalRow
from gateway.billing.tables import Tables
from gateway.clock import Clock, Rng
from gateway.errors import InputError
from gateway.exchange.calendar import legal_day
from gateway.pki.opposition import Opposition
from tools.portal.register import Family, Register
from tools.portal.state import OpposedCard, State
from tools.receiver.claims import Clerk
from tools.receiver.core import Receiver
from tools.receiver.insured import InsuredBase
from tools.receiver.insurers import Contract, InsurerBase
from tools.receiver.publishing import OppositionPublisher

if TYPE_CHECKING:
    from card.issuer import TestIssuer

LOST, STOLEN, REPLACED = "P", "V", "R"
ZONES = ("metropole", "antilles", "guyane_reunion", "mayotte")
_SOURCE = "décision du contrôleur de la caisse (portail du banc d'essai)"


@dataclass
class Office:
    """The desk behind the pages. `publisher`: of the opposition list; `orders`: where new cards go."""

    state: State
    register: Register
    receiver: Receiver
    clerk: Clerk
    insured: InsuredBase
    insurers: InsurerBase
    tables: Tables
    issuer: TestIssuer = field(repr=False)
    publisher: OppositionPublisher | None
    orders: Path
    clock: Clock
    rng: Rng = field(repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def today(self) -> date:
        """The day in France."""
        return legal_day(self.clock.now())

    def put_in_force(self) -> None:
        """Everything that was decided in earlier runs."""
        for tag, insurer, linked in self.state.links():
            family = self.register.family(tag)
            if family is not None:
                self.insurers.link(family.nir, insurer, linked=linked)
        for tag, number, since in self.state.doctors():
            family = self.register.family(tag)
            if family is not None:
                self.insured.declare_doctor(family.nir, number, since)
        self._use_withdrawals()
        if self.publisher is not None:
            self.publisher.declared = self._declared_cards
            self._publish()

    # Cards

    def present_serial(self, family: Family) -> str:
        """The serial (20 digits) of the card the family has, or has ordered; "" without a card."""
        ordered = self.state.ordered(family.tag)
        return family.profile.serial if ordered is None else ordered[0]

    def declare(self, family: Family, reason: str) -> OpposedCard:
        """Put the family's card on the opposition list of the gateways; InputError when that cannot be."""
        if reason not in (LOST, STOLEN):
            raise InputError("Choisissez entre perdue et volée.")
        serial = self._serial_to_oppose(family)
        self.state.oppose(OpposedCard(serial, self.today, reason))
        self._publish()
        declared = self.state.opposed_card(serial)
        assert declared is not None
        return declared

    def _serial_to_oppose(self, family: Family) -> str:
        if self.publisher is None:
            raise InputError(
                "Ce récepteur a démarré sans liste d'opposition (--opposition) : rien n'est déclaré."
            )
        serial = self.present_serial(family)
        if not serial:
            raise InputError("Aucune carte Vitale n'est délivrée à cette personne.")
        return serial

    def order(self, family: Family) -> Path:
        """Make a new card for the family, in place of the one it has, which is opposed; the image's file."""
        with self._guard:
            old = self._serial_to_oppose(family)
            serial = f"99259{int.from_bytes(self.rng(8), 'big') % 10**15:015d}"
            self.orders.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = self.orders / f"carte-{serial}.card"
            now = self.clock.now()
            profile = replace(family.profile, serial=serial, valid_from=self.today)
            personalise(profile, FileStorage(target), self.issuer, now)
            self.state.order(family.tag, serial, OpposedCard(old, self.today, REPLACED))
        self._publish()
        return target

    def _declared_cards(self) -> list[Opposition]:
        return [Opposition(card.serial, card.since, card.reason) for card in self.state.opposed()]

    def opposition_of(self, serial: str) -> Opposition | None:
        """Why and since when this card is opposed, by whoever put it on the list; None: it is in service."""
        if card := self.state.opposed_card(serial):
            return Opposition(card.serial, card.since, card.reason)
        listed = self.receiver.opposition
        return listed.lookup(serial) if listed is not None and serial else None

    def _publish(self) -> None:
        assert self.publisher is not None
        self.publisher.publish()

    # Choices

    def contracts(self, family: Family) -> tuple[Contract, ...]:
        """The complementary contracts of the family, one an insurer."""
        found = {one.insurer: one for one in self.insurers.of_family(family.nir)}
        return tuple(found.values())

    def link(self, family: Family, insurer: str, *, linked: bool) -> None:
        """Turn the hand-over to an insurer on or off; InputError for one that is not the family's."""
        if insurer not in {one.insurer for one in self.contracts(family)}:
            raise InputError("Cet organisme complémentaire n'est pas le vôtre.")
        self.state.set_link(family.tag, insurer, linked=linked)
        self.insurers.link(family.nir, insurer, linked=linked)

    def choose_doctor(self, family: Family, number: str) -> None:
        """The caisse knows this médecin traitant from today on; InputError when the number is no doctor's."""
        if number not in self.register.doctors:
            raise InputError("Choisissez un médecin de la liste.")
        self.state.choose_doctor(family.tag, number, self.today)
        self.insured.declare_doctor(family.nir, number, self.today)

    # Medicines

    @property
    def medicines(self) -> Mapping[str, str]:
        """CIP code → name of every medicine of the tables."""
        rows = (row for row in self.tables.acts if row.codes[0].startswith("34009"))
        return {code: row.label for row in rows for code in row.codes}

    def withdraw(self, code: str, since: date) -> None:
        """A medicine is no longer reimbursed from a day on; InputError when it is unknown or is withdrawn."""
        if code not in self.medicines:
            raise InputError("Choisissez un médicament de la liste.")
        if any(code in row.codes for row in self.tables.of_kind(WithdrawalRow)):
            raise InputError("Les tables retirent déjà ce médicament.")
        self.state.withdraw(code, since)
        self._use_withdrawals()

    def restore(self, code: str) -> None:
        """Take back a withdrawal made here."""
        self.state.restore(code)
        self._use_withdrawals()

    def _use_withdrawals(self) -> None:
        rows = [
            _withdrawal(code, since) for code, since in self.state.withdrawals() if code in self.medicines
        ]
        self.clerk.use(self.tables.with_rows(rows) if rows else self.tables)


def _withdrawal(code: str, since: date) -> WithdrawalRow:
    return WithdrawalRow(
        codes=(code,), label="no longer reimbursed", zones=ZONES, since=since, source=_SOURCE
    )
