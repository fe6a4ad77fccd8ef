"""A NOEMIE return as a whole file: transfers, payments, rejects, breaks and totals of 990 and 999.

Levels: 01 the payee (040), 02 a transfer (071, 081), 03 an invoice (102, 103, 198, 199, 210, 294, 290, 295).
Each level is closed by its 990: at 03 the number of entities of the invoice, at 02 of invoices, at 01 of
transfers, each with the sum paid.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from gateway.records import noemie
from gateway.records.fields import RecordError, plain, read_date, read_moment, write_date, write_moment
from gateway.records.stream import Reader, Writer, sign_of, signed

APPLICATION = "NO"
_PAYEE, _TRANSFER, _INVOICE = "01", "02", "03"
STATES = ("", "P", "R", "D")


@dataclass(frozen=True, slots=True)
class Share:
    """One share of an invoice (entity 198 or 199). `state`: P paid, R rejected, D deferred, "" no answer.

    Amounts in cents, `paid_cents` may be negative (a recovery). `number`, `member`: AMC only.
    """

    asked_cents: int
    paid_cents: int
    state: str = "P"
    number: str = ""
    member: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PaidLine:
    """One act (entity 210). `code` up to 3 letters, `coefficient` in hundredths, amounts in cents."""

    line: int
    care_date: dt.date
    code: str
    quantity: int
    coefficient: int
    unit_cents: int
    base_cents: int
    rate: int
    paid_cents: int
    charged_cents: int
    local_rate: int = 0
    local_cents: int = 0
    amc_rate: int = 0
    amc_cents: int = 0
    amc_base_cents: int = 0


@dataclass(frozen=True, slots=True)
class NoemieReject:
    """A reject (entity 294). `code`: 4 + 3 digits; `level` F, L or C; `share` O or C; `line` 0 = all.

    `act`, `date`, `executor` (billing number, 9 digits): of the act, where one line is rejected.
    """

    code: str
    text: str
    level: str = "F"
    share: str = "O"
    act: str = ""
    line: int = 0
    date: dt.date | None = None
    executor: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """A signalement (entity 290): said, but without effect on the payment."""

    code: str
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """What is said of one invoice (entities 102 to 295).

    `invoice_type`: F FSE, B degraded, D DRE, A what a caisse handed on to an insurer; P and C for paper, of
    the caisse and of an insurer.
    """

    invoice: int
    lot_number: int
    lot_date: dt.date
    invoice_type: str
    date: dt.date
    nature: str
    nir: str = field(repr=False)
    nir_key: str = field(repr=False)
    amo: Share
    amc: Share | None = None
    lines: tuple[PaidLine, ...] = ()
    rejects: tuple[NoemieReject, ...] = ()
    remarks: tuple[Remark, ...] = ()
    comments: tuple[str, ...] = ()
    name: str = field(default="", repr=False)
    first_name: str = field(default="", repr=False)
    own_nir: str = field(default="", repr=False)
    own_key: str = field(default="", repr=False)
    birth_date: dt.date | None = field(default=None, repr=False)
    birth_rank: str = "1"

    @property
    def is_rejected(self) -> bool:
        """True when a share of the invoice is rejected."""
        return self.amo.state == "R" or (self.amc is not None and self.amc.state == "R")

    @property
    def paid_cents(self) -> int:
        """Both shares together, in cents."""
        return self.amo.paid_cents + (self.amc.paid_cents if self.amc else 0)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One bank transfer (entity 071) and the invoices it pays (return type 01: electronic flows)."""

    date: dt.date
    label: str
    second_label: str
    paying_organism: str
    payments: tuple[Payment, ...]
    return_type: str = "01"


@dataclass(frozen=True, slots=True)
class NoemieReturn:
    """A whole return file to one payee (billing number). `sender_type`: as in B2 000, 4-5 (CT, MA, OC…)."""

    sender: str
    destination: str
    file_id: str
    created: dt.datetime
    payee: str
    transfers: tuple[Transfer, ...]
    reference: str = "578"
    sender_type: str = "CT"

    @property
    def payments(self) -> tuple[Payment, ...]:
        """Every invoice answered, in file order."""
        return tuple(payment for transfer in self.transfers for payment in transfer.payments)

    @property
    def total_cents(self) -> int:
        """The sum of everything paid, in cents."""
        return sum(payment.paid_cents for payment in self.payments)


# INVENTED(noemie-levels): the catalogue of references (576, 578…) is not public; three levels are used.
def write_noemie(answer: NoemieReturn) -> bytes:
    """The file as ASCII text, every 990 and the 999 with true counters and sums; InputError for a misfit."""
    writer = Writer(
        sender_type=answer.sender_type,
        sender=answer.sender,
        destination_type="TP",
        destination=answer.destination,
        application=APPLICATION,
        file_id=answer.file_id,
        created=write_date(answer.created),
        norm=answer.reference,
        version="NO",
        currency="U",
        flow_type="T",
        message=write_moment(answer.created),
    )
    writer.add(noemie.Payee, _PAYEE, number=answer.payee)
    for transfer in answer.transfers:
        _write_transfer(writer, transfer)
    writer.break_(_PAYEE, answer.payee, len(answer.transfers), answer.total_cents)
    return writer.close(len(answer.transfers), answer.total_cents)


