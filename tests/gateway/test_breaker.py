"""A line that fails again and again is left alone but for one lot now and then; nothing else waits for it."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.delivery import send_due
from gateway.exchange.breaker import LONGEST, ONE_TRY, OPENS, Breaker, Lane, LineState, failed
from gateway.exchange.retry import Backoff
from gateway.exchange.smtp import Permanent, Transient
from gateway.lots.sealing import SealedLot
from tests.gateway.store.line import LEASE, PRACTICE, START, Line

RELAY = "127.0.0.1:2525"
GENERAL, MSA = "349.01.rss.fr", "110.02.rss.fr"
SECOND = timedelta(seconds=1)


def half(count: int) -> bytes:
    """Chance that always lies in the middle."""
    return b"\x80" * count


@dataclass
class Network:
    """A relay behind which domains are well or not; every attempt is noted by its domain."""

    line: Line
    down: bool = False
    ill: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """One attempt."""
        domain = envelope_to.partition("@")[2]
        self.tried.append(domain)
        if self.down:
            raise Transient("The relay cannot be reached (Connection refused).", unreached=True)
        if domain in self.ill:
            raise Transient(f"The relay did not take the message at RCPT TO (450 {domain} is full).")
        self.taken.append(raw)

    def lot(self, domain: str = GENERAL) -> SealedLot:
        """A new lot for that domain."""
        store = self.line.store
        numbers = self.line.keep()
        sealed = replace(self.line.seal(numbers), recipient=f"01000@{domain}")
        store.keep_lot(PRACTICE, sealed, numbers)
        return sealed

    def turn(self, lane: Lane = Lane.ALL, pause: timedelta = SECOND) -> list[str]:
        """One pass, then time; the domains that were tried in it."""
        before = len(self.tried)
        send_due(self.line.store, self, self.line.clock, half, relay=RELAY, lane=lane)
        self.line.clock.advance(pause)
        return self.tried[before:]

    def breaker(self, name: str) -> Breaker | None:
        """What the store knows of a line."""
        return next((one for one in self.line.store.breakers() if one.name == name), None)

    def hold(self, name: str, domain: str = GENERAL) -> None:
        """Fail until the line is held."""
        while (known := self.breaker(name)) is None or not known.is_held:
            self.lot(domain)
            self.turn()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A store and its network."""
    line = Line(tmp_path / "var")
    yield Network(line)
    line.store.close()


def test_pauses_grow_with_jitter_and_have_a_bound() -> None:
    """From half a second to a quarter of an hour; half of each pause is certain; never beyond the cap."""
    line, now = None, START
    pauses = []
    for chance in [b"\x00", b"\x80", b"\xff"] * 12:
        line = failed(line, RELAY, "no", now, Backoff(), lambda count, chance=chance: chance * count)
        pause = line.next_attempt_at - now
        waited = max(SECOND, now - line.since)
        assert min(LONGEST, waited) / 2 <= pause <= min(LONGEST, waited)
        pauses.append(pause)
        now = line.next_attempt_at
    assert pauses[0] < SECOND
    assert LONGEST / 2 <= pauses[-1] <= LONGEST
    assert line is not None
    assert line.failures == len(pauses)


def test_the_three_states() -> None:
    """Four failures hold nothing; the fifth opens the line; at its time it is half-open."""
    line: Breaker | None = None
    for count in range(1, OPENS + 1):
        line = failed(line, RELAY, "no", START, Backoff(), half)
        assert line.state(START) is (LineState.OPEN if count == OPENS else LineState.CLOSED)
    assert line is not None
    assert line.state(line.next_attempt_at - timedelta(microseconds=1)) is LineState.OPEN
    assert line.state(line.next_attempt_at) is LineState.HALF_OPEN
    assert "one lot is tried at" in line.says(START)
    assert "one lot is tried now" in line.says(line.next_attempt_at)


def test_a_clock_that_was_set_back_holds_no_line_for_long() -> None:
    """The clock went back by a year: the line is tried at once instead of in a year."""
    line = Breaker(RELAY, OPENS, START, START + SECOND, "no")
    assert line.state(START) is LineState.OPEN
    assert line.state(START - timedelta(days=365)) is LineState.HALF_OPEN


