"""Promises A4, B9 and B10: a receiver and a network that misbehave; each day ends with every lot settled.

Real cards, the real line, the real receiver behind a real socket; only back-off and calendar are hurried.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from gateway.clock import system_rng
from gateway.lots.sealing import Envelope, seal_content
from tests.journey.day import Day
from tools.bench import ADDRESS

ORGANISM = "01349@349.01.rss.fr"


def test_a_good_day(day: Day) -> None:
    """The twin of all that follows: two lots leave once and are acknowledged."""
    day.start()
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED"))
    assert day.sent == [lot.message for lot in day.sealed]
    day.judge()


def test_the_receiver_is_down_then_up(day: Day) -> None:
    """Down for long after a good hour: nothing is parked, status says why, all leave when it is back."""
    day.start()
    day.lots(1)
    day.until(day.all_are("ACKNOWLEDGED"))
    port = day.stop()
    day.lots(2)
    for _ in range(40):
        day.turn()
    assert day.states() == ["ACKNOWLEDGED", "SEALED", "SEALED"]
    assert "cannot be reached" in day.practice.store.status()
    day.start(port=port)
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge()


@pytest.mark.parametrize(
    "faults",
    [("refuse:3",), ("slow=1:2", "drop-arl:2"), ("close-mid-message:2",), ("reply-lost:2", "drop-arl:2")],
)
def test_the_line_breaks(day: Day, faults: tuple[str, ...]) -> None:
    """Refused, slower than our deadline, cut in the middle, the last reply lost: the same bytes again."""
    day.start(*faults)
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED"))
    assert len(day.sent) > 2
    day.judge()


@pytest.mark.parametrize("fault", ["slow=1:2", "reply-lost:2"])
def test_the_arl_is_faster_than_the_reply(day: Day, fault: str) -> None:
    """An ARL that comes although the relay never said 250 is believed: the lot never goes again."""
    day.start(fault)
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED"))
    before = len(day.sent)
    for _ in range(10):
        day.turn()
    assert len(day.sent) == before
    day.judge()


def test_the_arl_is_doubled(day: Day) -> None:
    """An ARL that comes twice is posted once."""
    day.start("duplicate-arl:1")
    day.lots()
    day.until(lambda: day.seen.repeated == 1)
    assert (day.seen.posted, len(day.sent)) == (1, 1)
    day.judge()


@pytest.mark.parametrize(
    ("fault", "unmatched"), [("drop-arl:1", 0), ("arl-wrong-digest:1", 1), ("arl-other-lot:1", 1)]
)
def test_the_true_arl_does_not_come(day: Day, fault: str, unmatched: int) -> None:
    """Lost, of another digest or lot: nothing moves, and after two working days the lot goes again."""
    day.start(fault)
    day.lots(2)
    day.until(lambda: "ACKNOWLEDGED" in day.states() and day.seen.unmatched == unmatched)
    assert sorted(day.states()) == ["ACKNOWLEDGED", "SENT"]
    day.pass_silent_days()
    day.until(day.all_are("ACKNOWLEDGED"))
    assert len(day.sent) == 3
    day.judge(unmatched=unmatched)


def test_the_arl_is_negative(day: Day) -> None:
    """A refused lot is REJECTED with class and code, its FSE with it; the other lot is not touched."""
    day.start("negative-arl:1")
    day.lots(2)
    day.until(day.all_are("ACKNOWLEDGED", "REJECTED"))
    reasons = {row.reason for row in day.practice.store.fse_list() if row.state.value == "REJECTED"}
    assert len(reasons) == 1
    assert "code 2003" in reasons.pop()
    day.judge(rejected=1)


class Proxy:
    """An SMTP relay's wire: `change` sees what the client sends, connection by connection; None cuts it."""

    def __init__(self, target: int, change: Callable[[bytes], bytes | None]) -> None:
        self._target, self._change = target, change
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for source, sink, change in ((client, server, self._change), (server, client, bytes)):
                    threading.Thread(target=_pump, args=(source, sink, change), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes | None]) -> None:
    with suppress(OSError):
        while (data := source.recv(1 << 20)) and (changed := change(data)) is not None:
            sink.sendall(changed)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@dataclass
class Flip:
    """Changes one octet of the first mail that passes, at `find(mail)`; every later mail passes whole."""

    find: Callable[[bytes], int]
    held: bytes = b""
    done: bool = False

    def __call__(self, data: bytes) -> bytes:
        if self.done or not (self.held or b"Subject:" in data):
            return data
        self.held += data
        if not self.held.endswith(b"\r\n.\r\n"):
            return b""
        self.done, mail = True, bytearray(self.held)
        place = self.find(self.held)
        mail[place] = ord("8") if mail[place] != ord("8") else ord("9")
        return bytes(mail)


