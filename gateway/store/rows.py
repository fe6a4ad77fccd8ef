"""What goes into the store and what comes out of it: frozen values, money in cents, times in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from gateway.store.states import FseState, LotState


@dataclass(frozen=True, slots=True)
class StoredFse:
    """One signed FSE to keep. `label` names the acts only: nothing about the patient leaves `body`.

    `practitioner` and `destination` (regime, caisse, centre) and `mode` say which lot it may join.
    `waits`: the CPS has not signed it yet. `act`, `twin`: the care act it was made from and its paper twin,
    closed like `body`. `share`: its complementary share, when somebody is to pay it to the professional.
    `rectifies`: the number of the refused FSE that it takes the place of, 0 for none.
    """

    practice: str
    number: int
    practitioner: str
    destination: str
    mode: int
    third_party: str
    elaborated: datetime
    deadline: date
    body: bytes = field(repr=False)
    base_cents: int = 0
    amo_cents: int = 0
    amc_cents: int = 0
    patient_cents: int = 0
    excess_cents: int = 0
    label: str = ""
    waits: bool = False
    act: bytes = field(default=b"", repr=False)
    twin: bytes = field(default=b"", repr=False)
    share: StoredShare | None = None
    rectifies: int = 0


@dataclass(frozen=True, slots=True)
class StoredShare:
    """A complementary share to keep with its FSE; cents. `destination` "": the caisse hands it on.

    `recipient`: the mail address of the insurer that the DRE (`body`) goes to.
    """

    amc_cents: int
    destination: str = ""
    recipient: str = ""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class AwaitingFse:
    """An FSE that waits for the signature of the CPS of this place of practice."""

    number: int
    practitioner: str
    deadline: date


@dataclass(frozen=True, slots=True)
class Payment:
    """What a NOEMIE return says of one FSE; `paid` False is a rejection with its code and text.

    Amounts are those paid, in cents. `lot_date` None: the return names the lot by its number only.
    `deferred`: neither paid nor rejected yet. `complementary`: an insurer answers, for its share alone.
    `code` and `text` of a payment that is paid tell of a share that is not.
    """

    number: int
    lot_number: int
    paid: bool
    amo_cents: int = 0
    amc_cents: int = 0
    code: str = ""
    text: str = ""
    lot_date: date | None = None
    deferred: bool = False
    complementary: bool = False


@dataclass(frozen=True, slots=True)
class WaitingGroup:
    """FSE that may share a lot: one place of a practitioner, one destination, one family of modes.

    Most urgent first. `family`: see `gateway.lots.modes`.
    """

    practice: str
    practitioner: str
    destination: str
    family: str
    numbers: tuple[int, ...]
    deadline: date


@dataclass(frozen=True, slots=True)
class FseRow:
    """One FSE as lists show it. `state` is that of the FSE and its AMO share.

    `amc_state`: where its complementary share stands, "" without one; `rectifies`: the number of the refused
    FSE in whose place it stands, 0 for none.
    """

    practice: str
    number: int
    practitioner: str
    destination: str
    mode: int
    third_party: str
    state: FseState
    elaborated: datetime
    deadline: date
    base_cents: int
    amo_cents: int
    amc_cents: int
    patient_cents: int
    excess_cents: int
    label: str
    lot_id: str | None
    paid_amo_cents: int
    paid_amc_cents: int
    changed_at: datetime
    reason: str
    amc_state: str = ""
    amc_reason: str = ""
    rectifies: int = 0


@dataclass(frozen=True, slots=True)
class LotRow:
    """One lot as lists and the sender see it; `message` is filled by `claim_due` only.

    `attempts` counts failed attempts since the last success, `sends` the times the relay took it.
    """

    id: str
    practice: str
    destination: str
    sender: str
    recipient: str
    lot_number: int
    lot_date: date
    file_id: str
    compostage: str
    count: int
    state: LotState
    attempts: int
    sends: int
    next_attempt_at: datetime | None
    failing_since: datetime | None
    sent_at: datetime | None
    ack_due: datetime | None
    changed_at: datetime
    reason: str
    message: bytes = field(default=b"", repr=False)


class Outcome(StrEnum):
    """What posting a return did. Only POSTED changes a state; UNMATCHED and CONTRADICTED need a person."""

    POSTED = "posted"
    REPEATED = "repeated"
    UNMATCHED = "unmatched"
    CONTRADICTED = "contradicted"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class ReceiptOutcome:
    """What one ARL did: which lot it moved to which state, or why it moved none."""

    outcome: Outcome
    lot_id: str | None
    state: LotState | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """What one payment line did: which FSE it moved to which state, or why it moved none."""

    outcome: Outcome
    number: int
    state: FseState | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One change of state: when, of what (fse, lot or dre, with number or id), from what, to what, why.

    `before` is empty at birth.
    """

    at: datetime
    what: str
    id: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A return that moved nothing and waits for a person: an unreadable message or a stranger's ARL."""

    at: datetime
    kind: str
    outcome: str
    reason: str
    message_key: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state at its place (1, 2, 3 …) among all of the store; `what` is "fse", "dre" or "lot"."""

    place: int
    at: datetime
    what: str
    id: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One ARL that named a lot of ours; `outcome` as in `Outcome`."""

    at: datetime
    positive: bool
    error_class: str
    code: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class PaymentLine:
    """What one payment return said of one FSE; amounts in cents, `outcome` as in `Outcome`."""

    at: datetime
    number: int
    lot_number: int
    lot_date: date | None
    paid: bool
    deferred: bool
    amo_cents: int
    amc_cents: int
    code: str
    text: str
    outcome: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a program (`client`) was answered under its idempotency key; `request` is a SHA-256."""

    practice: str
    client: str
    key: str
    request: bytes
    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many FSE, lots and complementary shares stand in each state, and what needs a person."""

    fse: dict[str, int]
    lots: dict[str, int]
    unmatched: int
    late: int
    shares: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NumberGiven:
    """The last number of a kind (fse, lot, file, mail) that a practice was given."""

    practice: str
    kind: str
    last: int