def test_a_relay_that_is_down_is_not_hammered_lot_by_lot(network: Network) -> None:
    """A hundred lots wait: five attempts open the line, then one lot at a time is tried, ever more rarely."""
    for _ in range(100):
        network.lot()
    network.down = True
    while network.breaker(RELAY) is None or not network.breaker(RELAY).is_held:  # type: ignore[union-attr]
        network.turn()
    assert len(network.tried) == OPENS
    for _ in range(200):
        assert len(network.turn()) <= 1
    assert len(network.tried) - OPENS <= 10, "minutes of passes, a few attempts"


def test_a_relay_is_down_for_days(network: Network) -> None:
    """Three days: an attempt every 8 to 15 minutes, nothing parked; back again, all leave, once each."""
    lots = [network.lot() for _ in range(30)]
    network.down = True
    for _ in range(3 * 24 * 12):
        network.turn(pause=timedelta(minutes=5))
    assert 3 * 24 * 4 <= len(network.tried) <= 3 * 24 * 9
    assert network.line.store.counts().lots["PARKED"] == 0
    assert {row.attempts for row in network.line.store.lot_list()} == {0}
    network.down = False
    network.line.clock.advance(LONGEST)
    assert len(network.turn()) == 1, "one lot is tried"
    network.turn()
    network.turn()
    assert sorted(network.taken) == sorted(lot.message for lot in lots)
    assert network.line.store.breakers() == []


def test_a_domain_that_fails_holds_up_no_other(network: Network) -> None:
    """One domain refuses for hours: every new lot for the other one leaves in the very next pass."""
    network.ill = {MSA}
    network.hold(MSA, MSA)
    waiting = network.line.store.counts().lots["SEALED"]
    tried = 0
    for _ in range(40):
        lot = network.lot(GENERAL)
        tried += network.turn(pause=timedelta(minutes=3)).count(MSA)
        assert network.line.lot_state(lot.id) == "SENT"
    assert tried <= 20, "two hours of passes"
    assert network.breaker(RELAY) is None, "the relay works"
    network.ill = set()
    network.line.clock.advance(LONGEST)
    assert network.turn() == [MSA]
    network.turn()
    assert network.tried[-waiting + 1 :] == [MSA] * (waiting - 1)


def test_an_old_failure_is_no_business_of_new_work(network: Network) -> None:
    """The lane for new work tries no lot that failed and no domain that is doubted; the other one does."""
    network.ill = {MSA}
    network.lot(MSA)
    assert network.turn(Lane.FRESH) == [MSA], "nobody knows yet"
    network.lot(MSA)
    network.lot(GENERAL)
    assert network.turn(Lane.FRESH, timedelta(hours=1)) == [GENERAL]
    assert network.turn(Lane.AGAIN) == [MSA, MSA]


def test_a_first_failure_gives_the_rest_of_the_domain_to_the_other_lane(network: Network) -> None:
    """Ten new lots for a domain that hangs: new work loses the time of one of them, not of all."""
    for _ in range(10):
        network.lot(MSA)
    network.lot(GENERAL)
    network.ill = {MSA}
    assert network.turn(Lane.FRESH) == [MSA, GENERAL]
    assert [row.attempts for row in network.line.store.lot_list()].count(0) == 10


def test_a_line_outlives_the_gateway(network: Network) -> None:
    """Started again, the gateway knows the held line and its reason, and tries it once, at once."""
    network.ill = {MSA}
    network.hold(MSA, MSA)
    before, now = network.breaker(MSA), network.line.clock.now()
    assert before is not None
    network.line.reopen()
    assert network.breaker(MSA) == replace(before, next_attempt_at=now)
    assert network.turn() == [MSA]
    assert network.turn(pause=timedelta()) == []


def test_a_kill_in_the_one_try_holds_nothing_up(network: Network) -> None:
    """The gateway dies while it tries a held line: started again it tries at once, and all leave."""
    network.ill = {MSA}
    network.hold(MSA, MSA)
    network.line.clock.advance(LONGEST)
    assert len(network.line.store.claim_due(network.line.clock.now(), 20, LEASE, RELAY)) == 1
    network.ill = set()
    network.line.reopen()
    assert network.turn() == [MSA]
    assert network.breaker(MSA) is None


