"""Collecting: every message is dealt with once, nothing is lost between the mailbox and the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.delivery import Collected, Opened, collect
from gateway.errors import StoreError, TrustError
from gateway.exchange.mailbox import Maildir
from gateway.lots.sealing import SealedLot
from gateway.records.arl import Arl
from gateway.store.rows import ReceiptOutcome
from tests.gateway.store.line import PRACTICE, Box, Line, payment, raw_of


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A store with its surroundings."""
    made = Line(tmp_path / "var")
    yield made
    made.store.close()


class Post:
    """Messages by their bytes, and the opener that knows them."""

    def __init__(self) -> None:
        self.known: dict[bytes, Opened] = {}

    def opener(self, raw: bytes) -> Opened:
        """Open a message that is known; refuse any other."""
        if raw not in self.known:
            raise TrustError("the envelope is not for this practice")
        return self.known[raw]

    def receipt(self, line: Line, sealed: SealedLot, mail: bytes, *, positive: bool = True) -> bytes:
        """A mail with the receipt of a lot."""
        arl = line.arl(sealed, positive=positive)
        self.known[mail] = Opened(raw_of(arl), receipts=(arl,))
        return mail


def test_receipts_and_payments_are_posted(line: Line) -> None:
    """Receipts and payments in a real maildir move lots and sheets, and the mailbox is empty afterwards."""
    sealed = line.lot(2)
    line.send(sealed)
    post, box = Post(), Maildir(line.root / "mail", clock=line.clock)
    box.deliver(post.receipt(line, sealed, b"mail 1"))
    post.known[b"mail 2"] = Opened(b"noemie", payments=(payment(1, sealed), payment(2, sealed, paid=False)))
    box.deliver(b"mail 2")
    assert collect(line.store, box, post.opener, PRACTICE) == Collected(posted=3)
    assert (line.fse_state(1), line.fse_state(2)) == ("PAID", "PAYMENT_REJECTED")
    assert box.pending() == []


def test_bad_messages_do_not_stop_the_rest(line: Line) -> None:
    """Noise and strangers are kept with their reason and leave the mailbox; the good message is posted."""
    sealed, other = line.lot(), line.lot()
    line.send(sealed)
    post = Post()
    stranger = line.arl(other, compostage="9" * 19)
    post.known[b"stranger"] = Opened(b"s", receipts=(stranger,))
    post.known[b"empty"] = Opened(b"nothing")
    post.receipt(line, sealed, b"good")
    box = Box({"a": b"noise", "b": b"stranger", "c": b"empty", "d": b"good"})
    assert collect(line.store, box, post.opener, PRACTICE) == Collected(posted=1, unmatched=1, unreadable=2)
    assert box.finished == ["a", "b", "c", "d"]
    assert len(line.store.unmatched()) == 3
    assert line.lot_state(sealed.id) == "ACKNOWLEDGED"


def test_repeats_change_nothing(line: Line) -> None:
    """The same mail twice, and the same receipt in another mail, are repeats."""
    sealed = line.lot()
    line.send(sealed)
    post = Post()
    post.receipt(line, sealed, b"mail 1")
    post.receipt(line, sealed, b"mail 1 in a new envelope")
    box = Box({"a": b"mail 1", "b": b"mail 1", "c": b"mail 1 in a new envelope"})
    assert collect(line.store, box, post.opener, PRACTICE) == Collected(posted=1, repeated=2)


def test_a_store_that_fails_leaves_the_message(line: Line) -> None:
    """When the store cannot keep the receipt, the message stays in the mailbox and is posted later."""
    sealed = line.lot()
    line.send(sealed)
    post = Post()
    box = Box({"a": post.receipt(line, sealed, b"mail")})
    line.store.close()
    with pytest.raises(StoreError):
        collect(line.store, box, post.opener, PRACTICE)
    assert list(box.waiting) == ["a"]
    line.reopen()
    assert collect(line.store, box, post.opener, PRACTICE).posted == 1


def test_a_message_is_posted_whole_or_not_at_all(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the second receipt of a file cannot be kept, the first is not kept either."""
    first, second = line.lot(), line.lot()
    line.send(first)
    line.store.sent(second.id, line.clock.now())
    arls = (line.arl(first), line.arl(second))
    box = Box({"a": b"mail"})
    kept = line.store.post_receipt

    def full(arl: object, raw: bytes, key: str, practice: str) -> object:
        if arl is arls[1]:
            raise StoreError("the disk is full")
        return kept(arl, raw, key, practice)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(line.store, "post_receipt", full)
        with pytest.raises(StoreError):
            collect(line.store, box, lambda raw: Opened(b"two", receipts=arls), PRACTICE)
    assert line.lot_state(first.id) == "SENT"
    assert collect(line.store, box, lambda raw: Opened(b"two", receipts=arls), PRACTICE).posted == 2


def test_a_message_the_store_refuses_stops_nothing_before_it(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three receipts taken in together the second cannot be kept: the first is posted and leaves the
    mailbox, the others wait and are posted when the store takes them."""
    lots = [line.lot() for _ in range(3)]
    for sealed in lots:
        line.store.claim_due(line.clock.now(), 3, timedelta(minutes=1))
        line.store.sent(sealed.id, line.clock.now())
    post = Post()
    box = Box({f"{n}": post.receipt(line, sealed, f"mail {n}".encode()) for n, sealed in enumerate(lots)})
    refused, kept = line.arl(lots[1]), line.store.post_receipt

    def full(arl: Arl, raw: bytes, key: str, practice: str) -> ReceiptOutcome:
        if arl.compostage == refused.compostage:
            raise StoreError("the disk is full")
        return kept(arl, raw, key, practice)

    with monkeypatch.context() as patch:
        patch.setattr(line.store, "post_receipt", full)
        with pytest.raises(StoreError):
            collect(line.store, box, post.opener, PRACTICE)
    assert [line.lot_state(sealed.id) for sealed in lots] == ["ACKNOWLEDGED", "SENT", "SENT"]
    assert list(box.waiting) == ["1", "2"]
    assert collect(line.store, box, post.opener, PRACTICE) == Collected(posted=2)
