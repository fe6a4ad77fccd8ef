"""The receiver's local API: loopback and token, one sentence for every bad call, faults that really fire."""

from __future__ import annotations

import http.client
import json
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.clock import SimulatedClock
from gateway.errors import InputError
from gateway.exchange.smtp import SmtpSender, Transient
from tools.receiver.api import MAX_BODY, TOKEN_FILE
from tools.receiver.config import ReceiverConfig
from tools.receiver.faults import FAULTS
from tools.receiver.service import RunningReceiver, start_receiver

if TYPE_CHECKING:
    from conftest import Practice

JSON = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Client:
    """A receiver with its API, and who asks it."""

    practice: Practice
    state: Path
    receiver: RunningReceiver

    @property
    def token(self) -> str:
        """The token of the file."""
        return (self.state / TOKEN_FILE).read_text().strip()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, JSON]:
        """One call with the token; status and JSON."""
        raw = b"" if body is None else json.dumps(body).encode()
        return self.raw(method, path, raw, **{"Authorization": f"Bearer {self.token}"} | headers)

    def raw(self, method: str, path: str, body: bytes, **headers: str) -> tuple[int, JSON]:
        """One call as given."""
        assert self.receiver.api_port is not None
        link = http.client.HTTPConnection("127.0.0.1", self.receiver.api_port, timeout=5)
        try:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            assert answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def send(self, raw: bytes) -> None:
        """Hand over one lot by SMTP."""
        sender = SmtpSender("127.0.0.1", self.receiver.port, 5.0)
        try:
            sender.send("cabinet@practice.test", "01349@349.01.rss.fr", raw)
        finally:
            sender.close()


def refused(answer: tuple[int, JSON], status: int, word: str) -> None:
    """An error is one JSON object: one clear sentence, one word."""
    assert answer[0] == status, answer
    assert set(answer[1]) == {"error", "code"}
    assert answer[1]["code"] == word
    assert "\n" not in answer[1]["error"]
    assert answer[1]["error"]


