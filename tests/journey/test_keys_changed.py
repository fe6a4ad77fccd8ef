"""The French case of January 2020: the receiver's keys change, lots come back rejected and stay as they are.

All of it through the daemon: its loops send and collect, day after simulated day, against a real receiver.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from gateway.certificates import receiver_in_force
from gateway.daemon import Daemon
from gateway.exchange.mailbox import Maildir
from gateway.inbox import Inbox
from gateway.remedies import of_receipt
from gateway.seat import Seat
from tests.journey.day import Day
from tools.bench import PRACTICE
from tools.pki.authority import RECEIVER_NAME, RECEIVER_USAGES

DAYS = 20


@dataclass
class Relay:
    """The day's own sender, as a daemon wants it."""

    day: Day
    said: list[str] = field(default_factory=list)

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Hand it over; every attempt is noted in `day.sent`."""
        self.day.send(envelope_from, envelope_to, raw)

    def abort(self) -> None:
        """Nothing is under way."""


def daemon_of(day: Day) -> Daemon:
    """A gateway without a reader: it sends and collects, new work and what failed over two connections."""
    relay = Relay(day)
    box = Maildir(day.bench.directory("mailbox"))
    seat = Seat(day.practice, None, Inbox(day.bench.directory("inbox")), box, relay.said.append)
    return Daemon([seat], relay, relay.said.append, again=relay)


def pass_days(day: Day, daemon: Daemon, count: int = DAYS) -> None:
    """Days go by, the lists are renewed, the daemon works on."""
    for _ in range(count * 2):
        day.clock.advance(timedelta(hours=12))
        day.bench.authority.renew_crls(day.clock.now())
        daemon.seats[0].practice = replace(daemon.practice, trust=day.bench.authority.trust())
        daemon.turn()


def test_a_negative_receipt_never_resends_by_itself(day: Day) -> None:
    """Refused once: twenty days of work send nothing again; its reason and remedy are shown."""
    day.start("negative-arl")
    daemon = daemon_of(day)
    (lot,) = day.lots()
    daemon.turn()
    day.until(day.all_are("REJECTED"))
    attempts = len(day.sent)
    assert day.sent == [lot.message] * attempts
    pass_days(day, daemon)
    assert len(day.sent) == attempts, "a refused lot went out again"
    assert (day.states(), day.sheets()) == (["REJECTED"], ["REJECTED"])
    (receipt,) = day.practice.store.receipts(PRACTICE, lot.id)
    assert not receipt.positive
    assert of_receipt(receipt.error_class)


def test_a_silent_lot_is_sent_again_by_the_same_daemon(day: Day) -> None:
    """The twin: no receipt at all, and the very same bytes leave again within days."""
    day.start("drop-arl")
    daemon = daemon_of(day)
    (lot,) = day.lots()
    daemon.turn()
    assert day.sent == [lot.message]
    pass_days(day, daemon, 6)
    assert len(day.sent) >= 2
    assert set(day.sent) == {lot.message}


def new_receiver_pair(day: Day) -> bytes:
    """The receiver gets a new encryption key, in force from now on; its certificate."""
    authority, name = day.bench.authority, "receiver-encryption"
    begins = day.clock.now() - timedelta(minutes=1)
    authority._issue(authority.directory / name, RECEIVER_NAME, RECEIVER_USAGES[name], begins)
    return authority.receiver_keys().decryption.certificate


def test_lots_for_a_retired_key_come_back_and_stay(day: Day) -> None:
    """Sealed for the old key: rejected as unreadable, not sent again in weeks; plain words say what to do.

    With the new certificate beside the old one in the settings, the next lot is sealed for the new key and
    accepted, without anybody choosing.
    """
    new = new_receiver_pair(day)
    day.start()
    daemon = daemon_of(day)
    (old_lot,) = day.lots()
    daemon.turn()
    day.until(day.all_are("REJECTED"))
    pass_days(day, daemon)
    assert day.sent == [old_lot.message], "the lot for the retired key went out again"
    (receipt,) = day.practice.store.receipts(PRACTICE, old_lot.id)
    assert (receipt.error_class, receipt.code) == ("E", "1000")
    remedy = of_receipt(receipt.error_class)
    for words in ("do not send this lot again", "[receiver] certificate", "wait for payments"):
        assert words in remedy
    day.practice = replace(daemon.practice, other_receivers=(new,))
    assert receiver_in_force(day.practice, day.clock.now()) == new
    day.bench.write_opposition([])
    day.practice = replace(day.practice, opposition=day.bench.practice(day.practice.store).opposition)
    daemon.seats[0].practice = day.practice
    day.start(port=day.stop())  # the lists that it believes are three weeks old too
    (new_lot,) = day.lots()
    daemon.turn()
    day.until(lambda: day.states() == ["REJECTED", "ACKNOWLEDGED"])
    assert day.sent == [old_lot.message, new_lot.message]
