"""Two practices in one gateway, each with its desk and its token: every route works for both, apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.api.client import ApiProblem, Client
from gateway.api.server import serving
from gateway.api.service import Service
from gateway.api.tokens import Tokens
from gateway.clock import SystemClock, system_rng
from gateway.daemon import Daemon
from gateway.desk import Desk
from gateway.exchange.calendar import legal_day
from gateway.exchange.mailbox import Maildir
from gateway.inbox import Inbox
from gateway.seat import Seat
from gateway.sitting import Sitting
from reader.emulated import EmulatedReader
from tests.gateway.api.conftest import Relay
from tools.bench import Bench

PIN = "1234"
CARDS = {"nord": ("cps-gp-sector1", "vitale-family"), "sud": ("cps-gp-sector2", "vitale-single")}
SHEET = {"date": "2026-03-02", "practitioner": {"specialty": "01", "convention": "1"},
         "beneficiary": {"birth_date": "1980-05-01"}, "acts": [{"code": "G"}]}  # fmt: skip


@dataclass
class Two:
    """The gateway: practices nord and sud with a desk each, est without a reader; a client of each."""

    daemon: Daemon
    nord: Client
    sud: Client
    est: Client
    relay: Relay
    port: int

    def act(self, **changes: Any) -> dict[str, Any]:
        """A care act of today."""
        return {"date": legal_day(SystemClock().now()).isoformat(), "acts": [{"code": "G"}], **changes}


@pytest.fixture(scope="module")
def many(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world with the cards of a second practice."""
    root = tmp_path_factory.mktemp("many") / "bench"
    shutil.copytree(world, root)
    Bench(root).make_cards([card for cards in CARDS.values() for card in cards])
    return root


@pytest.fixture
def two(many: Path, tmp_path: Path) -> Iterator[Two]:
    """A gateway of its own for each test, both CPS locked."""
    root = tmp_path / "bench"
    shutil.copytree(many, root)
    bench, said, relay = Bench(root), list[str](), Relay()
    with ExitStack() as stack:
        first = bench.practice(practice="nord")
        stack.enter_context(closing(first.store))
        seats = []
        for name in ("nord", "sud", "est"):
            practice = replace(first, id=name, address=f"{name}@practice.test")
            seat = Seat(
                practice, None, Inbox(root / name), Maildir(root / f"mail-{name}"), said.append, has_api=True
            )
            if cards := CARDS.get(name):
                reader = stack.enter_context(EmulatedReader())
                for slot, card in zip(("CPS", "Vitale"), cards, strict=True):
                    reader.insert(slot, bench.card(card))
                seat.desk, seat.reader = Desk(reader), f"desk-{name}"
                seat.desk.sitting = Sitting(practice.clock, timedelta(hours=1), 100)
            seats.append(seat)
        daemon = Daemon(seats, relay, said.append)
        tokens = Tokens(root / "tokens.json")
        port = stack.enter_context(serving(Service(daemon, tokens), "127.0.0.1", 0))
        clients = [
            stack.enter_context(
                closing(Client("127.0.0.1", port, tokens.new(name, name, SystemClock(), system_rng)))
            )
            for name in ("nord", "sud", "est")
        ]
        yield Two(daemon, *clients, relay, port)


def refused(ask: Callable[[], object]) -> tuple[int, str]:
    """The status and the code of a refusal."""
    with pytest.raises(ApiProblem) as problem:
        ask()
    return problem.value.status, problem.value.code


def test_each_has_its_own_reader(two: Two) -> None:
    """A practice sees its own reader by its name; one without a reader sees none."""
    assert [one["name"] for one in two.nord.readers()] == ["desk-nord"]
    assert [one["name"] for one in two.sud.readers()] == ["desk-sud"]
    assert two.est.readers() == []
    assert {slot["name"]: slot["card_present"] for slot in two.sud.readers()[0]["slots"]} == {
        "Vitale": True,
        "CPS": True,
    }


def test_a_pin_opens_one_desk_only(two: Two) -> None:
    """The session, the rights, the attestation and closing belong to the desk of the token."""
    assert two.nord.open_session(PIN)["state"] == "open"
    assert two.sud.session()["state"] == "locked"
    assert two.nord.rights()["persons"]
    assert refused(two.sud.rights) == (409, "pin-needed")
    two.sud.open_session(PIN)
    assert two.sud.attestation()["beneficiary"]
    two.nord.close_session()
    assert (two.nord.session()["state"], two.sud.session()["state"]) == ("locked", "open")


def test_tries_left_are_those_of_one_desk(two: Two) -> None:
    """Two wrong PINs at one desk leave one try there, asked for with care, and all three at the other."""
    for _ in range(2):
        assert refused(lambda: two.nord.open_session("0000")) == (403, "wrong-pin")
    assert refused(lambda: two.nord.open_session(PIN)) == (409, "last-try")
    assert refused(lambda: two.sud.open_session("0000")) == (403, "wrong-pin")
    assert two.sud.open_session(PIN)["state"] == "open"
    assert two.nord.open_session(PIN, last_try=True)["state"] == "open"


