"""The trace names every exchange and shows nothing of anybody."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from reader.slot import Slot
from reader.trace import Trace, describe_answer, describe_command

NIR, NAME, PIN = "295195912345678", "DUPONTEST", "1234"

LINES = [
    ("00A4040C0BD250000002564954414C45", "SELECT 040C D250000002564954414C45"),
    ("00A40204022F0200", "SELECT 0204 2F02 Le 256"),
    ("00A40404" + "0F" + NIR.encode().hex(), "SELECT 0404 15 bytes"),
    ("0020000108" + PIN.encode().hex() + "FFFFFFFF", "VERIFY 0001 data ****"),
    ("00200001", "VERIFY 0001"),
    ("0024000110" + "31" * 16, "CHANGE REFERENCE DATA 0001 data ****"),
    ("002C020108" + "31" * 8, "RESET RETRY COUNTER 0201 data ****"),
    ("00B0010000", "READ BINARY 0100 Le 256"),
    ("00D6000004" + "31323334", "UPDATE BINARY 0000 4 bytes"),
    ("002A9E9A20" + "00" * 32 + "00", "PSO COMPUTE DIGITAL SIGNATURE 9E9A 32 bytes Le 256"),
    ("102A00AE01FF", "CLA 10 PSO VERIFY CERTIFICATE 00AE 1 bytes"),
    ("002A010201FF", "PERFORM SECURITY OPERATION 0102 1 bytes"),
    ("80990000", "CLA 80 INS 99 0000"),
    ("0020", "(2 bytes that are not a command)"),
]


@pytest.mark.parametrize(("command", "line"), LINES)
def test_commands_in_words(command, line):
    """Each command is named with its parameters and lengths; only SELECT shows what it names."""
    assert describe_command(bytes.fromhex(command)) == line


def test_answers_in_words():
    """An answer is its status in words and a length."""
    assert describe_answer(bytes.fromhex("AABB9000")) == "9000 normal processing, 2 bytes"
    assert describe_answer(bytes.fromhex("63C2")) == "63C2 2 tries left"
    assert describe_answer(b"\x90") == "(1 bytes that are not an answer)"


def test_a_line_per_exchange(scripted):
    """Power-on, both halves of a corrected read: one line each, also given to the sink at once."""
    said: list[str] = []
    trace = Trace(said.append)
    slot = Slot("CPS")
    slot.observe(trace)
    slot.insert(scripted(["6C02", "41429000"]))
    slot.connect().transmit(CommandAPDU(0, 0xB0, 0, 0, b"", 256))
    assert (
        list(trace.lines())
        == said
        == [
            "CPS    POWER ON → ATR 3B 00",
            "CPS    READ BINARY 0000 Le 256 → 6C02 wrong Le, 2 bytes available",
            "CPS    READ BINARY 0000 Le 2 → 9000 normal processing, 2 bytes",
        ]
    )


def encodings(secret: str) -> set[str]:
    text = secret.encode()
    return {secret, text.hex(), text.hex().upper(), text.hex(" "), text.hex(" ").upper(), repr(text)[2:-1]}


@settings(max_examples=300, deadline=None)
@given(
    ins=st.integers(0, 255).filter(lambda ins: ins != 0xA4),
    prefix=st.binary(max_size=8),
    secret=st.sampled_from([NIR, NAME, PIN]),
    suffix=st.binary(max_size=8),
)
def test_canaries_never_reach_the_trace(ins, prefix, secret, suffix):
    """A NIR, a name or a PIN in the data of any command or answer appears in no encoding (promise A11)."""
    trace = Trace()
    payload = prefix + secret.encode() + suffix
    trace("Vitale", CommandAPDU(0, ins, 0, 0, payload, 256).to_bytes(), payload + b"\x90\x00")
    line = trace.lines()[0]
    shown = {s for s in encodings(secret) if s in line}
    assert not shown


@pytest.mark.parametrize("secret", [NIR, NAME])
def test_select_by_name_does_not_leak_text(secret):
    """A SELECT whose name is text, not an AID, is shown as a length."""
    line = describe_command(CommandAPDU(0, 0xA4, 4, 0, secret.encode()).to_bytes())
    assert not {s for s in encodings(secret) if s in line}


def test_the_trace_keeps_no_bytes():
    """Only finished lines are kept, and a bounded number of them."""
    trace = Trace()
    for _ in range(10_050):
        trace("CPS", bytes.fromhex("00200001"), b"\x90\x00")
    assert len(trace.lines()) == 10_000
    assert all(isinstance(line, str) for line in trace.lines())
