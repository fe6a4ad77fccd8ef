"""Every machine of the room under any bytes in any pieces (promises A10, B4, B5).

Random bytes and spoilt recordings of real sessions, whole, byte by byte and at random: the same events, no
exception, what is kept is bounded, and the work grows with the bytes and not with their square.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import os
import pkgutil
import random
from collections.abc import Iterator

import pytest

import card.iso7816
import reader
from tests.reader.machine_table import LIES, Machine, Run, table
from tests.reader.measures import Work, kept

SEED = int(os.environ.get("VITALE_SEED", "20260301"))
STREAMS = 10_000
KEPT = 65_536
"""Bytes a machine may hold (promise B5)."""

ANCESTORS = {"card.iso7816.t1.T1Station", "reader.agent.machines._End"}
"""What machines inherit from; their heirs are in the table."""

OTHERS = {"reader.serial.phoenix.Wire"}
"""Takes bytes by another name."""

MACHINES = table()
LINES = [machine for machine in MACHINES if not machine.whole]


def machines_of_the_room() -> set[str]:
    """Every class of `reader` and `card.iso7816` that takes bytes with `feed`."""
    found = set()
    for package in (reader, card.iso7816):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            for name, thing in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                is_ours = thing.__module__ == module.name and not getattr(thing, "_is_protocol", False)
                if is_ours and callable(getattr(thing, "feed", None)):
                    found.add(f"{module.name}.{name}")
    return found


def test_every_machine_is_in_the_table():
    """A module of the room with a new machine must bring its row; rows of machines that are gone must go."""
    assert machines_of_the_room() - ANCESTORS == {machine.name for machine in MACHINES} - OTHERS


@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_the_recordings_are_understood(machine: Machine):
    """Twin: what real sessions say makes every machine speak, or know more than it did."""
    for recording in machine.recordings:
        run = machine.start()
        run.take(recording)
        events = run.finish()
        assert any(events)
        assert "refused" not in events


# ---- streams


def streams(machine: Machine, rng: random.Random, count: int) -> Iterator[bytes]:
    """Random bytes now and then; mostly recordings, spoilt at a few places."""
    for number in range(count):
        if number % 5 == 0:
            yield rng.randbytes(rng.randrange(1, 200))
            continue
        stream = bytearray(rng.choice(machine.recordings))
        for _ in range(rng.randrange(4)):
            _spoil(stream, rng)
        yield bytes(stream)


def _spoil(stream: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(stream) + 1)
    how = rng.randrange(7)
    if how == 0 and stream:
        stream[at % len(stream)] ^= 1 << rng.randrange(8)
    elif how == 1:
        del stream[at : at + rng.randrange(1, 30)]
    elif how == 2:
        stream[at:at] = rng.randbytes(rng.randrange(1, 20))
    elif how == 3:
        stream[at:at] = stream[at : at + rng.randrange(1, 60)]
    elif how == 4:
        lie = rng.choice(LIES)
        stream[at : at + len(lie)] = lie
    elif how == 5:
        del stream[at:]
    else:
        stream += bytes((rng.choice((0, 3, 6, 0x15, 0x16, 0x50, 0x60, 0x80, 0xC0, 0xFF)),)) * rng.randrange(
            300
        )


def cuts(stream: bytes, rng: random.Random) -> Iterator[list[bytes]]:
    """The stream whole, byte by byte, and cut at random."""
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    places = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randrange(1, 12)))
    yield [stream[at:end] for at, end in zip([0, *places], [*places, len(stream)], strict=True)]


def fed(machine: Machine, pieces: list[bytes]) -> list[object]:
    run = machine.start()
    for piece in pieces:
        run.take(piece)
    return run.finish()


@pytest.mark.parametrize("machine", LINES, ids=str)
def test_b4_chunking_does_not_matter(machine: Machine, record_property):
    """B4: each stream gives the same events whole, byte by byte and cut at random; nothing is raised."""
    count = -(-STREAMS // len(LINES))
    rng = random.Random(f"{SEED} {machine}")
    for number, stream in enumerate(streams(machine, rng, count)):
        whole, *others = (fed(machine, pieces) for pieces in cuts(stream, rng))
        for other in others:
            assert other == whole, f"seed {SEED}, stream {number}: {stream.hex()}"
    record_property("promise B4", {"streams": count, "different": 0, "seed": SEED})


@pytest.mark.parametrize("machine", [m for m in MACHINES if m.whole], ids=str)
def test_whole_messages_of_any_kind(machine: Machine):
    """A machine of messages, in one session: any message is survived, and a good one is answered after it."""
    rng = random.Random(f"{SEED} {machine}")
    run, good = machine.start(), machine.recordings[0]
    for message in streams(machine, rng, 3000):
        run.take(message)
        before = len(run.events)
        run.take(good)
        assert run.events[before:] or isinstance(run.events[-1], bytes)
        run.events.clear()


@pytest.mark.parametrize("machine", LINES, ids=str)
def test_b4_recordings_in_every_piece(machine: Machine):
    """B4: each recording in two pieces and in three, cut at every place (of a long one: at its ends)."""
    for recording in machine.recordings:
        whole = fed(machine, [recording])
        size = len(recording)
        places = range(size + 1) if size < 30 else [*range(16), *range(size - 12, size + 1)]
        for first, second in itertools.combinations_with_replacement(places, 2):
            pieces = [recording[:first], recording[first:second], recording[second:]]
            assert fed(machine, pieces) == whole, (first, second)


# ---- what is kept


def storms(machine: Machine) -> Iterator[bytes]:
    """A long stream of one kind each: the worst a peer can think of."""
    rng = random.Random(SEED)
    for byte in (0x00, 0x03, 0x15, 0x50, 0x60, 0x80, 0xB0, 0xC0, 0xFF):
        yield bytes((byte,)) * 5000
    yield rng.randbytes(5000)
    for recording in machine.recordings:
        yield (recording * (5000 // len(recording) + 1))[:5000]
        for lie in LIES:
            for at in (0, 1, 2, 3, 5, len(recording) // 2):
                yield recording[:at] + lie + recording[at + len(lie) :] + rng.randbytes(6000)


@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_b5_what_is_kept_is_bounded(machine: Machine, record_property):
    """B5: hundreds of kilobytes of noise, lengths of 1 GiB, endless repetition: at most 64 KiB are held."""
    run, count = machine.start(), 0
    for storm in storms(machine):
        count += 1
        run.take(storm)
        run.events.clear()
        assert kept(run.machine) <= KEPT + 1024
    for storm in (b"\xff" * 300_000, b"\x00" * 300_000, machine.recordings[0] * 2000):
        fresh = machine.start()
        fresh.take(storm)
        assert kept(fresh.machine) <= KEPT + 1024
    record_property("promise B5", {"machines": 1, "storms": count + 3, "beyond 64 KiB": 0})


@pytest.mark.parametrize("machine", LINES, ids=str)
def test_a_storm_is_the_same_in_any_pieces(machine: Machine):
    """B4 for long streams: noise after a lying length, thousands of bytes of one kind, whole and by 7."""
    for storm in storms(machine):
        whole = fed(machine, [storm])
        pieces = fed(machine, [storm[at : at + 7] for at in range(0, len(storm), 7)])
        assert pieces == whole, storm[:40].hex()


# ---- work


def work(machine: Machine, stream: bytes, size: int) -> int:
    run: Run = machine.start()
    with Work() as done:
        for at in range(0, len(stream), size):
            run.feed(stream[at : at + size])
    return done.lines


@pytest.mark.parametrize("machine", LINES, ids=str)
def test_b4_work_is_linear(machine: Machine):
    """B4: twice the bytes are at most 2.2 times the lines of code, whole and byte by byte."""
    rng = random.Random(SEED)
    recording = machine.recordings[0]
    for stream in (rng.randbytes(4000), b"\x03" * 4000, b"\x60" * 4000, (recording * 4000)[:4000]):
        for size in (1, len(stream)):
            half, whole = work(machine, stream[:2000], size), work(machine, stream, size)
            assert whole <= 2.2 * half + 200, f"{half} lines for 2000 bytes, {whole} for 4000"
