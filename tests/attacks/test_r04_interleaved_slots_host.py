"""R4, a reader that lies to its host: what one slot says arrives while the other one is asked.

A practitioner's card and a patient's card share a line: no byte of one may ever be taken for the other's.
"""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from card.iso7816.apdu import CommandAPDU
from reader.serial.gempc import framed
from tests.reader.byte_cards import EchoCard
from tests.reader.host_bench import LyingStream, emulated, reader_on

READ = CommandAPDU(0, 0xB0, 0, 0, b"", 32)
SLOT, SEQ = 5, 6


class OneByte(EchoCard):
    """Every byte it gives is the same."""

    def __init__(self, byte: int) -> None:
        super().__init__()
        self.byte = byte

    def transmit(self, apdu: bytes) -> bytes:
        return bytes((self.byte,)) * (apdu[4] or 256) + b"\x90\x00"


@given(
    st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(0, 3), max_size=4)), max_size=20),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_answers_of_the_other_slot_in_between(commands, renumber):
    """Old answers of both slots, renumbered as the command or not, before the true one: never mixed up."""
    stream = emulated("gemcoresimpro2", OneByte(0xAA), OneByte(0xBB), kind=LyingStream)
    with reader_on(stream) as reader:
        connections = [slot.connect() for slot in reader.slots]
        past: tuple[list[bytes], list[bytes]] = ([], [])
        for number, others in commands:

            def mixed(frame: bytes, number: int = number, others: list[int] = others) -> bytes:
                before = []
                for back in others:
                    old = past[1 - number][-1 - back :][:1]
                    before += [_as(old[0], frame[2 + SEQ]) if renumber else old[0]] if old else []
                past[number].append(frame)
                return b"".join(before) + frame

            stream.lie = mixed
            answer = connections[number].transmit(READ)
            assert set(answer.data) == {(0xAA, 0xBB)[number]}


def _as(frame: bytes, seq: int) -> bytes:
    message = bytearray(frame[2:-1])
    message[SEQ] = seq
    return framed(bytes(message))


def test_both_slots_at_once():
    """Positive twin: two threads, one per card, on an honest line: each hears its own card only."""
    stream = emulated("gemcoresimpro2", OneByte(0xAA), OneByte(0xBB))
    wrong: list[object] = []
    with reader_on(stream, every=0.001) as reader:

        def talk(number: int) -> None:
            connection = reader.slots[number].connect()
            for _ in range(200):
                if set(connection.transmit(READ).data) != {(0xAA, 0xBB)[number]}:
                    wrong.append(number)

        threads = [threading.Thread(target=talk, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
