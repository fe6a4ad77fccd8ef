"""A NOEMIE return as a whole file: transfers, payments, rejects, breaks and totals of 990 and 999."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime


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
    care_date: date
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
    """A reject (entity 294). `code`: 4 + 3 digits; `level` F, L or C; `share` O or C; `line` 0 = all."""

    code: str
    text: str
    level: str = "F"
    share: str = "O"
    act: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Remark:
    """A signalement (entity 290): said, but without effect on the payment."""

    code: str
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """What is said of one invoice (entities 102 to 295). `invoice_type`: F FSE, D DRE, B degraded."""

    invoice: int
    lot_number: int
    lot_date: date
    invoice_type: str
    invoice_date: date
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
    birth_date: date | None = field(default=None, repr=False)
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

    paid_on: date
    label: str
    second_label: str
    paying_organism: str
    payments: tuple[Payment, ...]
    return_type: str = "01"


@dataclass(frozen=True, slots=True)
class NoemieReturn:
    """A whole return file to one payee (billing number)."""

    sender: str
    destination: str
    file_id: str
    created: datetime
    payee: str
    transfers: tuple[Transfer, ...]
    reference: str = "578"

    @property
    def payments(self) -> tuple[Payment, ...]:
        """Every invoice answered, in file order."""
        return tuple(payment for transfer in self.transfers for payment in transfer.payments)

    @property
    def total_cents(self) -> int:
        """The sum of everything paid, in cents."""
        return sum(payment.paid_cents for payment in self.payments)


def write_noemie(answer: NoemieReturn) -> bytes:
    """The file as ASCII text, every 990 and the 999 with true counters and sums."""
    raise NotImplementedError


def parse_noemie(data: bytes) -> NoemieReturn:
    """Strict reading: hierarchy, counters and sums are checked; InputError says what is wrong."""
    raise NotImplementedError
