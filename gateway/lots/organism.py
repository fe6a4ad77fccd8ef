"""Who an invoice goes to: an organism, or a complementary insurer; B2 destination and mail address."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

from gateway.billing.organisms import destination_type, recipient
from gateway.errors import InputError

TEST_CENTRE = "999"


@dataclass(frozen=True, slots=True, order=True)
class Organism:
    """Where a lot is sent: `regime` 2 digits, `centre` informatique 3, `organism` destinataire 3."""

    regime: str
    centre: str
    organism: str

    @classmethod
    def of_insured(cls, regime: str, caisse: str, centre: str, day: date = date.max) -> Organism:
        """The destination for an insured person's régime, caisse (3) and centre (4), test cards only.

        `day`: the day of care, for a régime that is no more.
        """
        return cls(regime, TEST_CENTRE, recipient(regime, caisse, centre, day))

    @classmethod
    def parse(cls, key: str) -> Organism:
        """Read back `key`, for instance "01-999-349"."""
        parts = key.split("-")
        if [len(part) for part in parts] != [2, 3, 3] or not "".join(parts).isdigit():
            raise InputError(f"{key!r} is not a destination; write it like 01-999-349")
        return cls(*parts)

    @property
    def key(self) -> str:
        """A short text that names the destination, for stores and lists."""
        return f"{self.regime}-{self.centre}-{self.organism}"

    @property
    def destination_type(self) -> str:
        """B2 000, 26-27."""
        return destination_type(self.regime)

    @property
    def number(self) -> str:
        """B2 000, 28-41: fourteen digits."""
        return f"000000{self.regime}{self.centre}{self.organism}"

    @property
    def address(self) -> str:
        """Mail address of the organism's front end (never resolved: handed to the configured relay)."""
        return f"{self.regime}{self.organism}@{self.organism}.{self.regime}.rss.fr"


@dataclass(frozen=True, slots=True, order=True)
class Complementary:
    """A complementary insurer that takes DRE: `b2_number` 10 digits (109.1), `domain` of its mail (109.9)."""

    b2_number: str
    domain: str = field(default="amc.test", compare=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{10}", self.b2_number) or not self.b2_number.strip("0"):
            raise InputError("a complementary insurer has ten digits, not all zeros; read the card again")
        if not _DOMAIN.fullmatch(self.domain):
            raise InputError(
                "the insurer's domain (109.9) is no name of a mail server: bill without its demand, and tell "
                "the patient to have the card updated"
            )

    @property
    def key(self) -> str:
        """A short text that names the insurer, for stores and lists."""
        return f"amc-{self.b2_number}"

    @property
    def destination_type(self) -> str:
        """B2 000, 26-27."""
        return "OC"

    # INVENTED(amc-address): an insurer's fourteen digits are 1000 and its number, so that no caisse has them.
    @property
    def number(self) -> str:
        """B2 000, 28-41: fourteen digits."""
        return f"{_INSURER}{self.b2_number}"

    @property
    def organism(self) -> str:
        """B2 1, 17-19, and 7H, 104-106: three digits."""
        return self.b2_number[-3:]

    @property
    def address(self) -> str:
        """Mail address (never resolved: handed to the configured relay)."""
        return f"{self.b2_number}@{self.domain}"


_INSURER = "1000"
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?")
Destination = Organism | Complementary


def destination_of(number: str) -> Destination:
    """Who has these fourteen digits (B2 000, 28-41); InputError when they are nobody's."""
    if not re.fullmatch(r"[0-9]{14}", number):
        raise InputError("a destination has fourteen digits; look at record 000, position 28")
    if number.startswith(_INSURER):
        return Complementary(number[4:])
    return Organism(number[6:8], number[8:11], number[11:])
