"""Each write is done once under its key, whatever is repeated, interrupted or asked at the same moment."""

from __future__ import annotations

import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from gateway.api.client import ApiProblem, Client
from gateway.cards.cps import CpsSession
from gateway.errors import StoreError
from gateway.secret import Secret
from gateway.store.store import Store
from tests.gateway.api.conftest import PIN, Rig, open_rig


def test_a_repeated_sheet_is_billed_once(rig: Rig, client: Client) -> None:
    """The same key and body: the same answer, one FSE; a new key: another FSE."""
    first, again = (client.bill(rig.act(), key="k") for _ in range(2))
    assert first == again
    assert len(rig.practice.store.fse_list()) == 1
    assert client.bill(rig.act(), key="k2")["number"] != first["number"]


def test_another_body_under_a_key_is_refused(rig: Rig, client: Client) -> None:
    """The same key with another body, or at another address, is 422 and does nothing."""
    client.bill(rig.act(), key="k")
    for other in (
        lambda: client.bill(rig.act(third_party="none"), key="k"),
        lambda: client.write("POST", "/lots", key="k"),
    ):
        with pytest.raises(ApiProblem) as refused:
            other()
        assert (refused.value.status, refused.value.code) == (422, "key-reused")
    assert [row.state for row in rig.practice.store.fse_list()] == ["SIGNED"]


def test_answers_outlive_the_gateway(rig: Rig, client: Client) -> None:
    """After a restart on the same store the same key still gives the same answer."""
    first = client.bill(rig.act(), key="k")
    act = rig.act()
    rig._stack.close()
    with ExitStack() as stack:
        later = open_rig_again(rig, stack)
        assert later.bill(act, key="k") == first


def open_rig_again(rig: Rig, stack: ExitStack) -> Client:
    """Another process, as it were, on the same folder with the same token."""
    (rig.bench.root / "tokens.json").unlink()
    again = open_rig(rig.bench, stack)
    return again.client()


def test_what_is_refused_frees_its_key(rig: Rig, client: Client) -> None:
    """No Vitale: refused and nothing kept; put in, the same request under the same key is billed."""
    card = rig.bench.card("vitale-family")
    rig.reader.slot("Vitale").remove()
    with pytest.raises(ApiProblem) as refused:
        client.bill(rig.act(), key="k")
    assert refused.value.code == "no-card"
    rig.reader.insert("Vitale", card)
    assert client.bill(rig.act(), key="k")["accepted"]