def test_the_one_try_of_a_domain_is_not_spent_on_a_relay(network: Network) -> None:
    """The relay is away at that moment: when it is back the domain is tried at once, not in a minute."""
    network.ill = {MSA}
    network.hold(MSA, MSA)
    network.line.clock.advance(LONGEST)
    network.down = True
    assert network.turn() == [MSA]
    network.down, network.ill = False, set()
    network.lot(MSA)
    assert network.turn() == [MSA]
    assert network.breaker(MSA) is None


def test_next_attempt_and_reason_are_shown(network: Network) -> None:
    """A new lot for a held line shows when that line is tried and why it waits; so does the line itself."""
    network.ill = {MSA}
    network.hold(MSA, MSA)
    lot, other = network.lot(MSA), network.lot(GENERAL)
    line = network.breaker(MSA)
    assert line is not None
    rows = {row.id: row for row in network.line.store.lot_list()}
    assert (rows[lot.id].next_attempt_at, rows[lot.id].reason) == (line.next_attempt_at, line.reason)
    assert "450" in rows[lot.id].reason
    assert rows[other.id].reason == ""
    assert network.line.store.lot(PRACTICE, lot.id) == rows[lot.id]
    assert f"{MSA} is open: 5 failures" in network.line.store.status()


def test_a_lot_refused_for_good_says_nothing_about_its_line(network: Network) -> None:
    """550 for one lot after another parks them; the line to their domain stays as it was."""
    network.send = lambda *_: (_ for _ in ()).throw(Permanent("550 no such organism"))  # type: ignore[method-assign]
    for _ in range(OPENS + 1):
        network.lot()
        send_due(network.line.store, network, network.line.clock, half, relay=RELAY)
    assert network.line.store.counts().lots["PARKED"] == OPENS + 1
    assert network.line.store.breakers() == []


def test_a_domain_that_is_ill_parks_nobodys_lot_before_a_day(network: Network) -> None:
    """Its lots fail while another domain's leave: they wait, none of them is to blame."""
    network.ill = {MSA}
    network.lot(MSA)
    for _ in range(100):
        network.lot(GENERAL)
        network.turn(pause=timedelta(minutes=5))
    assert network.line.store.counts().lots["PARKED"] == 0


def test_one_try_at_a_time(network: Network) -> None:
    """While the one lot of a half-open line is under way nothing else is tried on it, for a minute."""
    network.ill = {MSA}
    network.hold(MSA, MSA)
    network.line.clock.advance(LONGEST)
    store, clock = network.line.store, network.line.clock
    claimed = [store.claim_due(clock.now(), 20, LEASE, RELAY) for _ in range(3)]
    assert [len(rows) for rows in claimed] == [1, 0, 0]
    clock.advance(ONE_TRY)
    assert len(store.claim_due(clock.now(), 20, LEASE, RELAY)) == 1, "whoever took it has died"


def test_the_one_try_waits_for_a_lot(network: Network) -> None:
    """A relay's time has come and no lot waits: the try is not spent, and the next lot leaves at once."""
    network.down = True
    network.hold(RELAY)
    line, store, clock = network.breaker(RELAY), network.line.store, network.line.clock
    for row in store.claim_due(clock.now() + timedelta(days=1), 20, LEASE):
        store.park(row.id, "looked at by hand")
    assert line is not None
    clock.advance(LONGEST)
    assert network.turn() == []
    assert network.breaker(RELAY) == line
    network.down = False
    network.lot()
    assert network.turn() == [GENERAL]
    assert network.breaker(RELAY) is None


