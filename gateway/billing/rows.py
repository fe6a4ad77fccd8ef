"""The kinds of rows of the dated tables: what each one says, and which question it answers.

Every row says where it holds (zones), from when (and until when, both days included) and who says so.
Two rows that answer the same question on the same day in the same zone are refused when tables are loaded.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every row says: where and when it holds, and who says so."""

    zones: tuple[str, ...]
    since: date
    source: str
    until: date | None = None

    def holds(self, day: date, zone: str) -> bool:
        """True when the row is in force on this day in this zone."""
        return self.since <= day and (self.until is None or day <= self.until) and zone in self.zones

    def answers(self) -> Iterable[Hashable]:
        """The questions this row answers; two rows in force together never share one."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ActRow(Row):
    """The tariff of one or several acts, in cents, and the conditions to bill them.

    `cents` is the amount of the act, or of its key letter; `key_letter` and `points` instead of it: points
    times the letter's amount (biology). `by_charge`: no tariff of its own, the charge is the base.
    `letters`: what B2 writes for a coded act (CCAM, NABM, LPP, medicine). `most_cents`: nothing above it may
    be charged. `basket`: 100 % Santé. `heavy`: counts for the flat-rate participation, together with its like
    ("together") or by itself ("alone"). `coordinated`: reimbursed only inside the pathway, and only if the
    patient was seen in the last `seen_within_months`, except with a letter of `seen_except`. `brings`: a
    right of the act itself, whoever the patient is. `alone`: no other act on the sheet. `yearly`: at most so
    many for one patient. `condition`: what nobody can check here and the reasons say.
    """

    codes: tuple[str, ...]
    label: str
    family: str
    specialties: tuple[str, ...]
    tariff: str
    cents: int | None = None
    scaled: bool = False
    no_excess: bool = False
    below_age: int | None = None
    from_age: int | None = None
    with_: tuple[str, ...] = ()
    pathways: tuple[str, ...] = ()
    letters: str = ""
    activity: str = "1"
    modifiers: str = ""
    complement: bool = False
    key_letter: str = ""
    points: int | None = None
    by_charge: bool = False
    most_cents: int | None = None
    basket: bool = False
    heavy: str = ""
    heavy_points: bool = False
    coordinated: bool = False
    seen_within_months: int | None = None
    seen_except: tuple[str, ...] = ()
    brings: str = ""
    alone: bool = False
    yearly: int | None = None
    condition: str = ""
    spared_below_age: int | None = None
    deduction: str = ""

    def answers(self) -> Iterable[Hashable]:
        """One per code, activity, tariff and specialty."""
        return (
            (code, self.tariff, specialty, self.activity)
            for code in self.codes
            for specialty in self.specialties
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifierRow(Row):
    """A CCAM modifier: an amount in cents, or a percentage of the act; one `urgent` modifier on a sheet."""

    letter: str
    label: str
    cents: int | None = None
    percent: str = ""
    urgent: bool = False

    def answers(self) -> Iterable[Hashable]:
        """The letter."""
        return (self.letter,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRow(Row):
    """The share of its tariff that an associated CCAM act keeps."""

    code: int
    percent: int

    def answers(self) -> Iterable[Hashable]:
        """The association code."""
        return (self.code,)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpliftRow(Row):
    """What a zone adds to every tariff of a nomenclature, in percent."""

    nomenclature: str
    percent: int

    def answers(self) -> Iterable[Hashable]:
        """The nomenclature."""
        return (self.nomenclature,)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow(Row):
    """The share of the base that AMO pays for a family of acts in a scheme; `fixed`: no right lifts it."""

    family: str
    scheme: str
    percent: int
    fixed: bool = False

    def answers(self) -> Iterable[Hashable]:
        """Family and scheme."""
        return ((self.family, self.scheme),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RightRow(Row):
    """A right that lifts the rate, spares the patient an advance, or names the nature of insurance.

    `percent` 0 lifts nothing. `when` is a right of the person, or of the acts that bring it (`brings`).
    """

    when: str
    label: str
    percent: int
    exemption_code: str
    third_party: str
    shields: bool
    nature_code: str = ""
    contract: str = ""
    from_month: int | None = None

    def answers(self) -> Iterable[Hashable]:
        """The condition."""
        return (self.when,)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathwayRow(Row):
    """What a pathway letter means: `in` or `out`."""

    letters: tuple[str, ...]
    effect: str

    def answers(self) -> Iterable[Hashable]:
        """The letters."""
        return self.letters


@dataclass(frozen=True, slots=True, kw_only=True)
class OutRow(Row):
    """The rate outside the pathway, and the age from which it applies."""

    families: tuple[str, ...]
    percent: int
    from_age: int

    def answers(self) -> Iterable[Hashable]:
        """The families."""
        return self.families


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRow(Row):
    """What a complementary contract pays, in percent of each thing.

    `excess_percent` of the excess, at most `cap_percent` of the base with practitioners bound to the
    opposable tariff or OPTAM and `outside_cap_percent` with the others (no cap when absent). `basket`: the
    whole rest of 100 % Santé. `increase`: also what leaving the pathway costs (never a responsible contract).
    """

    name: str
    label: str
    copayment_percent: int
    excess_percent: int
    cap_percent: int | None = None
    outside_cap_percent: int | None = None
    basket: bool = False
    increase: bool = False

    def answers(self) -> Iterable[Hashable]:
        """The name."""
        return (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConventionRow(Row):
    """Which tariff a convention code has: `opposable` or `free`."""

    codes: tuple[str, ...]
    tariff: str

    def answers(self) -> Iterable[Hashable]:
        """The codes."""
        return self.codes


@dataclass(frozen=True, slots=True, kw_only=True)
class HeavyRow(Row):
    """The flat-rate participation (PAV) that replaces the ticket modérateur of heavy acts.

    Due from `threshold_cents` of base, or from `threshold_points` of coefficient for key letters; the schemes
    of `paid_by_schemes` pay it for the insured.
    """

    threshold_cents: int
    threshold_points: int
    cents: int
    paid_by_schemes: tuple[str, ...]

    def answers(self) -> Iterable[Hashable]:
        """There is one at a time."""
        return ("heavy",)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRow(Row):
    """Acts, medicines or devices taken off the list of what is reimbursed, whatever their tariff row says."""

    codes: tuple[str, ...]
    label: str

    def answers(self) -> Iterable[Hashable]:
        """The codes."""
        return self.codes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeductionRow(Row):
    """A flat deduction that the caisse takes off what it reimburses, with its caps in cents.

    `account`: which yearly cap it counts for. `spared_rights`: who does not owe it, by name of right.
    `from_age`: owed from this age on, reached on 1 January when `age_on_january_first`.
    """

    kind: str
    account: str
    label: str
    cents: int
    daily_cap_cents: int | None = None
    yearly_cap_cents: int
    from_age: int
    age_on_january_first: bool = False
    spared_rights: tuple[str, ...]

    def answers(self) -> Iterable[Hashable]:
        """The kind."""
        return (self.kind,)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeRow(Row):
    """A scheme of insurance: its two digits and the B2 type of its organisms (000, positions 26-27)."""

    code: str
    label: str
    destination_type: str = ""

    def answers(self) -> Iterable[Hashable]:
        """The code."""
        return (self.code,)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRow(Row):
    """Which organism receives the invoices of a régime.

    `to`: "caisse", "centre" (its last three digits), "caisse-5-to-1" (a final 5 becomes 1), or three digits.
    With `caisses` or `centres` the row is for these only, and goes before the general one.
    """

    regimes: tuple[str, ...]
    to: str
    caisses: tuple[str, ...] = ()
    centres: tuple[str, ...] = ()

    def answers(self) -> Iterable[Hashable]:
        """Every combination of régime, caisse and centre that the row names."""
        return (
            (regime, caisse, centre)
            for regime in self.regimes
            for caisse in self.caisses or ("",)
            for centre in self.centres or ("",)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreRow(Row):
    """Managing centres (101.12) that were closed: a card that shows one after `until` is out of date."""

    regime: str
    centres: tuple[str, ...]
    label: str

    def answers(self) -> Iterable[Hashable]:
        """Régime and centre."""
        return ((self.regime, centre) for centre in self.centres)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganismRow(Row):
    """An organism that receives invoices: régime, its three digits, its centre informatique."""

    regime: str
    organism: str
    centre: str
    label: str

    def answers(self) -> Iterable[Hashable]:
        """Régime and organism."""
        return ((self.regime, self.organism),)


KINDS: dict[str, type[Row]] = {
    "act": ActRow,
    "modifier": ModifierRow,
    "association": AssociationRow,
    "uplift": UpliftRow,
    "rate": RateRow,
    "right": RightRow,
    "pathway": PathwayRow,
    "out_of_pathway": OutRow,
    "contract": ContractRow,
    "convention": ConventionRow,
    "heavy": HeavyRow,
    "withdrawal": WithdrawalRow,
    "deduction": DeductionRow,
    "regime": RegimeRow,
    "routing": RoutingRow,
    "centre": CentreRow,
    "organism": OrganismRow,
}
"""The name of each kind in the table files."""