def _write_transfer(writer: Writer, transfer: Transfer) -> None:
    writer.add(
        noemie.TransferLabel,
        _TRANSFER,
        date=write_date(transfer.date),
        label=plain(transfer.label, 32),
        second_label=plain(transfer.second_label, 32),
        organism=transfer.paying_organism,
    )
    writer.add(noemie.ReturnType, _TRANSFER, type=transfer.return_type)
    for payment in transfer.payments:
        _write_payment(writer, payment)
    total = sum(payment.paid_cents for payment in transfer.payments)
    writer.break_(_TRANSFER, write_date(transfer.date), len(transfer.payments), total)


def _write_payment(writer: Writer, payment: Payment) -> None:
    first = writer.count
    writer.add(noemie.InvoiceReference, _INVOICE, **_reference(payment))
    writer.add(noemie.Persons, _INVOICE, **_persons(payment))
    writer.add(noemie.AmoShare, _INVOICE, **_share(payment.amo))
    if payment.amc is not None:
        identity = {"number": payment.amc.number, "member": payment.amc.member}
        writer.add(noemie.AmcShare, _INVOICE, **_share(payment.amc), **identity)
    for line in payment.lines:
        writer.add(noemie.ActPaid, _INVOICE, **_line(line))
    for reject in payment.rejects:
        writer.add(noemie.Reject, _INVOICE, **_reject(reject))
    for remark in payment.remarks:
        text = plain(remark.text, 80)
        writer.add(noemie.Signal, _INVOICE, line=remark.line, code=remark.code, text=text)
    for rank, comment in enumerate(payment.comments, 1):
        writer.add(noemie.Comment, _INVOICE, rank=rank, text=plain(comment, 128))
    writer.break_(_INVOICE, f"{payment.invoice:09d}", writer.count - first, payment.paid_cents)


def _reference(payment: Payment) -> dict[str, Any]:
    return {
        "invoice": payment.invoice,
        "lot": payment.lot_number,
        "lot_date": write_date(payment.lot_date),
        "type": payment.invoice_type,
        "date": write_date(payment.date),
        "nature": payment.nature,
    }


def _persons(payment: Payment) -> dict[str, Any]:
    return {
        "nir": payment.nir,
        "nir_key": payment.nir_key,
        "own_nir": payment.own_nir,
        "own_key": payment.own_key,
        "birth_date": write_date(payment.birth_date),
        "birth_rank": payment.birth_rank,
        "name": plain(payment.name, 25),
        "first_name": plain(payment.first_name, 15),
    }


def _share(share: Share) -> dict[str, Any]:
    if share.state not in STATES:
        raise RecordError("entities 198 and 199: the state is P, R, D or nothing", 14)
    return {
        "asked": share.asked_cents,
        "state": share.state,
        "paid": abs(share.paid_cents),
        "sign": sign_of(share.paid_cents),
    }


def _line(line: PaidLine) -> dict[str, Any]:
    """The code of an act has 3 places and a complement of 2: a longer code is written over both."""
    day = write_date(line.care_date)
    return {
        "line": line.line,
        "start": day,
        "end": day,
        "unit": line.unit_cents,
        "base": line.base_cents,
        "rate": line.rate,
        "paid": abs(line.paid_cents),
        "sign": sign_of(line.paid_cents),
        "act": line.code[:3],
        "complement": line.code[3:],
        "quantity": line.quantity,
        "coefficient": line.coefficient,
        "count": line.quantity,
        "charged": line.charged_cents,
        "local_rate": line.local_rate,
        "local_amount": line.local_cents,
        "amc_rate": line.amc_rate,
        "amc_amount": line.amc_cents,
        "amc_base": line.amc_base_cents,
    }


# INVENTED(noemie-294-long-code): 294 has room for four digits of the seven; all seven stand in its info zone.
def _reject(reject: NoemieReject) -> dict[str, Any]:
    if len(reject.code) != 7:
        raise RecordError("entity 294: a reject code has seven digits", 6)
    return {
        "code": reject.code[:4],
        "text": plain(reject.text, 86),
        "level_of": reject.level,
        "share": reject.share,
        "act": reject.act,
        "date": write_date(reject.date),
        "executor": reject.executor,
        "line": reject.line,
        "info": reject.code,
    }


def parse_noemie(data: bytes) -> NoemieReturn:
    """Strict reading: hierarchy, counters and sums are checked; InputError says what is wrong.

    A birth date is taken to be in the hundred years before the date of its invoice.
    """
    reader = Reader(data, APPLICATION)
    payee = reader.take(noemie.Payee, _PAYEE)["number"]
    transfers = []
    while reader.has(noemie.TransferLabel, _TRANSFER):
        transfers.append(_read_transfer(reader))
    answer = NoemieReturn(
        sender=reader.start["sender"],
        destination=reader.start["destination"],
        file_id=reader.start["file_id"],
        created=read_moment(reader.start["message"]),
        payee=payee,
        transfers=tuple(transfers),
        reference=reader.start["norm"],
        sender_type=reader.start["sender_type"],
    )
    reader.close_level(_PAYEE, payee, len(transfers), answer.total_cents)
    reader.close(len(transfers), answer.total_cents)
    return answer


