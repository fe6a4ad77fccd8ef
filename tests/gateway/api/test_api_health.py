"""Watching a gateway: what probes and Prometheus read, judged by Prometheus' own parser; nobody is in it."""

from __future__ import annotations

import http.client
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.api.client import ApiProblem, Client
from gateway.clock import SimulatedClock
from gateway.errors import StoreError
from gateway.exchange.smtp import Transient
from gateway.health import Fact, alive, ready, told
from gateway.metrics import CARD_SECONDS, MOST_SERIES, OTHER, REFUSALS, Metrics
from gateway.store.store import Store
from tests.gateway.api.conftest import PIN, Rig

PREFIX = "vitale_gateway_"


def get(rig: Rig, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body, without any token."""
    line = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=20)
    try:
        line.request(method, path)
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


def samples(rig: Rig) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, as Prometheus' own parser reads it."""
    status, text = get(rig, "/metrics")
    assert status == 200
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation for family in families)
    found = [sample for family in families for sample in family.samples]
    made = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in found}
    assert len(made) == len(found), "a sample comes twice"
    return made


def value(rig: Rig, name: str, **labels: str) -> float:
    """One sample; 0 when there is none."""
    return samples(rig).get((PREFIX + name, tuple(sorted(labels.items()))), 0.0)


