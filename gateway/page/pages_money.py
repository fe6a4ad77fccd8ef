"""Money: what was paid and what is late, the monthly statement of a professional, figures of the months."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gateway.page import words
from gateway.page.pages_sheets import refused
from gateway.page.plots import Bars, Series, bars, rows_of
from gateway.page.room import LOOK, Room
from gateway.page.said import payment_remedy
from gateway.page.texts import Texts
from gateway.page.views import Views
from gateway.page.visit import CSV, Reply, Route, Routes, Visit
from gateway.page.watch import REFUSED
from gateway.store.figures import Month, Statement

MONTHS = 12
_SHEET = ("=", "+", "-", "@", "\t", "\r")
"""What makes a formula of a cell in a spreadsheet."""


@dataclass(frozen=True)
class MoneyPages:
    """The pages of payments, statement and figures."""

    views: Views

    def routes(self) -> Routes:
        """Method and path → page."""
        return {
            ("GET", "/paiements"): Route(self.payments),
            ("GET", "/releve"): Route(self.statement),
            ("GET", "/releve.csv"): Route(self.statement_csv),
            ("GET", "/chiffres"): Route(self.figures),
        }

    def payments(self, visit: Visit) -> Reply:
        """Late ones first, then what returns said, newest first, and returns that match nothing."""
        room, after = visit.room, visit.query.get("suite", "")
        page = room.payments(after=after)
        return self.views.page(
            visit,
            "paiements",
            late=room.late_payments() if not after else (),
            page=page,
            is_first=not after,
            strays=room.strays() if not after else (),
            remedy=lambda code: payment_remedy(visit.texts, code),
        )

    def statement(self, visit: Visit) -> Reply:
        """A month, sheet by sheet, for screen and paper."""
        first, found = _statement(visit)
        whole = visit.room.statement(first, "") if found.practitioner else found
        people = sorted({line.practitioner for line in whole.lines} | {found.practitioner} - {""})
        return self.views.page(
            visit,
            "releve",
            found=found,
            first=first,
            months=words.months_back(visit.room.today, MONTHS * 2),
            people=people,
        )

    def statement_csv(self, visit: Visit) -> Reply:
        """The same as a table for a spreadsheet: semicolons, decimal commas in French."""
        first, found = _statement(visit)
        text = _csv(visit.texts, found)
        return Reply(text.encode("utf-8-sig"), media=CSV, filename=f"releve-{first:%Y-%m}.csv")

    def figures(self, visit: Visit) -> Reply:
        """A year of months as plots, each with its table."""
        months = visit.room.months(MONTHS)
        t = visit.texts
        plots = (_amounts(t, months), _delays(t, months), _refusals(t, visit.room))
        return self.views.page(visit, "chiffres", plots=plots, present=months[-1], last=months[-2])


@dataclass(frozen=True)
class Plot:
    """A drawing (SVG), its title, and the same figures as a table."""

    key: str
    svg: str
    head: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]


def _statement(visit: Visit) -> tuple[date, Statement]:
    first = words.read_month(visit.query.get("mois", ""), visit.room.today)
    who = visit.query.get("professionnel", "")
    who = who if who.isalnum() and len(who) == 9 else ""
    return first, visit.room.statement(first, who)


def _csv(t: Texts, found: Statement) -> str:
    french = t.language == "fr"
    output = io.StringIO()
    table = csv.writer(output, delimiter=";" if french else ",", lineterminator="\r\n")
    names = ("number", "day", "practitioner", "acts", "state", "charged", "patient", "amo", "amc", "paid-amo",
             "paid-amc", "due", "refused", "reason")  # fmt: skip
    table.writerow([t(f"csv.{name}") for name in names])
    for line in found.lines:
        sums = line.sums
        cents = (
            sums.base_cents + sums.excess_cents, sums.patient_cents, sums.amo_cents, sums.amc_cents,
            sums.paid_amo_cents, sums.paid_amc_cents, sums.due_cents, sums.refused_cents,
        )  # fmt: skip
        table.writerow(
            [line.number, words.day(line.day) if french else line.day.isoformat(), line.practitioner,
             _cell(line.label), t(f"fse.{line.state}"),
             *(words.typed(one, t.language) for one in cents), _cell(line.reason)]
        )  # fmt: skip
    return output.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_SHEET) else text


def _amounts(t: Texts, months: list[Month]) -> Plot:
    names = [words.month(one.first, t.language) for one in months]
    series = (
        Series(t("figures.amo"), "amo", tuple(one.amo_cents / 100 for one in months)),
        Series(t("figures.amc"), "amc", tuple(one.amc_cents / 100 for one in months)),
        Series(t("figures.rest"), "patient", tuple(_rest(one) / 100 for one in months)),
    )
    drawing = Bars(t("figures.amounts"), _feet(t, months), series, "€")
    head = (t("figures.month"), t("figures.sheets"), t("figures.amo"), t("figures.amc"), t("figures.rest"))
    table = tuple(
        (name, str(one.sheets), *(words.euros(cents, t.language) for cents in
         (one.amo_cents, one.amc_cents, _rest(one))))
        for name, one in zip(names, months, strict=True)
    )  # fmt: skip
    return Plot("amounts", bars(drawing, t), head, table)


def _feet(t: Texts, months: list[Month]) -> tuple[str, ...]:
    return tuple(words.short_month(one.first, t.language) for one in months)


def _rest(one: Month) -> int:
    """What neither the caisse nor an insurer takes on."""
    return max(0, one.base_cents + one.excess_cents - one.amo_cents - one.amc_cents)


def _delays(t: Texts, months: list[Month]) -> Plot:
    names = [words.month(one.first, t.language) for one in months]
    values = tuple(one.delay_days or 0.0 for one in months)
    drawing = Bars(
        t("figures.delays"),
        _feet(t, months),
        (Series(t("figures.days"), "amo", values),),
        t("figures.day-unit"),
    )
    table = tuple(
        (name, "–" if one.delay_days is None else words.number(one.delay_days, t.language))
        for name, one in zip(names, months, strict=True)
    )
    return Plot("delays", bars(drawing, t), (t("figures.month"), t("figures.days")), table)


def _refusals(t: Texts, room: Room) -> Plot:
    """The causes of what stands refused now, most frequent first."""
    counted: Counter[str] = Counter()
    for row in room.sheets(REFUSED, limit=LOOK).rows:
        found = refused(room, t, row)
        counted[found.said or found.code or "–"] += 1
    most = counted.most_common(8)
    shown: Mapping[str, int] = dict(most)
    drawing = rows_of(t("figures.refusals"), shown)
    table = tuple((name, str(number)) for name, number in most)
    return Plot("refusals", drawing if most else "", (t("figures.cause"), t("figures.number")), table)
