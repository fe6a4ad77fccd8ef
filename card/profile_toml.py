"""Reading profiles from TOML, field by field.

A date may be written as days from the making of the card ("made-1": the day before). A bad profile is refused
with one sentence that names the field and never shows its content.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from card.layout import ssv
from card.layout.identifiers import IdentifierError, check_billing_number, check_rpps
from card.layout.nir import NirError, check_nir, is_test_nir
from card.layout.reading import printable
from card.layout.rights import MAX_BENEFICIARIES
from card.layout.ssv import Group
from card.layout.tree import LayoutError
from card.profile import (
    AmcEntry,
    CoverageEntry,
    CpsProfile,
    InsuredProfile,
    MutuelleEntry,
    Outcome,
    Period,
    Person,
    PracticeSituation,
    Profile,
)

PROFILES = Path(__file__).parent / "profiles"
OUTCOMES = PROFILES / "outcomes"
LOOKED_AT = date(2026, 1, 1)
"""The day that a profile which is only looked at counts from."""
MAX_PROFILE = 256 * 1024

_SITUATION_WORDS = {
    "plain": ssv.SITUATION_PLAIN,
    "alsace-moselle": ssv.SITUATION_ALSACE_MOSELLE,
    "maternity": ssv.SITUATION_MATERNITY,
    "aspa": ssv.SITUATION_ASPA,
}
_TEST_CATEGORIES = ("80", "82", "83")
_MAX_SITUATIONS = 16
_STAGES = ("desk", "gateway", "receiver", "caisse", "insurer")
_RESULTS = ("refused", "signalled", "partial", "paid")
_THIRD_PARTIES = ("none", "amo", "full")
_FROM_MAKING = re.compile(r"made([+-][0-9]{1,4})")


class ProfileError(ValueError):
    """A profile is not usable. One sentence: which profile, which field, what is wrong."""


def list_profiles() -> tuple[str, ...]:
    """The names of the shipped plain profiles, sorted."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.toml")))


def list_outcomes() -> tuple[str, ...]:
    """The names of the shipped profiles that decide the outcome, sorted."""
    return tuple(sorted(path.stem for path in OUTCOMES.glob("*.toml")))


def load_profile(name_or_path: str | Path, made: date = LOOKED_AT) -> Profile:
    """A shipped profile by its name, or one's own by its path; raises ProfileError, one sentence.

    `made`: the day the card is made, for dates that count from it.
    """
    path = _file(str(name_or_path))
    if not path.is_file():
        raise ProfileError(
            f"there is no profile {name_or_path}: `vitale-card profiles` lists those that are shipped"
        )
    return parse_profile(path.stem, _toml(path), made)


def _file(name: str) -> Path:
    """Shipped profiles go before files of the same name."""
    shipped = [folder / f"{name}.toml" for folder in (PROFILES, OUTCOMES)]
    is_name = re.fullmatch(r"[a-z0-9-]+", name) is not None
    return next((path for path in shipped if is_name and path.is_file()), Path(name))


def parse_profile(name: str, data: Mapping[str, Any], made: date = LOOKED_AT) -> Profile:
    """The profile in `data`; raises ProfileError naming the field at fault."""
    table = _Table(name, "", data, made)
    kind = table.choice("kind", ("vitale", "attestation", "cps"))
    profile = _practitioner(table) if kind == "cps" else _family(table, kind)
    table.nothing_else()
    return profile


def _toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_PROFILE + 1)
        if len(raw) > MAX_PROFILE:
            raise ProfileError(
                f"profile {path.stem} has more than {MAX_PROFILE} bytes: give a profile's file"
            )
        return tomllib.loads(raw.decode("utf-8"))
    except tomllib.TOMLDecodeError as wrong:
        raise ProfileError(f"profile {path.stem} is not TOML: {wrong}") from None
    except RecursionError:
        raise ProfileError(f"profile {path.stem} is nested too deeply: write plain tables") from None
    except (OSError, UnicodeDecodeError):
        raise ProfileError(f"profile {path.stem} cannot be read as a text file") from None


