"""The opposition list is fetched by the gateway: signed, in order, whole or not at all (A12)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest

from gateway.clock import SimulatedClock
from gateway.cms.signed import SoftwareSigner, sign
from gateway.errors import CardRefusal, ExchangeError, GatewayError, InputError, TrustError
from gateway.exchange.address import checked
from gateway.exchange.fetch import Answer, Fetcher
from gateway.lists import OppositionSource
from gateway.pki import OppositionList
from gateway.pki.opposition import FRESH_FOR, Opposition, encode_base, encode_update
from tools.pki.workbench import NOW, Workbench

DAY = timedelta(days=1)
EVERY = timedelta(minutes=10)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """An authority of the test's own."""
    return Workbench.make(tmp_path_factory.mktemp("lists"))


def serial(number: int) -> str:
    """A card."""
    return f"9925{number:016d}"


def entry(number: int) -> Opposition:
    """A stolen card."""
    return Opposition(serial(number), date(2026, 1, 15), "V")


@dataclass
class Publisher:
    """Publishes in memory what a receiver publishes over HTTP; `spoil` changes an answer on its way."""

    signer: SoftwareSigner
    clock: SimulatedClock
    present: OppositionList = field(init=False)
    updates: dict[int, bytes] = field(default_factory=dict)
    spoil: Callable[[str, Answer], Answer] = lambda path, answer: answer
    asked: list[str] = field(default_factory=list)
    base: str = "http://127.0.0.1:1"

    def __post_init__(self) -> None:
        self.present = OppositionList.parse(encode_base(1, self.clock.now(), [entry(1)]))

    def oppose(self, *numbers: int) -> None:
        """The update of the next day."""
        self.clock.advance(timedelta(hours=12))
        update = encode_update(self.present, self.clock.now(), [entry(one) for one in numbers], [])
        self.updates[self.present.number] = update
        self.present = self.present.apply(update)

    def get(self, path: str, limit: int) -> Answer:
        """One question."""
        self.asked.append(path)
        return self.spoil(path, self._answer(path))

    def _answer(self, path: str) -> Answer:
        if path == "/opposition":
            return self.signed(self.present.to_bytes())
        after = int(path.partition("?after=")[2])
        if after == self.present.number:
            return Answer(204, b"")
        if after not in self.updates:
            return Answer(404, b'{"code": "complete-list"}')
        return self.signed(self.updates[after])

    def signed(self, content: bytes) -> Answer:
        """What it signs."""
        return Answer(200, sign(content, self.signer, self.clock.now()))


@dataclass
class World:
    """A publisher, a gateway's source and its file."""

    publisher: Publisher
    source: OppositionSource
    file: Path
    clock: SimulatedClock

    @property
    def held(self) -> OppositionList:
        """What the file says."""
        return OppositionList.load(self.file)

    def refuse(self, match: str) -> None:
        """The next fetch is refused and the file keeps its bytes."""
        before = self.file.read_bytes()
        with pytest.raises(GatewayError, match=match) as refused:
            self.source.fetch()
        assert "the list held here stays" in str(refused.value)
        assert self.file.read_bytes() == before
        assert self.source.known.trouble

    def accept(self) -> None:
        """The next fetch leads to what is published."""
        self.publisher.spoil = lambda path, answer: answer
        self.source.fetch()
        assert self.held == self.publisher.present
        assert self.source.known.trouble == ""


@pytest.fixture
def world(bench: Workbench, tmp_path: Path) -> World:
    """The gateway holds version 1; two updates follow it."""
    clock = SimulatedClock(NOW)
    publisher = Publisher(bench.receiver.signer, clock)
    file = tmp_path / "opposition.txt"
    publisher.present.save(file)
    publisher.oppose(2)
    publisher.oppose(3, 4)
    trust = bench.trust
    source = OppositionSource(publisher, file, lambda: trust, clock, lambda n: b"\x80" * n, EVERY)  # type: ignore[arg-type]
    return World(publisher, source, file, clock)


def test_every_update_is_applied_in_order(world: World) -> None:
    """Two updates behind: both are asked for, one after the other, and the file holds the present list."""
    world.accept()
    assert world.publisher.asked == ["/opposition?after=1", "/opposition?after=2", "/opposition?after=3"]
    assert world.held.lookup(serial(4)) == entry(4)
    assert world.source.fetch() is None, "nothing is newer"


def test_without_a_way_the_complete_list_is_taken(world: World) -> None:
    """The publisher no longer keeps the update that follows: the complete list leads on."""
    del world.publisher.updates[1]
    world.accept()
    assert world.publisher.asked == ["/opposition?after=1", "/opposition"]


@pytest.mark.parametrize("content", [b"", b"OPPOSITION 1 BASE 1", None])
def test_a_missing_or_damaged_file_is_fetched_anew(world: World, content: bytes | None) -> None:
    """No list, or one that a power cut has torn: the complete one is fetched."""
    if content is None:
        world.file.unlink()
    else:
        world.file.write_bytes(content)
    world.accept()


def swapped(world: World, path: str, content: bytes) -> Callable[[str, Answer], Answer]:
    """Another signed content under this path."""
    return lambda asked, answer: world.publisher.signed(content) if asked == path else answer


def test_torn_reordered_and_rolled_back_updates_leave_the_list(world: World) -> None:
    """Signed or not, what does not follow changes nothing; the same publisher, well again, is believed."""
    publisher = world.publisher
    first, second = publisher.updates[1], publisher.updates[2]
    old = OppositionList.parse(encode_base(1, NOW - DAY, [])).to_bytes()
    for content in (first[:-1], first[:-14], second, first + b"x", b"", encode_base(9, NOW, [])):
        both = {"/opposition?after=1": content, "/opposition": old}
        publisher.spoil = lambda path, answer, both=both: publisher.signed(both[path] or b" ")
        world.refuse("opposition")
    world.accept()