def test_sheets_lots_and_trails_stay_apart(two: Two) -> None:
    """Both bill number 1; neither sees, cancels, closes or releases what is the other's."""
    for client in (two.nord, two.sud):
        client.open_session(PIN)
        assert client.bill(two.act(third_party="amo"))["number"] == 1
    two.sud.bill(two.act())
    assert [len(client.sheets()["items"]) for client in (two.nord, two.sud, two.est)] == [1, 2, 0]
    assert refused(lambda: two.nord.sheet(2)) == (404, "unknown")
    assert refused(lambda: two.nord.cancel(2)) == (404, "unknown")
    assert two.sud.cancel(2)["state"] == "CANCELLED"
    (lot,) = two.nord.close_lots()
    assert two.sud.lots()["items"] == []
    assert two.sud.sheet(1)["state"] == "SIGNED"
    assert refused(lambda: two.sud.lot(lot["id"])) == (404, "unknown")
    assert refused(lambda: two.sud.write("POST", f"/lots/{lot['id']}/release")) == (404, "unknown")
    assert two.nord.lot(lot["id"])["sheets"] == [1]
    for client in (two.nord, two.sud, two.est):
        assert client.get("/payments")["items"] == []
        assert client.get("/refusals") == {"items": [], "next": None, "unmatched": []}
    own, other = (client.get("/audit", limit=200, verify=True) for client in (two.nord, two.sud))
    assert own["whole"] > 0
    assert any(record["ref"] == lot["id"] for record in own["items"])
    assert not any(record["ref"] == lot["id"] for record in other["items"])


def test_sending_tells_of_ones_own_lots(two: Two) -> None:
    """Who asks to send has every due lot sent, and hears of its own only."""
    for client in (two.nord, two.sud):
        client.open_session(PIN)
        client.bill(two.act())
        client.close_lots()
    assert two.est.send_lots()["sent"] == 0
    assert len(two.relay.taken) == 2
    two.nord.bill(two.act())
    two.nord.close_lots()
    assert two.nord.send_lots()["sent"] == 1
    assert [lot["state"] for lot in two.sud.lots()["items"]] == ["SENT"]


def test_events_tell_of_ones_own(two: Two) -> None:
    """Cards and sessions of one's own desk, changes of one's own sheets."""
    two.nord.open_session(PIN)
    two.nord.bill(two.act())
    own, other, none = (
        [(event.name, event.data) for event in client.events(0, last="0")]
        for client in (two.nord, two.sud, two.est)
    )
    assert ("session", {"state": "open"}) in own
    assert ("session", {"state": "locked"}) in other
    assert any(event == "fse" for event, _ in own)
    assert not any(event == "fse" for event, _ in other)
    assert none == []


def test_signing_later_at_ones_own_desk(two: Two) -> None:
    """A sheet that waits for the CPS is signed by its own practice, and not by the other."""
    two.nord.open_session(PIN)
    two.sud.open_session(PIN)
    number = two.nord.bill(two.act(mode="desynchronised"))["number"]
    assert two.sud.sign() == []
    assert two.nord.sign() == [number]


def test_without_a_reader_what_needs_no_card_works(two: Two) -> None:
    """A practice without a reader prices, lists, sends; what needs a card is refused in one sentence."""
    assert two.est.price(SHEET)["base_cents"] > 0
    assert two.est.sheets()["items"] == []
    for ask in (
        two.est.session,
        lambda: two.est.open_session(PIN),
        two.est.rights,
        lambda: two.est.bill(two.act()),
        two.est.close_lots,
        two.est.sign,
    ):
        assert refused(ask) == (409, "no-reader")


def test_a_degraded_sheet_without_a_reader(two: Two) -> None:
    """The mode that needs no card: refused for a place never seen, made for one that is known here."""
    two.sud.open_session(PIN)
    attested = two.sud.attestation()
    place = two.sud.session()["places"][0]["billing_number"]
    act = two.act(mode="degraded", attestation=attested, practitioner={"place": place})
    assert refused(lambda: two.est.bill(act)) == (422, "place-unknown")
    two.sud.bill(two.act())
    seats = {seat.id: seat for seat in two.daemon.seats}
    known = seats["sud"].practice.store.place_of("sud", place)
    two.daemon.store.keep_place("est", place, known)
    made = two.est.bill(act)
    assert made["mode"] == "degraded"
    assert two.est.twin(made["number"])


def test_a_token_of_a_practice_elsewhere(two: Two, tmp_path: Path) -> None:
    """A practice of the store that is none of this gateway: its lists are empty, its desk is refused."""
    tokens = Tokens(tmp_path / "bench" / "tokens.json")
    token = tokens.new("west", "west", SystemClock(), system_rng)
    with Client("127.0.0.1", two.port, token) as west:
        assert west.sheets()["items"] == []
        for ask in (
            west.readers,
            west.session,
            lambda: west.bill(two.act()),
            west.close_lots,
            west.send_lots,
        ):
            assert refused(ask) == (403, "other-practice")
