"""The door: a running receiver on loopback, its bounds, and the faults that can be asked for."""

from __future__ import annotations

import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.clock import SimulatedClock
from gateway.errors import InputError, StoreError
from gateway.exchange.mailbox import Maildir
from gateway.exchange.smtp import SmtpSender, Transient
from gateway.records.arl import Arl, parse_arl
from tools.receiver.config import Limits, ReceiverConfig
from tools.receiver.faults import FAULTS, Faults
from tools.receiver.service import RunningReceiver, start_receiver

if TYPE_CHECKING:
    from conftest import Practice

FROM, TO = "cabinet@practice.test", "01349@349.01.rss.fr"
PATIENCE = 10.0


class Running:
    """A receiver in threads, its practice, and what it said."""

    def __init__(self, practice: Practice, root: Path, **changes: object) -> None:
        self.practice, self.lines, self.mail = practice, [], root / "mail"  # type: ignore[var-annotated]
        base = ReceiverConfig(practice.authority.directory, root / "state", self.mail)
        clock = SimulatedClock(practice.now)
        self.config = replace(base, say=self.lines.append, clock=clock, **changes)  # type: ignore[arg-type]
        self.receiver: RunningReceiver = start_receiver(self.config)
        self.sender = SmtpSender("127.0.0.1", self.receiver.port, 5.0)

    def send(self, raw: bytes) -> None:
        """Hand over one message; returns on 250."""
        self.sender.send(FROM, TO, raw)

    def arls(self, count: int) -> list[Arl]:
        """Wait for this many answers in the mailbox, oldest first."""
        box, end = Maildir(self.mail), time.monotonic() + PATIENCE
        while len(found := box.pending()) < count:
            assert time.monotonic() < end, f"{len(found)} answers instead of {count}"
            time.sleep(0.02)
        return [parse_arl(self.practice.open(raw).payload) for _, raw in found]

    def said(self, words: str) -> None:
        """Wait for a line with these words."""
        end = time.monotonic() + PATIENCE
        while not any(words in line for line in self.lines):
            assert time.monotonic() < end, self.lines
            time.sleep(0.02)

    def lots(self) -> int:
        """Lots in the ledger."""
        return int(self.receiver.ledger.rows("SELECT count(*) FROM lot")[0][0])

    def close(self) -> None:
        """Stop everything."""
        self.sender.close()
        self.receiver.stop()