def probe(rig: Rig, path: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a probe."""
    status, text = get(rig, path)
    return status, json.loads(text)


def test_a_well_gateway(rig: Rig) -> None:
    """Both probes say 200 without a token, and name what they looked at."""
    for path in ("/healthz", "/readyz"):
        status, answer = probe(rig, path)
        assert (status, answer["status"], answer["problems"]) == (200, "ok", [])
    assert set(probe(rig, "/readyz")[1]["checks"]) == {
        "loops", "store", "disk", "clock", "opposition", "revocation",
    }  # fmt: skip


def test_a_visit_is_counted(rig: Rig, client: Client) -> None:
    """One FSE, one lot, one send, one refusal: each is one in the metrics, under words of the program."""
    rig.service.daemon.turn()
    client.bill(rig.act())
    with pytest.raises(ApiProblem):
        client.bill(rig.act(acts=[{"code": "NOSUCH"}]))
    client.close_lots()
    client.send_lots()
    assert value(rig, "fse_total", mode="3", state="SIGNED") == 1
    assert value(rig, "fse_total", mode="3", state="SENT") == 1
    assert value(rig, "lots_total", state="SENT") == 1
    assert value(rig, "sends_total", outcome="sent") == 1
    assert value(rig, "retries_total") == 0
    assert value(rig, "refusals_total", by="api", code="input") == 1
    assert value(rig, "queue_lots", state="SENT") == 1
    assert value(rig, "api_requests_total", method="POST", route="/fse", status="201") == 1
    assert value(rig, "api_request_seconds_count", method="POST", route="/fse") == 2
    assert value(rig, "card_seconds_count", operation="visit", outcome="done") == 1
    assert value(rig, "ready", check="store") == 1
    assert value(rig, "certificate_days_left", what="the receiver's certificate") > 300
    assert value(rig, "opposition_age_seconds") >= 0
    assert any(name.endswith("resident_memory_bytes") for name, _ in samples(rig))


def test_counters_never_go_back(rig: Rig, client: Client) -> None:
    """Looked at again, each counter is what it was or more."""
    first = samples(rig)
    client.bill(rig.act())
    later = samples(rig)
    counters = [key for key in first if key[0].endswith(("_total", "_count", "_bucket"))]
    assert counters
    assert [key for key in counters if later[key] < first[key]] == []


def test_a_relay_that_is_down_is_seen_and_keeps_nobody_from_work(rig: Rig, client: Client) -> None:
    """The line is open, the queue grows old, retries count; the gateway is ready all the same."""

    def down(*_: object) -> None:
        raise Transient("The relay cannot be reached (Connection refused).", unreached=True)

    rig.relay.send = down  # type: ignore[method-assign]
    for _ in range(6):
        client.bill(rig.act())
        client.close_lots()
        client.send_lots()
    assert value(rig, "breakers", state="open") == 1
    assert value(rig, "line_failures", line="relay") == 5
    assert value(rig, "sends_total", outcome="failed") == 5
    assert value(rig, "queue_lots", state="SEALED") == 6
    assert value(rig, "queue_oldest_seconds") >= 0
    status, answer = probe(rig, "/readyz")
    assert status == 200
    assert any("relay is open: 5 failures" in says for says in answer["told"])


UNWELL = {
    "store": "disk is full",
    "disk": "MB are free",
    "loops": "no sign of life from the loop send",
    "opposition": "older than 24 hours",
}


@pytest.mark.parametrize("check", UNWELL)
def test_what_is_not_well_is_one_sentence(rig: Rig, monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    """Each of them alone: 503, the check that failed, one sentence that says what to do; then well again."""
    daemon = rig.service.daemon
    with monkeypatch.context() as patch:
        if check == "store":
            refusal = StoreError("the disk is full: make room", code="no-space")
            patch.setattr(Store, "check_writable", lambda self: (_ for _ in ()).throw(refusal))
        elif check == "disk":
            patch.setattr("gateway.health.LEAST_FREE", 2**62)
        elif check == "loops":
            daemon.pulse.beat("send")
            patch.setattr(daemon.pulse, "hanging", lambda: ["send"])
        else:
            patch.setattr("gateway.pki.opposition.FRESH_FOR", timedelta(seconds=-1))
        status, answer = probe(rig, "/readyz")
        assert (status, answer["status"]) == (503, "unwell")
        assert [name for name, well in answer["checks"].items() if not well] == [check]
        (sentence,) = answer["problems"]
        assert UNWELL[check] in sentence
        assert "\n" not in sentence
        assert value(rig, "ready", check=check) == 0
        assert probe(rig, "/healthz")[0] == (503 if check == "loops" else 200)
    assert probe(rig, "/readyz")[0] == 200


def test_nobody_is_named(rig: Rig, client: Client) -> None:
    """After a visit, a refusal and a stranger's token: no NIR, name, card, PIN or token anywhere."""
    rights, session = client.rights(), client.session()
    client.bill(rig.act())
    for token in (rig.stranger, "nobody"):
        with pytest.raises(ApiProblem):
            rig.client(token).rights()
    get(rig, "/v1/fse/2801962643002?nir=2801962643002")
    get(rig, "/2801962643002/DUPONT", "BREW")
    text = "".join(get(rig, path)[1] for path in ("/metrics", "/healthz", "/readyz"))
    people = [person[key] for person in rights["persons"] for key in ("name", "first_name", "nir")]
    holder = [session["practitioner"], session["national_id"], session["places"][0]["billing_number"]]
    canaries = {rights["nir"], rights["card"], *people, *holder, *session["practitioner"].split()}
    canaries.discard("")
    assert len(canaries) >= 8
    for canary in (*canaries, "2801962643002", "DUPONT", "BREW", f'"{PIN}"', rig.token, rig.stranger):
        assert canary not in text, canary


def test_labels_do_not_grow(rig: Rig) -> None:
    """A thousand addresses and methods that do not exist are a handful of series."""
    before = len(samples(rig))
    for number in range(60):
        get(rig, f"/v1/{number}/x{number}")
        get(rig, f"/nowhere-{number}", f"M{number}")
    assert len(samples(rig)) - before < 80, "one route, one method, with its buckets"
    metrics = Metrics(SimulatedClock(rig.practice.clock.now()))
    for number in range(MOST_SERIES * 3):
        metrics.count(REFUSALS, "receipt", f"C{number}")
    series = metrics.counts()[REFUSALS]
    assert len(series) == MOST_SERIES + 1
    assert series[OTHER, OTHER] == MOST_SERIES * 2


def test_work_with_cards_is_timed_by_its_outcome(rig: Rig) -> None:
    """Done, refused, and a mistake of the program each have a series of their own."""
    clock = SimulatedClock(rig.practice.clock.now())
    metrics = Metrics(clock)
    for problem in (None, StoreError("no"), ZeroDivisionError()):
        with pytest.raises(type(problem)) if problem else metrics.of_card("rest"):
            if problem:
                with metrics.of_card("visit"):
                    clock.advance(timedelta(seconds=0.3))
                    raise problem
    with metrics.of_card("visit"):
        clock.advance(timedelta(seconds=40))
    times = metrics.times()[CARD_SECONDS]
    assert times["visit", "refused"].seconds == pytest.approx(0.3)
    assert times["visit", "mistake"].count == 1
    assert times["visit", "done"].classes[-1] == 1, "beyond the last bound"


def test_facts_are_the_same_without_the_api(rig: Rig) -> None:
    """The page and the command line ask the same functions."""
    daemon = rig.service.daemon
    [loops] = alive(daemon)
    assert loops == Fact("loops", True, loops.says)
    assert loops.says.endswith("loops at work")
    assert all(fact.is_well for fact in (*ready(daemon), *told(daemon)))


def test_a_scrape_is_quick(rig: Rig, client: Client) -> None:
    """A scrape holds nothing up: far below the timeout of any Prometheus."""
    client.bill(rig.act())
    began = time.monotonic()
    for _ in range(5):
        samples(rig)
    assert time.monotonic() - began < 10
