"""A price as a table for people: one row for each act line, the sums, and the reasons."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.billing.outcome import Price

_HEADINGS = ("act", "quantity", "base", "rate", "AMO", "AMC", "excess", "charged", "at the desk")
_FIRST = 15
_WIDTH = 12


def as_text(price: Price) -> str:
    """The table, amounts in euros; always ends with the reasons."""
    rows = [_HEADINGS, *_lines(price), _sums(price)]
    table = "\n".join(_row(row) for row in rows)
    return "\n".join((table, "", *(f"- {reason}" for reason in price.why)))


def _lines(price: Price) -> Iterator[tuple[str, ...]]:
    for line in price.lines:
        amounts = (line.amo_cents, line.amc_cents, line.excess_cents, line.charged_cents, line.patient_cents)
        yield (
            line.code,
            str(line.quantity),
            _amount(line.base_cents),
            f"{line.rate} %",
            *map(_amount, amounts),
        )


def _sums(price: Price) -> tuple[str, ...]:
    amounts = (
        price.amo_cents,
        price.amc_cents,
        price.excess_cents,
        price.charged_cents,
        price.patient_cents,
    )
    return ("sum", "", _amount(price.base_cents), "", *map(_amount, amounts))


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _row(cells: tuple[str, ...]) -> str:
    return cells[0].ljust(_FIRST) + "".join(cell.rjust(_WIDTH) for cell in cells[1:])