class _Table:
    """A TOML table whose fields are taken one by one, so that what is left over is a mistake too."""

    def __init__(self, profile: str, path: str, data: Mapping[str, Any], made: date = LOOKED_AT) -> None:
        self.profile, self.path, self.made = profile, path, made
        self._data = dict(data)

    def refuse(self, name: str, why: str) -> ProfileError:
        """The error for one field."""
        return ProfileError(f"profile {self.profile}, field {self.path}{name}: {why}")

    def nothing_else(self) -> None:
        """Raise when a field was not asked for."""
        for name in self._data:
            raise self.refuse(name, "there is no such field")

    def has(self, name: str) -> bool:
        """True when the field is there."""
        return name in self._data

    def text(
        self,
        name: str,
        pattern: str = r".{1,60}",
        hint: str = "1 to 60 plain characters",
        default: str | None = None,
    ) -> str:
        """A string that matches the whole `pattern`, only plain characters."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise self.refuse(name, "a text between quotes is expected")
        try:
            printable(value, "text")
        except LayoutError:
            raise self.refuse(name, "only plain unaccented characters can go on a card") from None
        if value != default and not re.fullmatch(pattern, value):
            raise self.refuse(name, f"{hint} expected")
        return value

    def digits(self, name: str, length: int, default: str | None = None) -> str:
        """A string of exactly `length` digits."""
        return self.text(name, rf"[0-9]{{{length}}}", f"{length} digits", default)

    def choice(self, name: str, words: tuple[str, ...], default: str | None = None) -> str:
        """One of `words`."""
        value = self._take(name, default)
        if value not in words:
            raise self.refuse(name, f"one of {', '.join(words)} expected")
        return str(value)

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self.refuse(name, "true or false expected")
        return value

    def number(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number between `low` and `high`."""
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refuse(name, f"a whole number from {low} to {high} expected")
        return value

    def day(self, name: str) -> date:
        """A TOML date, or days from the making of the card."""
        value = self._take(name, None)
        if isinstance(value, str) and (days := _FROM_MAKING.fullmatch(value)):
            return self.made + timedelta(days=int(days[1]))
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.refuse(name, "a date written 2025-12-31 without quotes is expected")
        return value

    def period(self) -> Period:
        """The fields start and end."""
        start, end = self.day("start"), self.day("end")
        if end < start:
            raise self.refuse("end", "it is before the start")
        return Period(start, end)

    def checked(self, name: str, check: Callable[[str], str]) -> str:
        """A string that `check` accepts."""
        value = self.text(name, r".*")
        try:
            return check(value)
        except (IdentifierError, NirError) as wrong:
            raise self.refuse(name, str(wrong)) from None

    def nir(self, name: str) -> str:
        """A NIR with its key that can belong to nobody."""
        value = self.checked(name, check_nir)
        if not is_test_nir(value[:13]):
            raise self.refuse(name, "this could be somebody's NIR: use a birth month from 13 to 19")
        return value

    def table(self, name: str) -> _Table:
        """A table inside this one."""
        value = self._take(name, None)
        if not isinstance(value, dict):
            raise self.refuse(name, "a table is expected")
        return _Table(self.profile, f"{self.path}{name}.", value, self.made)

    def anything(self, name: str) -> dict[str, Any]:
        """A table that somebody else reads; empty when it is not there."""
        return dict(self.table(name)._data) if self.has(name) else {}

    def tables(self, name: str, low: int, high: int) -> list[_Table]:
        """A list of `low` to `high` tables; they are numbered from 1 in errors."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.refuse(name, "a list of tables is expected")
        if not low <= len(value) <= high:
            raise self.refuse(name, f"{low} to {high} entries are possible, not {len(value)}")
        return [
            _Table(self.profile, f"{self.path}{name}.{at}.", item, self.made)
            for at, item in enumerate(value, 1)
        ]

    def texts(self, name: str, high: int) -> tuple[str, ...]:
        """A list of at most `high` strings."""
        value = self._take(name, [])
        if not isinstance(value, list) or len(value) > high:
            raise self.refuse(name, f"a list of at most {high} texts is expected")
        inner = _Table(
            self.profile, f"{self.path}{name}.", {str(at): item for at, item in enumerate(value, 1)}
        )
        return tuple(inner.text(str(at)) for at in range(1, len(value) + 1))

    def _take(self, name: str, default: Any) -> Any:
        value = self._data.pop(name, default)
        if value is None:
            raise self.refuse(name, "it is missing")
        return value


def _family(table: _Table, kind: str) -> InsuredProfile:
    label, ame = table.text("label", ".{1,90}", "1 to 90 plain characters"), table.flag("ame", default=False)
    card = table.table("card" if kind == "vitale" else "attestation")
    serial = card.digits("serial", 20) if kind == "vitale" else ""
    validity = card.period()
    opposed = card.text("opposed", "[A-Z]", "one capital letter", "")
    foreign = card.flag("foreign", default=False)
    card.nothing_else()
    insured = table.table("insured")
    profile = InsuredProfile(
        name=table.profile,
        kind=kind,
        label=label,
        nir=insured.nir("nir"),
        regime=insured.digits("regime", 2),
        caisse=insured.digits("caisse", 3),
        centre=insured.digits("centre", 4),
        management_code=insured.digits("management_code", 2, "10"),
        ame=ame,
        serial=serial,
        valid_from=validity.start,
        valid_to=validity.end,
        people=tuple(_person(item) for item in table.tables("beneficiary", 1, MAX_BENEFICIARIES)),
        key_on_card=insured.digits("key_on_card", 2, ""),
        opposed=opposed,
        outcome=_outcome(table),
        on_file=table.anything("on_file"),
        foreign=foreign,
    )
    insured.nothing_else()
    return profile


def _person(table: _Table) -> Person:
    css = _css(table.table("css")) if table.has("css") else (None, "amo", False)
    person = Person(
        name=table.text("name", ".{1,27}", "1 to 27 plain characters"),
        first_name=table.text("first_name", ".{1,27}", "1 to 27 plain characters"),
        birth_date=table.day("birth_date"),
        birth_rank=table.number("birth_rank", 1, 9, 1),
        quality=table.choice("quality", ("0", "1", "2", "3", "4", "5", "6", "8", "9")),
        nir=table.nir("nir") if table.has("nir") else "",
        address=table.texts("address", 5),
        rights=tuple(_period(item) for item in table.tables("rights", 0, 3)),
        coverage=tuple(_coverage(item) for item in table.tables("coverage", 0, 7)),
        css=css[0],
        mutuelle=_mutuelle(table.table("mutuelle")) if table.has("mutuelle") else None,
        amc=_amc(table.table("amc")) if table.has("amc") else None,
        css_run_by=css[1],
        css_contribution=css[2],
    )
    table.nothing_else()
    return person


def _css(table: _Table) -> tuple[Period, str, bool]:
    """The days of a solidarity cover, who runs it, and whether the person contributes."""
    run_by = table.choice("run_by", ("amo", "convention", "insurer"), "amo")
    contribution = table.flag("contribution", default=False)
    return _period(table), run_by, contribution


def _outcome(table: _Table) -> Outcome | None:
    if not table.has("outcome"):
        return None
    inner = table.table("outcome")
    usual = inner.choice("result", _RESULTS)
    outcome = Outcome(
        stage=inner.choice("stage", _STAGES),
        code=inner.text("code", "[a-z0-9-]{1,30}", "a code of small letters and digits", ""),
        says=inner.text("says", ".{1,200}", "1 to 200 plain characters"),
        results={kind: inner.choice(kind, _RESULTS, usual) for kind in _THIRD_PARTIES},
        act=inner.anything("act"),
        twin=inner.text("twin", "[a-z0-9-]{1,60}", "the name of a profile"),
    )
    inner.nothing_else()
    return outcome


def _period(table: _Table) -> Period:
    period = table.period()
    table.nothing_else()
    return period


def _coverage(table: _Table) -> CoverageEntry:
    period = table.period()
    ald = table.flag("ald", default=False)
    word = table.choice("situation", tuple(_SITUATION_WORDS), "plain")
    table.nothing_else()
    return CoverageEntry(period, ald, _SITUATION_WORDS[word])


def _mutuelle(table: _Table) -> MutuelleEntry:
    number = table.text("number", r"[0-9]{8,10}", "8 to 10 digits")
    contract = table.text("contract", "[a-z0-9]{1,20}", "a contract name of small letters and digits")
    treatment = table.digits("treatment", 2, "01")
    period = table.period()
    table.nothing_else()
    return MutuelleEntry(number, contract, treatment, period)


def _amc(table: _Table) -> AmcEntry:
    number = table.text("number", r"[0-9]{8,10}", "8 to 10 digits")
    member = table.text("member", r"[0-9A-Z]{1,15}", "1 to 15 digits or capitals")
    contract = table.text("contract", "[a-z0-9]{1,20}", "a contract name of small letters and digits")
    treatment = table.digits("treatment", 2, "22")
    domain = table.text("domain", r"[A-Z0-9.-]{1,20}", "a domain name in capitals", "AMC.TEST")
    period = table.period()
    table.nothing_else()
    return AmcEntry(number, member, contract, treatment, domain, period)


def _practitioner(table: _Table) -> CpsProfile:
    label = table.text("label", ".{1,90}", "1 to 90 plain characters")
    card, holder = table.table("card"), table.table("holder")
    validity = card.period()
    profile = CpsProfile(
        name=table.profile,
        kind="cps",
        label=label,
        serial=card.digits("serial", 8),
        number=card.digits("number", 10),
        category=card.choice("category", _TEST_CATEGORIES),
        card_type=card.choice("type", ("00", "01", "02", "03")),
        valid_from=validity.start,
        valid_to=validity.end,
        rpps=_test_rpps(holder),
        civility=holder.digits("civility", 2),
        last_name=holder.text("name", ".{1,27}", "1 to 27 plain characters"),
        first_name=holder.text("first_name", ".{1,27}", "1 to 27 plain characters"),
        profession=holder.digits("profession", 2),
        title=holder.text("title"),
        specialty=holder.text("specialty", r"[A-Z]{2}[0-9A-Z]{2}", "a code of four characters such as SM26"),
        situations=tuple(
            _situation(str(at), item)
            for at, item in enumerate(table.tables("situation", 1, _MAX_SITUATIONS), 1)
        ),
        revoked=card.flag("revoked", default=False),
        pin_tries=card.number("pin_tries", 0, 3, 0) if card.has("pin_tries") else None,
        outcome=_outcome(table),
        on_file=table.anything("on_file"),
        foreign=card.flag("foreign", default=False),
    )
    card.nothing_else()
    holder.nothing_else()
    return profile


def _test_rpps(holder: _Table) -> str:
    rpps = holder.checked("rpps", check_rpps)
    if not rpps.startswith("99"):
        raise holder.refuse("rpps", "this could be somebody's number: test numbers start with 99")
    return rpps


def _situation(logical_number: str, table: _Table) -> PracticeSituation:
    billing = table.checked("billing_number", check_billing_number)
    agreements = {f"agreement_{at}": code for at, code in enumerate(table.texts("agreements", 3), 1)}
    group = Group.of(
        ssv.PRACTITIONER_SITUATION,
        logical_number=logical_number,
        mode=table.digits("mode", 2),
        status=table.digits("status", 2, "01"),
        sector=table.digits("sector", 2),
        structure_id_type=table.digits("structure_id_type", 1),
        structure_id=table.text("structure_id", r"[0-9AB]{9,14}", "9 to 14 digits"),
        structure_name=table.text("structure_name", ".{1,40}", "1 to 40 plain characters"),
        billing_number=billing[:8],
        billing_key=billing[8:],
        convention=table.choice("convention", ("0", "1", "2", "3", "9")),
        specialty=table.digits("specialty", 2),
        zone=table.digits("zone", 2),
        ik_zone=table.digits("ik_zone", 2, "00"),
        **agreements,
        may_sign_invoice="1" if table.flag("may_sign_invoice", default=True) else "0",
        may_sign_lot="1" if table.flag("may_sign_lot", default=True) else "0",
    )
    sector = table.text("rpps_sector", r"SA[0-9]{2}", "a sector such as SA07")
    table.nothing_else()
    return PracticeSituation(group, sector)
