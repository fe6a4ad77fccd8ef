"""Who an invoice goes to: an organism, or a complementary insurer; B2 destination and mail address."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.errors import InputError

# B2 000, positions 26-27, by regime (billing facts, section 2).
DESTINATION_TYPES = {
    "01": "CT", "02": "MA", "03": "SR", "04": "CF", "05": "RP", "06": "EN", "07": "RM", "08": "CM",
    "10": "CE", "12": "CI", "14": "AN", "15": "SE", "16": "PB", "90": "CC", "91": "SM", "92": "SM",
    "93": "SM", "94": "SM", "95": "SM", "96": "SM", "99": "SM",
}  # fmt: skip
_PARIS = frozenset({"751", "781", "911", "921", "931", "941", "951"})
TEST_CENTRE = "999"


@dataclass(frozen=True, slots=True, order=True)
class Organism:
    """Where a lot is sent: `regime` 2 digits, `centre` informatique 3, `organism` destinataire 3."""

    regime: str
    centre: str
    organism: str

    @classmethod
    def of_insured(cls, regime: str, caisse: str, centre: str) -> Organism:
        """The destination for an insured person's régime, caisse (3) and centre (4), test cards only."""
        if regime not in DESTINATION_TYPES:
            raise InputError(f"regime {regime!r} has no known destination; read the card again")
        return cls(regime, TEST_CENTRE, _recipient(regime, caisse, centre))

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
        return DESTINATION_TYPES.get(self.regime, "SM")

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
Destination = Organism | Complementary


def destination_of(number: str) -> Destination:
    """Who has these fourteen digits (B2 000, 28-41); InputError when they are nobody's."""
    if not re.fullmatch(r"[0-9]{14}", number):
        raise InputError("a destination has fourteen digits; look at record 000, position 28")
    if number.startswith(_INSURER):
        return Complementary(number[4:])
    return Organism(number[6:8], number[8:11], number[11:])


def _recipient(regime: str, caisse: str, centre: str) -> str:
    """Organisme destinataire from régime, caisse and centre (billing facts, 1.6)."""
    if regime == "02":
        return caisse[:2] + "1" if caisse.endswith("5") else caisse
    if regime == "04":
        return "110"
    if regime == "12":
        return "001"
    if regime == "91" and (caisse, centre) == ("751", "0501"):
        return "999"
    if caisse in _PARIS and regime in ("93", "94"):
        return centre[-3:]
    if caisse in _PARIS and regime in ("95", "96"):
        return "751"
    return caisse
