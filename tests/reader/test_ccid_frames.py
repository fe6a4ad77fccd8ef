"""CCID messages: the bytes of the standard, both ways, and nothing else accepted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.ccid import frames
from reader.ccid.frames import Answer, CcidError, Command, Error, Icc, ParametersT0, ParametersT1, Type

byte = st.integers(0, 255)
data = st.binary(max_size=300)

COMMANDS = [
    (frames.power_on(1, 7, 2), "62 00000000 01 07 02 0000"),
    (Command(Type.POWER_OFF, 0, 255), "63 00000000 00 FF 000000"),
    (frames.transfer(0, 3, b"\x00\xb0\x00\x00\x05"), "6F 05000000 00 03 00 0000 00B0000005"),
    (frames.transfer(2, 4, b"", waiting=9, level=0x0102), "6F 00000000 02 04 09 0201"),
    (frames.set_parameters(0, 5, ParametersT0(0x13)), "61 05000000 00 05 00 0000 130000 0A 00"),
    (frames.set_parameters(0, 6, ParametersT1()), "61 07000000 00 06 01 0000 1110004D002000"),
    (frames.secure(4, 8, b"\x00\x1e"), "69 02000000 04 08 000000 001E"),
]


@pytest.mark.parametrize(("command", "text"), COMMANDS)
def test_commands_are_these_bytes(command, text):
    """Each command has the header of its clause, little-endian, and is read back the same."""
    raw = bytes.fromhex(text)
    assert command.to_bytes() == raw
    assert Command.parse(raw) == command


def test_an_answer_says_what_happened():
    """Card state, failure and the wish for time are read from bStatus."""
    answer = Answer.parse(bytes.fromhex("80 02000000 01 09 00 00 00 9000"))
    assert (answer.icc, answer.failed, answer.wants_time, answer.data) == (
        Icc.ACTIVE,
        False,
        False,
        b"\x90\0",
    )
    failed = Answer.parse(bytes.fromhex("80 00000000 01 09 42 FE 00"))
    assert (failed.icc, failed.failed, failed.error) == (Icc.ABSENT, True, Error.ICC_MUTE)
    assert Answer.parse(bytes.fromhex("80 00000000 01 09 80 05 00")).wants_time


@given(kind=byte, slot=byte, seq=byte, rest=st.binary(min_size=3, max_size=3), body=data)
@settings(max_examples=200, deadline=None)
def test_both_ways(kind, slot, seq, rest, body):
    """Whatever the fields, what was written is what is read."""
    command = Command(kind, slot, seq, rest, body)
    assert Command.parse(command.to_bytes()) == command
    answer = Answer(kind, slot, seq, *rest, body)
    assert Answer.parse(answer.to_bytes()) == answer


@given(st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_only_whole_messages_are_read(raw):
    """Any bytes are a message whose dwLength is exact, or a CcidError; nothing else."""
    for kind in (Command, Answer):
        try:
            message = kind.parse(raw)
        except CcidError:
            assert len(raw) < 10 or int.from_bytes(raw[1:5], "little") != len(raw) - 10
        else:
            assert message.to_bytes() == raw


@pytest.mark.parametrize("size", [0, 4, 6, 8])
def test_parameters_of_another_length_are_refused(size):
    """Five bytes for T=0, seven for T=1; their twins of the right length are read."""
    assert ParametersT0.parse(ParametersT0(0x96).to_bytes()).speed == 0x96
    assert ParametersT1.parse(ParametersT1(ifsc=254).to_bytes()).ifsc == 254
    for kind in (ParametersT0, ParametersT1):
        with pytest.raises(CcidError):
            kind.parse(bytes(size))


def test_every_command_has_its_answer():
    """The table names an answer for each command type, and only answer types."""
    commands = {kind for kind in Type if 0x60 <= kind < 0x80}
    assert set(frames.ANSWERED_BY) == commands
    assert all(0x80 <= answer < 0x90 for answer in frames.ANSWERED_BY.values())