def test_sheet_and_answer_are_kept_together(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer cannot be kept the FSE is not either: the repeated request bills it, once."""
    real = Store.keep_answer

    def full(self: Store, kept: Any) -> None:
        raise StoreError("the disk is full: free some space", code="no-space")

    monkeypatch.setattr(Store, "keep_answer", full)
    with pytest.raises(ApiProblem) as refused:
        client.bill(rig.act(), key="k")
    assert (refused.value.status, refused.value.code) == (503, "no-space")
    assert rig.practice.store.fse_list() == []
    monkeypatch.setattr(Store, "keep_answer", real)
    client.bill(rig.act(), key="k")
    assert len(rig.practice.store.fse_list()) == 1


def test_at_the_same_moment_one_is_billed(rig: Rig, client: Client) -> None:
    """Eight of the same request at once: one FSE; each is answered the same, or that it is under way."""
    act = rig.act()

    def one(_: int) -> object:
        try:
            return rig.client().bill(act, key="k")["number"]
        except ApiProblem as problem:
            return problem.code

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(one, range(8)))
    assert len(rig.practice.store.fse_list()) == 1
    assert answers <= {1, 2, "key-busy"} | set(range(10))
    assert client.bill(act, key="k")["accepted"]


def test_two_programs_bill_at_once(rig: Rig, client: Client) -> None:
    """Different sheets at the same moment wait for the cards in turn: all are kept, no number twice."""
    act = rig.act()
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: rig.client().bill(act)["number"], range(8)))
    assert len(set(numbers)) == 8


def test_a_wrong_pin_is_not_tried_again(rig: Rig) -> None:
    """The repeated request gets the same refusal and costs no try; a new key with the right PIN opens."""
    client = rig.client()
    for _ in range(3):
        with pytest.raises(ApiProblem, match="2 tries are left") as refused:
            client.write("POST", "/session", {"pin": "9999"}, key="k")
        assert (refused.value.status, refused.value.code) == (403, "wrong-pin")
    assert client.open_session(PIN)["state"] == "open"


def test_the_last_try_has_to_be_meant(rig: Rig) -> None:
    """Two wrong PINs: a third is not sent to the card unless it says so; the right one then opens it."""
    client = rig.client()
    for _ in range(2):
        with pytest.raises(ApiProblem):
            client.open_session("9999")
    with pytest.raises(ApiProblem) as refused:
        client.open_session(PIN)
    assert (refused.value.status, refused.value.code) == (409, "last-try")
    assert client.open_session(PIN, last_try=True)["state"] == "open"


def test_a_pin_is_in_no_file_and_no_line(rig: Rig) -> None:
    """After right and wrong PINs no file, no line and no answer holds one, nor a digest to guess it from."""
    client = rig.client()
    with pytest.raises(ApiProblem):
        client.write("POST", "/session", {"pin": "8642", "last_try": False}, key="k")
    client.open_session(PIN)
    kept = rig.practice.store.kept_answer(rig.practice.id, "soft", "k")
    assert kept is not None
    body = json.dumps({"pin": "8642", "last_try": False}).encode()
    assert kept.request != rig.service.digest("POST", "/v1/session", body)
    held = b"".join(path.read_bytes() for path in Path(rig.bench.root).glob("gateway.db*"))
    assert b"8642" not in held + kept.body
    assert not [line for line in rig.said if "8642" in line or PIN in line]


def test_a_pin_is_a_secret(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the card's session is a Secret, never a text."""
    seen: list[object] = []
    monkeypatch.setattr(CpsSession, "verify_pin", lambda _self, pin: seen.append(pin))
    rig.client().open_session(PIN)
    assert [type(pin) for pin in seen] == [Secret]
    assert repr(seen[0]) == "Secret(***)"


def test_a_session_needs_one_way(rig: Rig) -> None:
    """No PIN, both ways, or a PIN that is not four digits: 422, and no word of what was given."""
    for body in ({}, {"pin": "1234", "pin_pad": True}, {"pin": "12345678"}, {"pin": 1234}, {"pin_pad": 1}):
        with pytest.raises(ApiProblem) as refused:
            rig.client().write("POST", "/session", body)
        assert refused.value.status == 422
        assert "1234" not in str(refused.value)


def test_a_broken_connection_is_asked_again_by_the_client(rig: Rig, client: Client) -> None:
    """The client whose connection broke asks again under the same key: one FSE."""
    client.bill(rig.act())
    client._connection.sock.close()
    client.bill(rig.act())
    assert len(rig.practice.store.fse_list()) == 2


def test_locking_waits_for_the_sheet_in_hand(rig: Rig, client: Client) -> None:
    """A session closed while sheets are billed: each sheet is whole or refused, never half."""
    stop, done = threading.Event(), list[object]()

    def bill_on() -> None:
        mine = rig.client()
        while not stop.is_set():
            try:
                done.append(mine.bill(rig.act())["number"])
            except ApiProblem as problem:
                done.append(problem.code)

    thread = threading.Thread(target=bill_on)
    thread.start()
    while len(done) < 2:
        stop.wait(0.01)
    client.close_session()
    while not isinstance(done[-1], str):
        stop.wait(0.01)
    stop.set()
    thread.join()
    numbers = {number for number in done if isinstance(number, int)}
    assert {row.number for row in rig.practice.store.fse_list()} == numbers
    assert {code for code in done if isinstance(code, str)} <= {"pin-needed", "slot-taken", "card-removed"}


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    """The gateway dies behind the head of its answer: the same request goes out once more, under its key."""
    whole = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"number":1}'
    asked: list[bytes] = []

    def serve(server: socket.socket) -> None:
        for answer in (whole[:-12], whole[:-5], whole, whole):
            peer, _ = server.accept()
            with peer:
                asked.append(peer.recv(65_536))
                peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        with Client("127.0.0.1", server.getsockname()[1], "token", timeout=20) as client:
            with pytest.raises(HTTPException):  # broken off twice: the caller decides
                client.cancel(1)
            assert client.cancel(1) == {"number": 1}
            client.close()
            assert client.cancel(1) == {"number": 1}
        thread.join()
    keys = [re.search(rb"Idempotency-Key: (\w+)", one)[1] for one in asked]  # type: ignore[index]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
