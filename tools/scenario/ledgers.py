"""Five ledgers of five parties: each posts what it has seen itself, in cents, under a month and a flow.

They say the same or the year is wrong. No ledger is derived from another one; what one party tells another
(a receipt, a letter, a payment return) is a paper that both have in hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

PATIENT, PROFESSIONAL, CAISSE = "patient", "professional", "caisse"
COMPLEMENTARY, BANK = "complementary", "bank"
PARTIES = (PATIENT, PROFESSIONAL, CAISSE, COMPLEMENTARY, BANK)

DESK, BILLS = "patient → professional, at the desk", "patient → professional, refused shares"
TO_PROFESSIONAL, TO_PATIENT = "caisse → professional", "caisse → patient"
SHARE_TO_PROFESSIONAL, SHARE_TO_PATIENT = "complementary → professional", "complementary → patient"
PARTICIPATION, FRANCHISE = "participation forfaitaire withheld", "franchises withheld"

FLOWS: Mapping[str, tuple[str, ...]] = {
    DESK: (PATIENT, PROFESSIONAL, BANK),
    BILLS: (PATIENT, PROFESSIONAL, BANK),
    TO_PROFESSIONAL: (CAISSE, PROFESSIONAL, BANK),
    TO_PATIENT: (CAISSE, PATIENT, BANK),
    SHARE_TO_PROFESSIONAL: (COMPLEMENTARY, PROFESSIONAL, BANK),
    SHARE_TO_PATIENT: (COMPLEMENTARY, PATIENT, BANK),
    PARTICIPATION: (CAISSE, PATIENT),
    FRANCHISE: (CAISSE, PATIENT),
}
"""Each flow of money and the parties whose ledgers have it. No bank sees what is withheld: nothing moves."""

_PAYS = {
    PATIENT: (DESK, BILLS),
    CAISSE: (TO_PROFESSIONAL, TO_PATIENT),
    COMPLEMENTARY: (SHARE_TO_PROFESSIONAL, SHARE_TO_PATIENT),
}
_GETS = {
    PATIENT: (TO_PATIENT, SHARE_TO_PATIENT),
    PROFESSIONAL: (DESK, BILLS, TO_PROFESSIONAL, SHARE_TO_PROFESSIONAL),
}
MOVING = (DESK, BILLS, TO_PROFESSIONAL, TO_PATIENT, SHARE_TO_PROFESSIONAL, SHARE_TO_PATIENT)


def month_of(day: date) -> str:
    """The month that a day is booked under, such as 2025-03."""
    return f"{day:%Y-%m}"


@dataclass
class Ledger:
    """One party's book: cents by month and flow."""

    party: str
    cents: dict[tuple[str, str], int] = field(default_factory=dict)

    def post(self, day: date, flow: str, cents: int) -> None:
        """Write down what was seen on this day, in cents."""
        assert self.party in FLOWS[flow], f"the {self.party} does not see: {flow}"
        key = month_of(day), flow
        self.cents[key] = self.cents.get(key, 0) + cents

    def month(self, month: str, flow: str) -> int:
        """Cents of one flow in one month."""
        return self.cents.get((month, flow), 0)

    def total(self, *flows: str) -> int:
        """Cents of these flows over all months."""
        return sum(cents for (_, flow), cents in self.cents.items() if flow in flows)

    @property
    def flows(self) -> tuple[str, ...]:
        """What this party sees, in the common order."""
        return tuple(flow for flow, parties in FLOWS.items() if self.party in parties)

    @property
    def paid(self) -> int:
        """Cents that left this party; for the bank, all that it moved."""
        return self.total(*(MOVING if self.party == BANK else _PAYS.get(self.party, ())))

    @property
    def received(self) -> int:
        """Cents that reached this party; for the bank, all that it moved."""
        return self.total(*(MOVING if self.party == BANK else _GETS.get(self.party, ())))


Ledgers = Mapping[str, Ledger]


def open_ledgers() -> dict[str, Ledger]:
    """Five empty ledgers."""
    return {party: Ledger(party) for party in PARTIES}


def months(ledgers: Ledgers) -> list[str]:
    """Every month in which anybody has booked anything, in order."""
    return sorted({month for ledger in ledgers.values() for month, _ in ledger.cents})


def differences(ledgers: Ledgers) -> Iterator[str]:
    """Every place where two parties do not say the same, earliest month first, one sentence each."""
    for month in months(ledgers):
        for flow, parties in FLOWS.items():
            first, *others = (ledgers[party] for party in parties)
            for other in others:
                if (one := first.month(month, flow)) != (two := other.month(month, flow)):
                    yield (
                        f"{month}, {flow}: the {first.party} has {euros(one)}, "
                        f"the {other.party} {euros(two)} (difference {two - one:+d} cents)"
                    )


def euros(cents: int) -> str:
    """An amount for people: 1234 is 12.34 EUR."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02d} EUR".replace(",", " ")