def test_a_bad_update_beside_a_good_complete_list(world: World) -> None:
    """The way is broken: the complete list, newer and whole, is taken instead."""
    world.publisher.spoil = swapped(world, "/opposition?after=1", world.publisher.updates[2])
    world.source.fetch()
    assert world.held == world.publisher.present


def test_every_changed_byte_on_the_way_is_noticed(world: World) -> None:
    """One octet of the signed answer, anywhere, and neither update nor list is taken."""
    size = len(world.publisher.get("/opposition?after=1", 1).body)
    for at in range(0, size, 97):

        def flip(path: str, answer: Answer, at: int = at) -> Answer:
            body = bytearray(answer.body)
            if body:
                body[at % len(body)] ^= 1
            return Answer(answer.status, bytes(body))

        world.publisher.spoil = flip
        world.refuse("could not be opened and verified|does not lead|not an opposition|not follow|damaged")
    world.accept()


def test_only_a_receiver_may_publish(world: World, bench: Workbench) -> None:
    """The same bytes signed by a practitioner, or by nobody, are refused; by the receiver they pass."""
    update = world.publisher.updates[1]
    for body in (sign(update, bench.cps, world.clock.now()), update):
        world.publisher.spoil = lambda path, answer, body=body: Answer(200, body)
        world.refuse("could not be opened and verified")
    world.accept()


@pytest.mark.parametrize("status", [301, 401, 404, 500])
def test_a_publisher_that_does_not_publish(world: World, status: int) -> None:
    """Another status for both questions: said, tried later, nothing changed."""
    world.publisher.spoil = lambda path, answer: Answer(status, b"")
    world.refuse(f"answers {status}")
    world.accept()


def test_it_is_asked_now_and_then_and_sooner_after_a_failure(world: World) -> None:
    """Every ten minutes; after a failure the pauses begin short and grow, and never pass the ten minutes."""
    world.source.look()
    asked = len(world.publisher.asked)
    world.clock.advance(EVERY - timedelta(seconds=1))
    assert world.source.look() is None
    assert len(world.publisher.asked) == asked

    def down(path: str, answer: Answer) -> Answer:
        raise ExchangeError("nobody is there")

    world.publisher.spoil = down
    world.clock.advance(timedelta(seconds=1))
    gaps, last = list[float](), world.clock.monotonic()
    for _ in range(8000):
        try:
            world.source.look()
        except ExchangeError:
            gaps.append(world.clock.monotonic() - last)
            last = world.clock.monotonic()
        world.clock.advance(timedelta(seconds=1))
    assert gaps[0] == 0
    assert gaps[1:] == sorted(gaps[1:])
    assert gaps[1] <= 5 + 1
    assert gaps[-1] <= EVERY.total_seconds() + 1
    assert world.source.known.failures == len(gaps)


def test_a_list_that_is_not_renewed_ends_after_a_day(world: World) -> None:
    """The publisher is away: the list serves for 24 hours, then secured sheets are refused, and why."""
    world.accept()
    held, card = world.held, serial(77)
    held.check(card, world.clock.now())
    late = held.issued + FRESH_FOR + timedelta(seconds=1)
    with pytest.raises(TrustError, match="older than 24 hours") as stale:
        held.check(card, late)
    assert "\n" not in str(stale.value)
    with pytest.raises(CardRefusal):
        held.check(serial(4), late)


def test_a_full_disk_leaves_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new list cannot be written: the old one stays whole, and it is said."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.pki.opposition.os.fsync", full)
        world.refuse("No space left")
    world.accept()


# -- the line itself


@pytest.fixture
def peer() -> Iterator[Callable[[bytes], Fetcher]]:
    """Starts a peer that answers every connection with these bytes, and hangs up."""
    servers: list[socket.socket] = []

    def start(reply: bytes) -> Fetcher:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.recv(65536)
                    line.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        return Fetcher(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=2)

    yield start
    for server in servers:
        server.close()


def test_an_answer_is_bounded_and_whole(peer: Callable[[bytes], Fetcher]) -> None:
    """A body that fits is read; one that is too long, cut short, or no HTTP is refused in one sentence."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert peer(head + b"hello").get("/x", 5) == Answer(200, b"hello")
    for reply in (head + b"hel", b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"):
        with pytest.raises(ExchangeError) as refused:
            peer(reply).get("/x", 5)
        assert "\n" not in str(refused.value)
    with pytest.raises(ExchangeError, match="more than 4 octets"):
        peer(head + b"hello").get("/x", 4)
    moved = peer(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    assert moved.get("/x", 5).status == 302, "no redirect is followed"


@pytest.mark.parametrize(
    "base",
    ["", "ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://10.0.0.1:80", "http://example.test",
     "http://127.0.0.1:99999", "http://127.0.0.1/\r\nX: y", "http://user:secret@127.0.0.1",
     "http://127.0.0.1/?x=1", "http://349.01.rss.fr", "http://[::1", "http://127.0.0.1/é"],
)  # fmt: skip
def test_addresses_that_are_not_asked(base: str) -> None:
    """What is no address, not of this machine, or carries a password or a header; and their twins."""
    with pytest.raises(InputError) as refused:
        checked(base)
    assert "secret" not in str(refused.value)
    for good in ("http://127.0.0.1:8430", "http://localhost:1/lists", "http://[::1]:80"):
        checked(good)
    checked("https://lists.example.test", allow_remote=True)
