"""The second half of the line: send what is due, resend what got no receipt, post what came back.

Every attempt sends the bytes that were sealed, under the id that was fixed with them: whatever the
network does, the receiver can recognise a repeat. One lot that cannot leave does not hold up the
others, and nothing is deleted: a lot that fails for good is PARKED with its reason.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Protocol

from gateway.clock import Clock, Rng
from gateway.errors import ExchangeError, GatewayError, InputError, StoreError
from gateway.exchange.breaker import OPENS, Breaker, Lane, domain_line, failed
from gateway.exchange.calendar import legal_day, receipt_deadline
from gateway.exchange.retry import Backoff
from gateway.exchange.smtp import Permanent, Transient
from gateway.store.rows import LotRow, Outcome, Payment
from gateway.store.states import LotState

if TYPE_CHECKING:
    from gateway.records.arl import Arl
    from gateway.store.store import Store

LEASE = timedelta(minutes=10)
"""How long a claimed lot is left alone by other workers; a restart of the gateway ends it at once."""

RELAY = "relay"
"""The name of the line to the relay, where there is only one."""

NOTED_TOGETHER = 5
"""So many lots that the relay took one after the other are noted in one transaction, a failure at once: who
dies in between sends them again, and the receiver knows them."""

RELAY_UNWELL = 3
"""After so many lots in a row that the relay did not take, the pass ends: the rest is not tried."""

PATIENCE = timedelta(days=1)
"""A lot that failed for so long is parked even when nothing else left in the meantime."""

_BESIDE = timedelta(minutes=15)


class Sender(Protocol):
    """Hands one mail to the relay (gateway.exchange.smtp.SmtpSender)."""

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Return only when the relay took it; raise Transient or Permanent."""
        ...


class Mailbox(Protocol):
    """Where returns arrive (gateway.exchange.mailbox.Maildir)."""

    def pending(self, limit: int | None = None) -> list[tuple[str, bytes]]:
        """Messages not yet dealt with."""
        ...

    def done(self, *keys: str) -> None:
        """These are dealt with."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A return message, opened and verified: its receipts or its payments, and the file they were in."""

    content: bytes = field(repr=False)
    receipts: Sequence[Arl] = ()
    payments: Sequence[Payment] = field(default=(), repr=False)


_Attempt = tuple[LotRow, GatewayError | None]
_Noted = tuple[LotRow, LotState, GatewayError | None]