class LinesMachine(RuleBasedStateMachine):
    """send_due against a model that counts failures in a row of each line, whatever happens in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.network = Network(Line(Path(self.folder.name)))
        self.failures: Counter[str] = Counter()
        self.made: dict[bytes, str] = {}

    @initialize(down=st.booleans())
    def begin(self, down: bool) -> None:
        """The relay is there, or not."""
        self.network.down = down

    @rule(domain=st.sampled_from((GENERAL, MSA)), count=st.integers(1, 7))
    def make(self, domain: str, count: int) -> None:
        """New lots."""
        for _ in range(count):
            lot = self.network.lot(domain)
            self.made[lot.message] = lot.id

    @rule(down=st.booleans(), ill=st.sets(st.sampled_from((GENERAL, MSA))))
    def weather(self, down: bool, ill: set[str]) -> None:
        """The network changes."""
        self.network.down, self.network.ill = down, ill

    @rule(seconds=st.sampled_from((1, 20, 300, 901)))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.network.line.clock.advance(timedelta(seconds=seconds))

    @rule()
    def restart(self) -> None:
        """The gateway stops and starts."""
        self.network.line.reopen()

    @rule(lane=st.sampled_from(Lane))
    def send(self, lane: Lane) -> None:
        """One pass: what is held is left alone, what is half-open is tried once, new work leaves."""
        network, now = self.network, self.network.line.clock.now()
        states = {line.name: line.state(now) for line in network.line.store.breakers()}
        fresh = [
            row for row in network.line.store.lot_list() if not row.attempts and row.failing_since is None
        ]
        tried = network.turn(lane, timedelta())
        relay = states.get(RELAY, LineState.CLOSED)
        if relay is LineState.OPEN or (relay is LineState.HALF_OPEN and lane is Lane.FRESH):
            assert tried == []
        if relay is LineState.HALF_OPEN:
            assert len(tried) <= 1
        for domain in (GENERAL, MSA):
            if relay is not LineState.CLOSED:
                continue
            assert states.get(domain) is not LineState.OPEN or domain not in tried
            assert states.get(domain) is not LineState.HALF_OPEN or tried.count(domain) <= 1
            seen_ill = domain in network.ill and not network.down
            assert tried.count(domain) <= (1 if lane is Lane.FRESH and seen_ill else 20)
        self.count(tried)
        well = not network.down and relay is LineState.CLOSED and not network.ill and not states
        if well and lane is not Lane.AGAIN and len(fresh) <= 20:
            sent = {row.id for row in network.line.store.lot_list() if row.state.value == "SENT"}
            assert {row.id for row in fresh if row.state.value == "SEALED"} <= sent

    def count(self, tried: list[str]) -> None:
        """The model's own count of failures in a row."""
        for domain in tried:
            if self.network.down:
                self.failures[RELAY] += 1
                continue
            self.failures.pop(RELAY, None)
            if domain in self.network.ill:
                self.failures[domain] += 1
            else:
                self.failures.pop(domain, None)

    @invariant()
    def lines_are_those_of_the_model(self) -> None:
        """Name by name, the store counts what the model counts."""
        assert {one.name: one.failures for one in self.network.line.store.breakers()} == self.failures

    @invariant()
    def nothing_is_lost_or_changed(self) -> None:
        """Every lot is there, and only sealed bytes have left, each once."""
        assert len(self.network.line.store.lot_list(limit=10_000)) == len(self.made)
        assert max(Counter(self.network.taken).values(), default=0) <= 1
        assert set(self.network.taken) <= set(self.made)

    def teardown(self) -> None:
        """All is well again: everything leaves but what a person has to look at."""
        self.network.down, self.network.ill = False, set()
        for _ in range(20):
            self.network.turn(pause=LONGEST)
        states = Counter(row.state.value for row in self.network.line.store.lot_list(limit=10_000))
        assert states["SENT"] + states["PARKED"] == len(self.made)
        assert self.network.line.store.breakers() == []
        self.network.line.store.close()
        self.folder.cleanup()


TestLines = LinesMachine.TestCase
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # each step is a transaction or several
TestLines.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, phases=WITHOUT_SHRINKING
)


class Hanging:
    """A relay that hangs until it is told to go on."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Wait."""
        self.asked.set()
        assert self.go_on.wait(30)
        raise Transient("451 at last")


def test_new_work_leaves_while_an_old_failure_hangs(network: Network) -> None:
    """An old lot hangs in its own lane: a new one leaves meanwhile, over the other connection."""
    network.ill = {MSA}
    network.lot(MSA)
    network.turn(Lane.FRESH, timedelta(minutes=1))
    hanging, store, clock = Hanging(), network.line.store, network.line.clock
    beside = threading.Thread(
        target=lambda: send_due(store, hanging, clock, half, relay=RELAY, lane=Lane.AGAIN)
    )
    beside.start()
    assert hanging.asked.wait(30)
    lot = network.lot(GENERAL)
    assert network.turn(Lane.FRESH) == [GENERAL]
    assert network.line.lot_state(lot.id) == "SENT"
    hanging.go_on.set()
    beside.join()