@pytest.fixture
def start(practice: Practice, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Starts receivers with an API and stops them."""
    running: list[RunningReceiver] = []

    def make(**changes: object) -> Client:
        state = tmp_path / f"state{len(running)}"
        config = ReceiverConfig(practice.authority.directory, state, tmp_path / "mail", api_port=0)
        clock = SimulatedClock(practice.now)
        config = replace(config, clock=clock, say=lambda _: None, **changes)  # type: ignore[arg-type]
        running.append(start_receiver(config))
        return Client(practice, state, running[-1])

    yield make
    for one in running:
        one.stop()


@pytest.fixture
def client(start: Callable[..., Client]) -> Client:
    """A receiver with its API."""
    return start()


def test_the_token_is_private_and_needed(client: Client) -> None:
    """Nothing is told without the token of the 0600 file, whatever is asked; with it, everything."""
    path = client.state / TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": client.token}):
        for method, where in (("GET", "/status"), ("PUT", "/faults"), ("GET", "/nothing")):
            refused(client.raw(method, where, b"", **headers), 401, "token")
    assert client.ask("GET", "/status")[0] == 200


def test_a_page_in_a_browser_cannot_ask(client: Client) -> None:
    """A name that was bent to this machine is not a loopback address; the address and localhost are."""
    refused(client.ask("GET", "/status", Host="evil.example"), 403, "host")
    for host in ("127.0.0.1:1", "localhost", "[::1]:80"):
        assert client.ask("GET", "/status", Host=host)[0] == 200


def test_only_loopback(start: Callable[..., Client]) -> None:
    """Another address is refused at the start, and a port that is taken too; ::1 would do as well."""
    with pytest.raises(InputError, match="loopback"):
        start(host="0.0.0.0")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="for the API"):
        start(api_port=taken.getsockname()[1])
    assert start().ask("GET", "/status")[0] == 200


def test_without_a_port_there_is_no_api(start: Callable[..., Client]) -> None:
    """A receiver that was not asked for an API opens none and writes no token."""
    client = start(api_port=None)
    assert client.receiver.api_port is None
    assert not (client.state / TOKEN_FILE).exists()


BAD: dict[str, tuple[str, str, object, int, str]] = {
    "unknown path": ("GET", "/nothing", None, 404, "unknown"),
    "odd path": ("GET", "/faults/../status", None, 404, "unknown"),
    "wrong method": ("DELETE", "/status", None, 405, "method"),
    "no list": ("PUT", "/faults", {"faults": "slow"}, 400, "input"),
    "no texts": ("PUT", "/faults", {"faults": [1]}, 400, "input"),
    "more fields": ("PUT", "/faults", {"faults": [], "x": 1}, 400, "input"),
    "no object": ("PUT", "/faults", [1], 400, "input"),
    "unknown fault": ("POST", "/faults", {"faults": ["nonsense"]}, 400, "input"),
    "value of another kind": ("POST", "/faults", {"faults": ["drop-arl=3"]}, 400, "input"),
    "no SMTP error": ("POST", "/faults", {"faults": ["reply-mail=250"]}, 400, "input"),
    "no ARL code": ("POST", "/faults", {"faults": ["negative-arl=1234"]}, 400, "input"),
    "negative": ("POST", "/faults", {"faults": ["slow=-1"]}, 400, "input"),
    "count of zero": ("POST", "/faults", {"faults": ["slow:0"]}, 400, "input"),
    "one good, one bad": ("PUT", "/faults", {"faults": ["slow", "bad"]}, 400, "input"),
    "unknown fault to end": ("DELETE", "/faults/nonsense", None, 404, "unknown"),
    "days as text": ("POST", "/advance", {"days": "5"}, 400, "input"),
    "days below zero": ("POST", "/advance", {"days": -1}, 400, "input"),
    "days without end": ("POST", "/advance", {"days": 1e9}, 400, "input"),
    "no days": ("POST", "/advance", None, 400, "input"),
    "limit": ("GET", "/lots?limit=0", None, 400, "input"),
    "limit as text": ("GET", "/lots?limit=x", None, 400, "input"),
    "no such return": ("POST", "/returns/7/send", None, 404, "unknown"),
    "no such mail": ("GET", "/arl/2026112009300000001", None, 400, "input"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(client: Client, name: str) -> None:
    """Whatever is wrong with a call: its status, one sentence, one word, and nothing changed."""
    method, path, body, status, word = BAD[name]
    refused(client.ask(method, path, body), status, word)
    assert client.ask("GET", "/faults")[1]["faults"] == []


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"days": NaN}', b"[" * 10_000])
def test_a_body_that_is_none(client: Client, body: bytes) -> None:
    """Damaged, in another encoding, not a number, nested without end: one sentence each."""
    refused(client.raw("POST", "/advance", body, Authorization=f"Bearer {client.token}"), 400, "input")


def test_a_body_without_measure(client: Client) -> None:
    """Too long, or of unknown length: refused before it is read; a body at the limit is read."""
    token = {"Authorization": f"Bearer {client.token}"}
    refused(client.raw("PUT", "/faults", b"x" * (MAX_BODY + 1), **token), 413, "length")
    chunked = token | {"Transfer-Encoding": "chunked"}
    refused(client.raw("PUT", "/faults", b"0\r\n\r\n", **chunked), 411, "length")
    padded = json.dumps({"faults": []}).encode().ljust(MAX_BODY)
    assert client.raw("PUT", "/faults", padded, **token)[0] == 200


@pytest.mark.parametrize(
    "line", [b"nonsense\r\n\r\n", b"BREW /status HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 70_000]
)
def test_what_is_no_request(client: Client, line: bytes) -> None:
    """Bytes that are no request get JSON too, or a closed line; the next call is answered."""
    assert client.receiver.api_port is not None
    with socket.create_connection(("127.0.0.1", client.receiver.api_port), 5) as link:
        link.sendall(line + b"\r\n\r\n")
        said = b"".join(iter(lambda: link.recv(65_536), b""))
    assert b'"error"' in said
    assert b"Traceback" not in said
    assert client.ask("GET", "/status")[0] == 200


def test_faults_are_set_counted_and_ended(client: Client) -> None:
    """PUT replaces, POST adds, DELETE ends; what is left and what fired is told; all names are known."""
    status, said = client.ask("PUT", "/faults", {"faults": ["reply-end=452:2", "slow=0"]})
    assert (status, [one["fault"] for one in said["faults"]]) == (200, ["reply-end=452:2", "slow=0"])
    assert said["known"] == FAULTS
    with pytest.raises(Transient, match="452"):
        client.send(client.practice.message(1))
    said = client.ask("GET", "/faults")[1]
    assert said["faults"][0] == {"fault": "reply-end=452:1", "name": "reply-end", "value": 452.0, "left": 1}
    assert said["fired"] == {"reply-end": 1}
    assert [one["name"] for one in client.ask("POST", "/faults", {"faults": ["drop-arl"]})[1]["faults"]] == [
        "drop-arl", "reply-end", "slow",
    ]  # fmt: skip
    assert len(client.ask("DELETE", "/faults/drop-arl")[1]["faults"]) == 2
    assert client.ask("DELETE", "/faults")[1]["faults"] == []
    client.send(client.practice.message(1))
    assert client.ask("GET", "/status")[1]["lots_accepted"] == 1


def test_the_ledger_is_told(client: Client) -> None:
    """Lots, ARL for people and programs, accounts and returns; the calendar moves; nobody is named."""
    lot = client.practice.lot(client.practice.fse(1))
    client.send(client.practice.seal(lot).message)
    client.send(b"Subject: junk\r\n\r\nno lot\r\n")
    [found] = client.ask("GET", "/lots?limit=5")[1]["lots"]
    assert (found["positive"], found["compostage"]) == (True, lot.header.numbers.compostage)
    said = client.ask("GET", f"/arl/{found['compostage']}")[1]
    assert said["arl"][0]["positive"] is True
    assert "accepted, 1 invoices" in said["lines"][0]
    assert len(client.ask("GET", "/refusals")[1]["refusals"]) == 1
    assert client.ask("POST", "/advance", {"days": 5})[1] == {"moved": 1}
    end = time.monotonic() + 10
    while not (returns := client.ask("GET", "/returns")[1]["returns"]):
        assert time.monotonic() < end, "no return was made"
    assert (returns[0]["payer"], returns[0]["invoices"], returns[0]["paid_cents"]) == ("01-999-349", 1, 2100)
    assert client.ask("POST", "/returns/1/send")[1] == {"sent": 1}
    status = client.ask("GET", "/status")[1]
    assert status["accounts"][0]["paid_cents"] == status["paid_cents"] == 2100
    assert client.practice.fse(9).view().nir not in json.dumps([found, said, returns, status])


def test_a_connection_can_be_kept(client: Client) -> None:
    """Several calls on one connection, an error in between ends it in good order."""
    assert client.receiver.api_port is not None
    link = http.client.HTTPConnection("127.0.0.1", client.receiver.api_port, timeout=5)
    for path, status in (("/status", 200), ("/lots", 200), ("/nothing", 404), ("/status", 200)):
        link.request("GET", path, headers={"Authorization": f"Bearer {client.token}"})
        answer = link.getresponse()
        assert (answer.status, bool(json.loads(answer.read()))) == (status, True)
    link.close()


@pytest.mark.slow
def test_the_program_opens_the_api(present: Practice, tmp_path: Path) -> None:
    """`serve --api 0` says where the API listens and where its token is, and answers there."""
    places = {
        "--authority": present.authority.directory,
        "--state": tmp_path / "s",
        "--maildir": tmp_path / "m",
    }
    command = [sys.executable, "-m", "tools.receiver", "serve", "--port", "0", "--api", "0"]
    for option, path in places.items():
        command += [option, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        match = re.search(r"API on http://127\.0\.0\.1:(\d+), token in (\S+)", process.stdout.readline())
        assert match
        link = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=10)
        token = Path(match[2]).read_text().strip()
        link.request("GET", "/status", headers={"Authorization": f"Bearer {token}"})
        assert json.loads(link.getresponse().read())["lots"] == 0
        link.close()
        process.terminate()
        assert process.wait(20) == 0