Opener = Callable[[bytes], Opened]
"""Opens one raw message; raises a GatewayError with the reason when it is not to be believed."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one pass of sending did; `why` is the reason of its first failure."""

    sent: int = 0
    failed: int = 0
    parked: int = 0
    overdue: int = 0
    why: str = field(default="", compare=False)

    def and_also(self, other: Sent) -> Sent:
        """Two passes together."""
        counts = (self.sent + other.sent, self.failed + other.failed, self.parked + other.parked)
        return Sent(*counts, self.overdue + other.overdue, self.why or other.why)


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pass over the mailbox did: receipts and payments by outcome, and unreadable messages."""

    posted: int = 0
    repeated: int = 0
    unmatched: int = 0
    unreadable: int = 0


def send_due(
    store: Store,
    sender: Sender,
    clock: Clock,
    rng: Rng,
    *,
    beside: Sequence[Sender] = (),
    limit: int = 20,
    backoff: Backoff | None = None,
    relay: str = RELAY,
    lane: Lane = Lane.ALL,
    of: str | None = None,
    told: Callable[[LotRow, LotState], None] = lambda lot, state: None,
) -> Sent:
    """One pass: mark overdue lots, claim what is due, send the same bytes, note what happened.

    `beside`: more connections to the same relay; lots then go side by side, one per connection. `relay`: the
    name of the line that all of them take; `lane`: what this pass is for; `of`: tell of one practice's lots;
    `told`: hears of every lot that was tried, as it was before, and of the state it came to.
    """
    silent = () if lane is Lane.FRESH else store.overdue(clock.now())
    mine = [row for row in silent if of in (None, row.practice)]
    done = Sent(
        overdue=sum(row.state is LotState.OVERDUE for row in mine),
        parked=sum(row.state is LotState.PARKED for row in mine),
    )
    senders = (sender, *beside)
    claimed = store.claim_due(clock.now(), limit, LEASE, relay, lane)
    if not claimed:
        return done
    moment = _Moment(clock, rng, backoff or Backoff(), relay, {line.name: line for line in store.breakers()})
    waiting, untried, tried, in_a_row = deque(claimed), list[LotRow](), list[_Attempt](), 0
    bears = 1 if lane is Lane.FRESH else OPENS
    with ThreadPoolExecutor(len(senders)) as lanes:
        while waiting and in_a_row < RELAY_UNWELL and not moment.is_relay_held:
            lots = [waiting.popleft() for _ in range(min(len(senders), len(waiting)))]
            left = [lot for lot in lots if not moment.has_failed(lot, bears)]
            untried += [lot for lot in lots if lot not in left]
            tried += zip(left, lanes.map(_send, senders, left), strict=False)
            if waiting and len(tried) < NOTED_TOGETHER and not any(failure for _, failure in tried):
                in_a_row = 0 if left else in_a_row
                continue
            for lot, state, failure in _note(store, tried, moment):
                in_a_row = 0 if state is LotState.SENT else in_a_row + 1
                told(lot, state)
                if of in (None, lot.practice):
                    done = _count(done, state, failure)
            tried.clear()
    untried += waiting
    if untried:
        store.give_back([lot.id for lot in untried])
        for lot in untried:
            _give_try_back(store, lot, moment)
    return done


def collect(store: Store, mailbox: Mailbox, opener: Opener, practice: str, limit: int = 100) -> Collected:
    """One pass: open each pending message and post it; a message that fails does not stop the rest."""
    messages = [_open(opener, key, raw) for key, raw in mailbox.pending(limit)]
    if not messages:
        return Collected()
    try:
        outcomes = _deal_with(store, mailbox, messages, practice)
    except StoreError:  # not all of them together: on its own, what cannot be kept stops nothing before it
        outcomes = [o for message in messages for o in _deal_with(store, mailbox, [message], practice)]
    unreadable = sum(isinstance(message.content, GatewayError) for message in messages)
    return reduce(_tally, outcomes, Collected(unreadable=unreadable))


@dataclass(frozen=True, slots=True)
class _Moment:
    """What one pass goes by; `lines` are those that have failed, as this pass has seen them."""

    clock: Clock
    rng: Rng
    backoff: Backoff
    relay: str
    lines: dict[str, Breaker]
    failed_here: Counter[str] = field(default_factory=Counter)

    @property
    def is_relay_held(self) -> bool:
        """Whether the relay has failed so often that nothing more is tried."""
        return (
            self.relay in self.lines and self.lines[self.relay].is_held and bool(self.failed_here[self.relay])
        )

    def has_failed(self, lot: LotRow, bears: int) -> bool:
        """Whether so many lots of this pass failed on the lot's line that this one is not tried as well."""
        return self.failed_here[domain_line(lot.recipient)] >= bears

    def judge(self, lot: LotRow, failure: GatewayError | None) -> Iterator[tuple[str, str]]:
        """What an attempt tells of its lines: their names, and why they failed, "" for those that work."""
        if isinstance(failure, Transient) and failure.unreached:
            yield self.relay, str(failure)
        elif not isinstance(failure, InputError):
            yield self.relay, ""
            if not isinstance(failure, Permanent):
                yield domain_line(lot.recipient), "" if failure is None else str(failure)


def _send(sender: Sender, lot: LotRow) -> GatewayError | None:
    """Hand one lot to the relay; None when the relay took it."""
    try:
        sender.send(lot.sender, lot.recipient, lot.message)
    except (ExchangeError, InputError) as failure:
        return failure
    return None


def _note(store: Store, tried: Sequence[_Attempt], moment: _Moment) -> list[_Noted]:
    """Keep the outcomes of these attempts in one transaction."""

    def note() -> list[_Noted]:
        return [(lot, _note_one(store, lot, failure, moment), failure) for lot, failure in tried]

    if len(tried) <= 1:
        return note()
    try:
        with store.batch():
            return note()
    except StoreError as problem:
        if problem.code != "conflict":  # another gateway posts the receipt of one of them at this moment
            raise
    return note()


def _note_lines(store: Store, lot: LotRow, failure: GatewayError | None, moment: _Moment) -> None:
    """Keep what an attempt tells of relay and domain; lines that work as ever cost nothing."""
    told = dict(moment.judge(lot, failure))
    for name, reason in told.items():
        before = moment.lines.get(name)
        if reason:
            moment.failed_here[name] += 1
            line = failed(before, name, reason, moment.clock.now(), moment.backoff, moment.rng)
            moment.lines[name] = line
            store.note_line(name, line)
        elif before is not None:
            del moment.lines[name]
            store.note_line(name, None)
    if domain_line(lot.recipient) not in told:
        _give_try_back(store, lot, moment)


def _give_try_back(store: Store, lot: LotRow, moment: _Moment) -> None:
    """Nothing was learned of the lot's domain: when it is held, its one try is not spent."""
    line = moment.lines.get(domain_line(lot.recipient))
    if line is not None and line.is_held and not moment.failed_here[line.name]:
        store.note_line(line.name, replace(line, next_attempt_at=moment.clock.now()))