@pytest.fixture
def start(practice: Practice, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts receivers and stops them."""
    running: list[Running] = []

    def make(**changes: object) -> Running:
        running.append(Running(practice, tmp_path / f"r{len(running)}", **changes))
        return running[-1]

    yield make
    for one in running:
        one.close()


def test_a_lot_by_smtp(start: Callable[..., Running]) -> None:
    """250 means kept: the lot is in the ledger, its ARL soon in the mailbox, one line tells it."""
    run = start()
    run.send(run.practice.message(1, 2, 3))
    assert run.lots() == 1
    [arl] = run.arls(1)
    assert (arl.positive, arl.invoices) == (True, 3)
    run.said("3 invoices, ARL +")
    assert not any(run.practice.fse(9).view().nir in line for line in run.lines)


def test_many_senders_at_once(start: Callable[..., Running]) -> None:
    """Lots from several connections share commits, and each is answered once."""
    run = start()
    groups = [[run.practice.message(10 * i + j) for j in range(5)] for i in range(1, 5)]

    def send(messages: list[bytes]) -> None:
        sender = SmtpSender("127.0.0.1", run.receiver.port, 10.0)
        for raw in messages:
            sender.send(FROM, TO, raw)
        sender.close()

    threads = [threading.Thread(target=send, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.lots() == 20
    assert len({arl.compostage for arl in run.arls(20)}) == 20


def test_too_large_is_refused_and_the_next_is_taken(start: Callable[..., Running]) -> None:
    """A message above the limit gets 552 and leaves nothing; the same connection then sends a lot."""
    run = start(limits=Limits(message_bytes=50_000))
    client = smtplib.SMTP("127.0.0.1", run.receiver.port, timeout=5)
    with pytest.raises(smtplib.SMTPResponseException) as caught:
        client.sendmail(FROM, [TO], b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 1000)
    assert caught.value.smtp_code == 552
    assert run.lots() == 0
    client.sendmail(FROM, [TO], run.practice.message(1))
    client.quit()
    assert run.lots() == 1


def test_junk_is_kept_silent(start: Callable[..., Running]) -> None:
    """Any message is answered 250, so that the reply is no oracle; the reason is only in the local line."""
    run = start()
    client = smtplib.SMTP("127.0.0.1", run.receiver.port, timeout=5)
    client.sendmail(FROM, [TO], b"Subject: hello\r\n\r\nno lot\r\n")
    client.quit()
    assert run.lots() == 0
    run.said("E1000")


def test_connections_are_bounded(start: Callable[..., Running]) -> None:
    """Beyond the limit a peer hears 421; when one leaves, the next is let in."""
    run = start(limits=Limits(connections=2))
    first, second, third = (socket.create_connection(("127.0.0.1", run.receiver.port), 5) for _ in range(3))
    assert first.recv(100).startswith(b"220")
    assert second.recv(100).startswith(b"220")
    assert third.recv(100).startswith(b"421")
    for one in (first, second, third):
        one.close()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", run.receiver.port), 5) as again:
            if again.recv(100).startswith(b"220"):
                return
        time.sleep(0.02)
    pytest.fail("nobody was let in again")


def test_a_slow_peer_is_let_go(start: Callable[..., Running]) -> None:
    """A connection has a budget of time, however it trickles; a brisk one after it is served."""
    run = start(limits=Limits(session_seconds=0.3))
    with socket.create_connection(("127.0.0.1", run.receiver.port), 5) as slow:
        slow.recv(100)
        with pytest.raises(OSError):  # noqa: PT012
            for _ in range(100):
                slow.sendall(b"N")
                time.sleep(0.05)
    run.send(run.practice.message(1))
    assert run.lots() == 1


def test_reply_lost_keeps_the_lot(start: Callable[..., Running]) -> None:
    """The 250 never comes, the lot is there; sending the same bytes again is a repeat, not a second lot."""
    run = start(faults=("reply-lost:1",))
    raw = run.practice.message(1)
    with pytest.raises(Transient) as caught:
        run.send(raw)
    assert caught.value.uncertain
    assert run.lots() == 1
    run.send(raw)
    assert run.lots() == 1
    one, two = run.arls(2)
    assert one == two


def test_close_in_the_middle_keeps_nothing(start: Callable[..., Running]) -> None:
    """A connection closed inside DATA leaves no trace; the retry is a first reception."""
    run = start(faults=("close-mid-message:1",))
    raw = run.practice.message(1)
    with pytest.raises(Transient):
        run.send(raw)
    assert run.lots() == 0
    run.send(raw)
    assert run.lots() == 1


def test_refuse_and_slow(start: Callable[..., Running]) -> None:
    """A refused connection is transient; a slow reply arrives late and is still a 250."""
    run = start(faults=("refuse:1", "slow=0.3:1"))
    raw = run.practice.message(1)
    with pytest.raises(Transient):
        run.send(raw)
    before = time.monotonic()
    run.send(raw)
    assert time.monotonic() - before >= 0.3
    assert run.lots() == 1


def test_drop_and_duplicate(start: Callable[..., Running]) -> None:
    """A dropped ARL comes with the resend; a duplicated one is the same twice."""
    run = start(faults=("drop-arl:1",))
    raw = run.practice.message(1)
    run.send(raw)
    run.send(raw)
    [arl] = run.arls(1)
    run.receiver.faults.set("duplicate-arl:1")
    run.send(run.practice.message(2))
    found = run.arls(3)
    assert found[0] == arl
    assert found[1] == found[2] != arl


@pytest.mark.parametrize("fault", ["arl-wrong-digest:1", "arl-other-lot:1"])
def test_wrong_arl(start: Callable[..., Running], fault: str) -> None:
    """An ARL that names something else goes out; sending the lot again brings the true one."""
    run = start(faults=(fault,))
    lot = run.practice.lot(run.practice.fse(1))
    raw = run.practice.seal(lot).message
    run.send(raw)
    run.send(raw)
    wrong, true = run.arls(2)
    assert (wrong.digest, wrong.lot_number) != (true.digest, true.lot_number)
    assert true.lot_number == lot.header.numbers.lot_number
    assert wrong.compostage == true.compostage


def test_negative_on_demand(start: Callable[..., Running]) -> None:
    """The fault refuses one conform lot and schedules nothing for it; the next is accepted."""
    run = start(faults=("negative-arl:1",))
    for number in (1, 2):
        run.send(run.practice.message(number))
    assert [arl.positive for arl in run.arls(2)] == [False, True]
    assert run.receiver.ledger.rows("SELECT number FROM claim") == [(2,)]


def test_faults_are_checked_and_counted(tmp_path: Path) -> None:
    """An unknown fault is refused by name; a count runs out; the control file is obeyed when it changes."""
    with pytest.raises(InputError, match="unknown fault 'nonsense'"):
        Faults(["nonsense"])
    faults = Faults(["drop-arl:2"], tmp_path / "faults")
    assert [faults.take("drop-arl") is not None for _ in range(3)] == [True, True, False]
    (tmp_path / "faults").write_text("slow=1.5  # a slow line\n\nnegative-arl:1\n")
    faults.refresh()
    slow = faults.take("slow")
    assert slow is not None
    assert slow.value == 1.5
    assert faults.take("negative-arl") is not None
    assert faults.take("negative-arl") is None
    (tmp_path / "faults").unlink()
    faults.refresh()
    assert all(faults.take(name) is None for name in FAULTS)


def test_only_loopback_and_one_receiver_per_state(start: Callable[..., Running], tmp_path: Path) -> None:
    """The receiver listens nowhere but on loopback, and two cannot share a ledger; stopping frees it."""
    run = start()
    with pytest.raises(StoreError, match="another receiver"):
        start_receiver(run.config)
    with pytest.raises(InputError, match="loopback"):
        start(host="0.0.0.0")
    run.receiver.stop()
    run.receiver.stop()
    again = start_receiver(run.config)
    again.stop()


def test_days_can_be_short_or_be_advanced(start: Callable[..., Running]) -> None:
    """With a day of no length the payment follows the ARL; with real days `advance` brings it."""
    run = start()
    run.send(run.practice.message(1))
    assert run.receiver.ledger.rows("SELECT count(*) FROM noemie") == [(0,)]
    assert run.receiver.advance(5, 86_400) == 1
    quick = start(day_seconds=0.0)
    quick.send(quick.practice.message(2))
    for one in (run, quick):
        end = time.monotonic() + PATIENCE
        while not one.receiver.ledger.rows("SELECT 1 FROM noemie"):
            assert time.monotonic() < end
            time.sleep(0.02)