def in_subject(field_number: int) -> Callable[[bytes], int]:
    """The last octet of one field of the subject."""

    def find(mail: bytes) -> int:
        start = mail.index(b"Subject: ") + len(b"Subject: ")
        fields = mail[start : mail.index(b"\r\n", start)].split(b"/")
        return start + len(b"/".join(fields[: field_number + 1])) - 1

    return find


CORRUPTIONS = {
    "sender": in_subject(1),
    "compostage": in_subject(2),
    "count": in_subject(3),
    "header-name": lambda mail: mail.index(b"Content-Type") + 2,
    "first-line": lambda mail: mail.index(b"\r\n\r\n") + 10,
    "middle": lambda mail: mail.index(b"\r\n", len(mail) // 2) - 9,
    "last-line": lambda mail: len(mail) - 20,
}


@pytest.mark.parametrize("place", CORRUPTIONS)
def test_one_octet_changes_on_the_way(day: Day, place: str) -> None:
    """Whatever octet is hit, the damaged mail does not count as ours: the sealed bytes go again."""
    day.start()
    proxy = Proxy(day.door, Flip(CORRUPTIONS[place]))
    day.stack.callback(proxy.close)
    day.door = proxy.port
    day.lots()
    assert day.receiver is not None
    refused = "SELECT count(*) FROM refusal"
    day.until(lambda: day.receiver is not None and day.receiver.ledger.rows(refused) == [(1,)])
    day.turn()
    day.turn()
    assert day.states() == ["SENT"], "an ARL about damaged bytes moved our lot"
    day.pass_silent_days()
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge(unmatched=day.practice.store.counts().unmatched)


def test_the_network_doubles_every_lot(day: Day) -> None:
    """Each lot is handed over twice: one claim each, the same ARL again is harmless."""
    day.start()
    day.lots(2)
    for lot in day.sealed:
        day.send(lot.sender, lot.recipient, lot.message)
    day.until(lambda: day.all_are("ACKNOWLEDGED")() and day.seen.posted + day.seen.repeated == 4)
    assert day.seen.posted == 2
    day.judge()


def test_junk_and_bombs_at_the_receiver(day: Day) -> None:
    """Junk, a bomb of 32 MB in 32 KB, half a lot: refused, and no answer to them moves a lot of ours."""
    day.start()
    (lot,) = day.lots()
    now = day.clock.now()
    stranger = day.bench.authority.software_cps("899999999990", now)
    outside = Envelope(ADDRESS, ORGANISM, "0" * 14, "2026010100000000001", 1, "SESAM/FSE/Z")
    bomb = seal_content(
        bytes(32 << 20), outside, recipient_certificate=day.practice.receiver_certificate,
        policy=day.practice.policy, signer=stranger, rng=system_rng, now=now,
    )  # fmt: skip
    assert len(bomb) < 100_000
    half = lot.message[: len(lot.message) // 2].rpartition(b"\r\n")[0] + b"\r\n"
    for junk in (b"Subject: junk\r\n\r\nnothing\r\n", bomb, half, b"\r\n"):
        day.send(ADDRESS, ORGANISM, junk)
    day.sent.clear()
    day.until(day.all_are("ACKNOWLEDGED"))
    assert day.receiver is not None
    assert day.receiver.ledger.rows("SELECT count(*) FROM refusal") == [(4,)]
    day.judge(unmatched=day.practice.store.counts().unmatched)


def test_the_receiver_restarts_in_between(day: Day) -> None:
    """Taken before, answered after: a receiver that was down in between still knows every lot."""
    day.start("drop-arl")
    day.lots(2)
    day.until(day.all_are("SENT"))
    day.start(port=day.stop())
    day.lots(1)
    day.until(lambda: day.states()[2] == "ACKNOWLEDGED")
    day.pass_silent_days()
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge()


def test_one_lot_is_poison(day: Day) -> None:
    """A lot at which the relay always breaks is parked with its reason; released, the same bytes arrive."""
    day.start()
    poison, good = day.lots(2)
    mark = poison.compostage.encode()
    proxy = Proxy(day.door, lambda data: None if mark in data else data)
    day.stack.callback(proxy.close)
    straight, day.door = day.door, proxy.port
    day.until(lambda: sorted(day.states()) == ["ACKNOWLEDGED", "PARKED"])
    assert day.sent.count(poison.message) == 5
    assert day.sent.count(good.message) == 1
    day.judge(parked=1)
    day.door = straight
    day.practice.store.release(poison.id, "the relay was mended")
    day.until(day.all_are("ACKNOWLEDGED"))
    day.judge()