def _note_one(store: Store, lot: LotRow, failure: GatewayError | None, moment: _Moment) -> LotState:
    """Keep the outcome of one attempt; the state it leaves the lot in."""
    _note_lines(store, lot, failure, moment)
    if isinstance(failure, Permanent | InputError):
        store.park(lot.id, str(failure))
        return LotState.PARKED
    if isinstance(failure, Transient) and failure.unreached:
        return _unreached(store, lot, str(failure), moment)
    if failure is not None:
        return _failed(store, lot, str(failure), moment)
    store.sent(lot.id, receipt_due(moment.clock.now()))
    return LotState.SENT


def _unreached(store: Store, lot: LotRow, reason: str, moment: _Moment) -> LotState:
    """The relay never saw the lot: no attempt is counted against it, however long that lasts."""
    now = moment.clock.now()
    waited = (now - (lot.failing_since or now)).total_seconds()
    delay = moment.backoff.delay_after(waited, moment.rng)
    store.failed(lot.id, reason, now + timedelta(seconds=delay), counted=False)
    return LotState.SEALED


def _failed(store: Store, lot: LotRow, reason: str, moment: _Moment) -> LotState:
    attempt, now = lot.attempts + 1, moment.clock.now()
    if _is_hopeless(store, lot, attempt, moment):
        store.park(lot.id, f"{attempt} attempts failed, the last one: {reason}")
        return LotState.PARKED
    store.failed(lot.id, reason, now + timedelta(seconds=moment.backoff.delay(attempt, moment.rng)))
    return LotState.SEALED


def _is_hopeless(store: Store, lot: LotRow, attempt: int, moment: _Moment) -> bool:
    """A line that takes nothing at all is not the lot's fault, and parks nothing before a day is over."""
    if not moment.backoff.is_exhausted(attempt) or lot.failing_since is None:
        return False
    if moment.clock.now() - lot.failing_since >= PATIENCE:
        return True
    return store.line_took_another(lot.id, lot.failing_since - _BESIDE)


def receipt_due(sent: datetime) -> datetime:
    """The first moment at which the receipt of something sent now is late: after two whole working days."""
    late = receipt_deadline(legal_day(sent)) + timedelta(days=1)
    midnight = datetime(late.year, late.month, late.day, tzinfo=UTC)
    return next(m for m in (midnight - timedelta(hours=h) for h in (2, 1, 0)) if legal_day(m) == late)


def _count(done: Sent, state: LotState, failure: GatewayError | None) -> Sent:
    if failure is not None and not done.why:
        done = replace(done, why=str(failure))
    if state is LotState.SENT:
        return replace(done, sent=done.sent + 1)
    if state is LotState.PARKED:
        return replace(done, parked=done.parked + 1)
    return replace(done, failed=done.failed + 1)


@dataclass(frozen=True, slots=True)
class _Message:
    """One message of the mailbox, and what is in it or why that is not to be believed."""

    key: str
    raw: bytes = field(repr=False)
    content: Opened | GatewayError


def _open(opener: Opener, key: str, raw: bytes) -> _Message:
    try:
        opened = opener(raw)
    except StoreError:
        raise
    except GatewayError as refusal:
        return _Message(key, raw, refusal)
    if not opened.receipts and not opened.payments:
        sentence = "there is neither a receipt nor a payment in this message: look at it by hand"
        return _Message(key, raw, InputError(sentence))
    return _Message(key, raw, opened)


def _deal_with(store: Store, mailbox: Mailbox, messages: Sequence[_Message], practice: str) -> list[Outcome]:
    """Post these messages together or not at all, and only then take them out of the mailbox.

    A stop in between finds them pending again, and posting them again is harmless.
    """
    with store.batch():
        outcomes = [outcome for message in messages for outcome in _post(store, message, practice)]
    mailbox.done(*(message.key for message in messages))
    return outcomes


def _post(store: Store, message: _Message, practice: str) -> list[Outcome]:
    key, opened = message.key, message.content
    if isinstance(opened, GatewayError):
        store.post_unreadable(message.raw, key, str(opened), practice)
        return []
    outcomes = [store.post_receipt(arl, opened.content, key, practice).outcome for arl in opened.receipts]
    if opened.payments:
        posted = store.post_payment(opened.payments, opened.content, key, practice)
        outcomes += [line.outcome for line in posted]
    return outcomes


def _tally(done: Collected, outcome: Outcome) -> Collected:
    if outcome in (Outcome.UNMATCHED, Outcome.CONTRADICTED):
        return replace(done, unmatched=done.unmatched + 1)
    if outcome is Outcome.REPEATED:
        return replace(done, repeated=done.repeated + 1)
    return replace(done, posted=done.posted + 1)