def _read_transfer(reader: Reader) -> Transfer:
    head = reader.take(noemie.TransferLabel, _TRANSFER)
    kind = reader.take(noemie.ReturnType, _TRANSFER)
    payments = []
    while reader.has(noemie.InvoiceReference, _INVOICE):
        payments.append(_read_payment(reader))
    total = sum(payment.paid_cents for payment in payments)
    reader.close_level(_TRANSFER, head["date"], len(payments), total)
    return Transfer(
        date=read_date(head["date"]),
        label=head["label"],
        second_label=head["second_label"],
        paying_organism=head["organism"],
        payments=tuple(payments),
        return_type=kind["type"],
    )


def _read_payment(reader: Reader) -> Payment:
    first = reader.at
    head = reader.take(noemie.InvoiceReference, _INVOICE)
    persons = reader.take(noemie.Persons, _INVOICE)
    amo = _read_share(reader.take(noemie.AmoShare, _INVOICE))
    amc = reader.all_of(noemie.AmcShare, _INVOICE)
    if len(amc) > 1:
        raise RecordError("entity 199 stands twice for one invoice")
    payment = Payment(
        invoice=head["invoice"],
        lot_number=head["lot"],
        lot_date=read_date(head["lot_date"]),
        invoice_type=head["type"],
        date=read_date(head["date"]),
        nature=head["nature"],
        amo=amo,
        amc=_read_share(amc[0]) if amc else None,
        lines=tuple(_read_line(line) for line in reader.all_of(noemie.ActPaid, _INVOICE)),
        rejects=tuple(_read_reject(reject) for reject in reader.all_of(noemie.Reject, _INVOICE)),
        remarks=tuple(
            Remark(signal["code"], signal["text"], signal["line"])
            for signal in reader.all_of(noemie.Signal, _INVOICE)
        ),
        comments=tuple(comment["text"] for comment in reader.all_of(noemie.Comment, _INVOICE)),
        **_read_persons(persons, read_date(head["date"])),
    )
    reader.close_level(_INVOICE, f"{payment.invoice:09d}", reader.at - first, payment.paid_cents)
    return payment


def _read_persons(values: dict[str, Any], invoice_date: dt.date) -> dict[str, Any]:
    has_own = bool(values["own_nir"].strip("0"))
    return {
        "nir": values["nir"],
        "nir_key": values["nir_key"],
        "own_nir": values["own_nir"] if has_own else "",
        "own_key": values["own_key"] if has_own else "",
        "birth_date": _birth_date(values["birth_date"], invoice_date),
        "birth_rank": values["birth_rank"],
        "name": values["name"],
        "first_name": values["first_name"],
    }


def _birth_date(value: str, invoice_date: dt.date) -> dt.date | None:
    """The last such day that is not after the invoice."""
    if not value:
        return None
    year, month, day = int(value[:2]), int(value[2:4]), int(value[4:])
    for century in (2000, 1900):
        try:
            born = dt.date(century + year, month, day)
        except ValueError:
            continue
        if born <= invoice_date:
            return born
    raise RecordError("entity 103: the birth date is not a day of the calendar", 101)


def _read_share(values: dict[str, Any]) -> Share:
    if values["state"] not in STATES:
        raise RecordError("entities 198 and 199: the state is P, R, D or nothing", 14)
    paid = signed(values["paid"], values["sign"])
    return Share(values["asked"], paid, values["state"], values.get("number", ""), values.get("member", ""))


def _read_line(values: dict[str, Any]) -> PaidLine:
    return PaidLine(
        line=values["line"],
        care_date=read_date(values["start"]),
        code=values["act"] + values["complement"],
        quantity=values["quantity"],
        coefficient=values["coefficient"],
        unit_cents=values["unit"],
        base_cents=values["base"],
        rate=values["rate"],
        paid_cents=signed(values["paid"], values["sign"]),
        charged_cents=values["charged"],
        local_rate=values["local_rate"],
        local_cents=values["local_amount"],
        amc_rate=values["amc_rate"],
        amc_cents=values["amc_amount"],
        amc_base_cents=values["amc_base"],
    )


def _read_reject(values: dict[str, Any]) -> NoemieReject:
    if values["info"][:4] != values["code"] or len(values["info"]) != 7:
        raise RecordError("entity 294: the info zone does not repeat the code", 123)
    return NoemieReject(
        code=values["info"],
        text=values["text"],
        level=values["level_of"],
        share=values["share"],
        act=values["act"],
        line=values["line"],
        date=read_date(values["date"]) if values["date"] else None,
        executor=values["executor"] if values["executor"].strip("0") else "",
    )
