"""A small NOEMIE reader that knows the public record tables and nothing of this project's codec.

Sizes and positions are those of billing facts section 3, counted from 1. It walks over the file by the
size of each entity, as a reader of the field does, and works out every counter and sum again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SIZES = {
    "010": 14, "020": 21, "040": 21, "070": 12, "071": 86, "080": 15, "081": 22, "100": 15, "102": 40,
    "103": 152, "110": 88, "120": 57, "150": 8, "160": 23, "198": 24, "199": 49, "210": 118, "220": 118,
    "250": 47, "261": 19, "262": 134, "290": 98, "294": 153, "295": 135, "990": 43,
}  # fmt: skip
FIXED = 128


@dataclass
class Entity:
    """One entity: its type, its level of break, its text with the delimiter."""

    kind: str
    level: str
    text: str

    def at(self, position: int, length: int) -> str:
        """The zone at a position."""
        return self.text[position - 1 : position - 1 + length]

    def number(self, position: int, length: int) -> int:
        """A zone that is a number."""
        assert self.at(position, length).isdigit(), (self.kind, position)
        return int(self.at(position, length))

    def cents(self, position: int, length: int, sign: int) -> int:
        """An amount with its sign zone."""
        assert self.at(sign, 1) in "PN"
        return self.number(position, length) * (-1 if self.at(sign, 1) == "N" else 1)


@dataclass
class Invoice:
    """What is said of one invoice, in cents; `acts` are the amounts of each 210 (AMO, AMC)."""

    number: int
    kind: str
    amo_asked: int = 0
    amo_paid: int = 0
    amo_state: str = ""
    amc_asked: int = 0
    amc_paid: int = 0
    amc_state: str = ""
    acts: list[tuple[int, int]] = field(default_factory=list)
    rejects: list[tuple[str, str, str]] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass
class Read:
    """A whole return: who pays, who is paid, transfers with their invoices, the announced total."""

    sender_type: str
    sender: str
    payee: str = ""
    transfers: list[list[Invoice]] = field(default_factory=list)
    total: int = 0


def split(data: bytes) -> tuple[str, list[Entity], str]:
    """000, the entities, 999; each entity has its public size and ends with its delimiter."""
    text = data.decode("ascii")
    head, tail = text[:FIXED], text[-FIXED:]
    assert head[:3] == "000"
    assert tail[:3] == "999"
    assert head[82:85] == "128"
    at, entities = FIXED, []
    while at < len(text) - FIXED:
        kind = text[at : at + 3]
        whole = text[at : at + SIZES[kind]]
        assert whole.endswith("@"), kind
        assert whole.count("@") == 1, kind
        entities.append(Entity(kind, whole[3:5], whole))
        at += len(whole)
    assert at == len(text) - FIXED
    return head, entities, tail


def read(data: bytes) -> Read:
    """The return, every counter and sum of 990 and 999 checked on the way."""
    head, entities, tail = split(data)
    walk = _Walk(entities)
    found = Read(head[3:5], head[5:19])
    found.payee = walk.take("040", "01").at(6, 15).strip()
    while walk.next_is("071"):
        found.transfers.append(_transfer(walk))
    found.total = _sum(invoice for transfer in found.transfers for invoice in transfer)
    walk.close("01", len(found.transfers), found.total)
    assert walk.at == len(entities)
    end = Entity("999", "", tail)
    assert end.number(56, 8) == len(entities) + 2
    assert end.number(83, 3) == len(found.transfers)
    assert end.cents(86, 11, 97) == found.total
    assert tail[3:55] == head[3:55]
    return found


class _Walk:
    def __init__(self, entities: list[Entity]) -> None:
        self.entities, self.at = entities, 0

    def next_is(self, kind: str) -> bool:
        return self.at < len(self.entities) and self.entities[self.at].kind == kind

    def take(self, kind: str, level: str) -> Entity:
        entity = self.entities[self.at]
        assert (entity.kind, entity.level) == (kind, level)
        self.at += 1
        return entity

    def all_of(self, kind: str) -> list[Entity]:
        found = []
        while self.next_is(kind):
            found.append(self.take(kind, "03"))
        return found

    def close(self, level: str, count: int, cents: int) -> None:
        """990 at the end of a level: how many of the level below, and what they come to."""
        end = self.take("990", level)
        assert (end.number(23, 8), end.cents(31, 11, 42)) == (count, cents)


def _transfer(walk: _Walk) -> list[Invoice]:
    walk.take("071", "02")
    assert walk.take("081", "02").at(6, 2) == "01"
    invoices = []
    while walk.next_is("102"):
        invoices.append(_invoice(walk))
    walk.close("02", len(invoices), _sum(invoices))
    return invoices


def _invoice(walk: _Walk) -> Invoice:
    first = walk.at
    head = walk.take("102", "03")
    invoice = Invoice(head.number(6, 9), head.at(30, 1))
    walk.take("103", "03")
    amo = walk.take("198", "03")
    invoice.amo_asked, invoice.amo_paid = amo.number(6, 8), amo.cents(15, 8, 23)
    invoice.amo_state = amo.at(14, 1).strip()
    for amc in walk.all_of("199"):
        invoice.amc_asked, invoice.amc_paid = amc.number(6, 8), amc.cents(15, 8, 23)
        invoice.amc_state = amc.at(14, 1).strip()
    invoice.acts = [(act.cents(53, 8, 61), act.number(102, 8)) for act in walk.all_of("210")]
    invoice.rejects = [(one.at(6, 4), one.at(96, 1), one.at(97, 1)) for one in walk.all_of("294")]
    invoice.signals = [one.at(8, 10).strip() for one in walk.all_of("290")]
    invoice.comments = [one.at(7, 128).strip() for one in walk.all_of("295")]
    size = walk.at - first
    walk.close("03", size, invoice.amo_paid + invoice.amc_paid)
    return invoice


def _sum(invoices: object) -> int:
    return sum(one.amo_paid + one.amc_paid for one in invoices)  # type: ignore[attr-defined]
