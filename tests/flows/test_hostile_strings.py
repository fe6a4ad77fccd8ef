"""Strings that want to be more, from settings, cards, relays and returns: each beside its twin."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.clock import system_rng
from gateway.config import example_config, parse_config
from gateway.delivery import collect, send_due
from gateway.errors import GatewayError, InputError
from gateway.exchange.message import parse
from gateway.exchange.smtp import SmtpSender
from gateway.log import Event, Log
from gateway.lots.organism import Complementary
from gateway.office import bill_act
from gateway.returns import opener
from tests.flows.test_without_vitale import attestation, care
from tests.gateway.store.line import PRACTICE as LINE_PRACTICE
from tests.gateway.store.line import Box, Line
from tools.bench import PRACTICE

if TYPE_CHECKING:
    from tests.flows.flow import Flow

HOSTILE = {
    "a header of its own": "x\r\nBcc: thief@evil.test",
    "a line": "x\nX-Other: y",
    "a carriage return": "x\rX-Other: y",
    "an end": "x\0",
    "an escape": "x\x1b[2J",
    "two addresses": "x@y.test,z",
    "an angle": "x>\r\nRCPT TO:<z",
    "a blank": "x y",
    "an accent": "é.test",
    "a separator": "x\u2028y",
    "a percent": "x%y",
    "markup": "<script>alert(1)</script>",
}


def written(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(("key", "good"), [("address", "cabinet@practice.test"), ("id", "cabinet")])
def test_settings_take_no_such_name(tmp_path: Path, name: str, key: str, good: str) -> None:
    """An address or a short name with more in it is refused with its line; a good one loads."""
    text = example_config()
    assert f'{key} = "{good}"' in text
    bad = good.replace("practice.test", HOSTILE[name]) if "@" in good else HOSTILE[name]
    with pytest.raises(InputError, match=rf"line \d+, {key} of \[practice\]") as refused:
        parse_config(text.replace(f'{key} = "{good}"', f"{key} = {written(bad)}"), tmp_path)
    assert "thief" not in str(refused.value)
    assert str(refused.value).isprintable()
    assert getattr(parse_config(text, tmp_path).practice, key) == good


@pytest.mark.parametrize("name", HOSTILE)
def test_a_card_names_no_such_insurer(name: str) -> None:
    """The domain of 109.9 is the name of a mail server or nothing is sealed for it."""
    with pytest.raises(InputError, match=r"109\.9") as refused:
        Complementary("0099999998", HOSTILE[name])
    assert str(refused.value).isprintable()
    assert Complementary("0099999998", "amc.test").address == "0099999998@amc.test"


def test_such_an_insurer_is_refused_before_anything_is_kept(flow: Flow) -> None:
    """An attestation whose insurer has a header in its domain: nothing is kept; its twin makes a demand."""
    flow.unlock()
    shown = attestation("vitale-complementary", kind="attestation")
    shown["attestation"] = {day: shown["card"][day] for day in ("start", "end")}
    del shown["card"]
    asked = {"mode": "without-vitale", "third_party": "full", "complementary": "amc"}
    good = json.loads(json.dumps(shown))
    shown["beneficiary"][0]["amc"]["domain"] = HOSTILE["a header of its own"]
    with pytest.raises(InputError, match=r"109\.9|domain"):
        bill_act(flow.practice, flow.desk, care(flow, attestation=shown, **asked))
    assert flow.practice.store.fse_list() == []
    assert bill_act(flow.practice, flow.desk, care(flow, attestation=good, **asked)).demand


@pytest.fixture
def rude() -> Iterator[int]:
    """A relay that answers every recipient with control characters, markup and a forged line."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line, line.makefile("rb") as said:
                    line.sendall(b"220 here\r\n")
                    for command in said:
                        if command.upper().startswith(b"RCPT"):
                            line.sendall(b"450 <script>\x1b[2J\x00\xe9\x85lot X is PARKED: \x08forged\r\n")
                        else:
                            line.sendall(b"250 ok\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_what_a_relay_says_is_one_plain_line(tmp_path: Path, rude: int) -> None:
    """Its words stand in reason, status and log, on one line and without a control character."""
    line = Line(tmp_path / "var")
    numbers = line.keep()
    lot = replace(line.seal(numbers), message=b"a mail\r\n")
    line.store.keep_lot(LINE_PRACTICE, lot, numbers)
    send_due(line.store, SmtpSender("127.0.0.1", rude, timeout=5), line.clock, system_rng)
    (row,) = line.store.lot_list()
    assert row.reason.isprintable()
    assert "450 <script>" in row.reason
    assert all(one.isprintable() for one in line.store.status().split("\n"))
    assert sum(one.startswith(f"lot {lot.id}") for one in line.store.status().split("\n")) == 1
    stream = io.StringIO()
    Log(stream, line.clock, format="json")(Event(row.reason, "x", lot=row.id))
    assert stream.getvalue().count("\n") == 1
    assert "450 <script>" in json.loads(stream.getvalue())["says"]
    line.store.close()


def test_what_comes_back_writes_no_line_of_its_own(flow: Flow) -> None:
    """A return with such a Subject or sender is kept as unreadable, with a reason of one plain line."""
    box = Box()
    for name, text in HOSTILE.items():
        head = f"From: {text}@evil.test\r\nTo: cabinet@practice.test\r\nSubject: {text}\r\n\r\n"
        box.waiting[name] = head.encode("utf-8", "replace") + b"AAAA\r\n"
        with pytest.raises(GatewayError) as refused:
            parse(box.waiting[name])
        assert str(refused.value).isprintable()
    done = collect(flow.practice.store, box, opener(flow.practice), PRACTICE)
    assert (done.unreadable, len(box.finished)) == (len(HOSTILE), len(HOSTILE))
    kept = flow.practice.store.unmatched()
    assert len(kept) == len(HOSTILE)
    assert all(one.reason.isprintable() and "evil" not in one.reason for one in kept)
