"""Recorded dialogues with cards, cards that replay them, and ways to spoil them (OpenSC's fuzzing format).

A transcript is the ATR followed by the answers of a whole visit, in order. A replaying card gives the n-th
answer to the n-th command, whatever was asked: it lies by its answers alone, as a hostile card would.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from card.iso7816 import tlv

Transcript = tuple[bytes, ...]
Spoil = Callable[[list[bytes], int, int], None]

ENDINGS = (b"", b"\x90\x00", b"\x61\x01", b"\x6c\x10", b"\x6f\x00", b"\x00" * 256 + b"\x90\x00")
"""What a replaying card says when its transcript is over, for ever."""


class ReplayCard:
    """Answers from a transcript, then `ending` for ever; counts exchanges and bytes."""

    def __init__(self, transcript: Iterable[bytes], ending: bytes = b"") -> None:
        self.atr, *self.answers = list(transcript) or [b""]
        self.ending, self.exchanges, self.given = ending, 0, 0

    def power_on(self) -> bytes:
        return self.atr

    def power_off(self) -> None:
        pass

    def transmit(self, apdu: bytes) -> bytes:
        at, self.exchanges = self.exchanges, self.exchanges + 1
        answer = self.answers[at] if at < len(self.answers) else self.ending
        self.given += len(answer)
        return answer


class Recorder:
    """Observer of a reader: the transcript of each slot."""

    def __init__(self) -> None:
        self.heard: dict[str, list[bytes]] = {}

    def __call__(self, slot: str, _command: bytes, answer: bytes) -> None:
        self.heard.setdefault(slot, []).append(answer)

    def transcript(self, slot: str) -> Transcript:
        return tuple(self.heard[slot])


@dataclass(frozen=True)
class Spoilt:
    """One way to spoil a transcript: `where` and `value` are any numbers, folded into what is there."""

    how: str
    where: int
    value: int

    def __call__(self, answers: list[bytes]) -> None:
        if answers:
            SPOILS[self.how](answers, self.where % len(answers), self.value)


def _flip(answers: list[bytes], at: int, value: int) -> None:
    answer = bytearray(answers[at])
    if answer:
        answer[value % len(answer)] ^= 1 << (value >> 8) % 8
        answers[at] = bytes(answer)


def _set(answers: list[bytes], at: int, value: int) -> None:
    answer = bytearray(answers[at])
    if answer:
        answer[value % len(answer)] = value >> 8 & 0xFF
        answers[at] = bytes(answer)


def _truncate(answers: list[bytes], at: int, value: int) -> None:
    answers[at] = answers[at][: value % (len(answers[at]) + 1)]


def _lose_data(answers: list[bytes], at: int, value: int) -> None:
    data, status = answers[at][:-2], answers[at][-2:]
    answers[at] = data[: value % (len(data) + 1)] + status


def _lengthen(answers: list[bytes], at: int, value: int) -> None:
    data, status = answers[at][:-2], answers[at][-2:]
    answers[at] = data + bytes((value & 0xFF,)) * (value >> 8 & 0x1FF) + status


def _status(answers: list[bytes], at: int, value: int) -> None:
    answers[at] = answers[at][:-2] + (value & 0xFFFF).to_bytes(2, "big")


def _likely_status(answers: list[bytes], at: int, value: int) -> None:
    likely = (0x6100, 0x6101, 0x61FF, 0x6C00, 0x6C01, 0x6282, 0x63C0, 0x63CF, 0x6982, 0x6985, 0x9000, 0x9100)
    answers[at] = answers[at][:-2] + likely[value % len(likely)].to_bytes(2, "big")


def _swap(answers: list[bytes], at: int, value: int) -> None:
    other = value % len(answers)
    answers[at], answers[other] = answers[other], answers[at]


def _repeat(answers: list[bytes], at: int, value: int) -> None:
    answers[at:at] = [answers[at]] * (1 + value % 40)


def _drop(answers: list[bytes], at: int, value: int) -> None:
    del answers[at : at + 1 + value % 3]


def _lie_in_a_length(answers: list[bytes], at: int, value: int) -> None:
    data, status = answers[at][:-2], answers[at][-2:]
    places = lengths(data)
    if places:
        start, end = places[value % len(places)]
        lies = (
            b"\x00", b"\x01", b"\x7f", b"\x80", b"\x81\xff", b"\x82\xff\xff", b"\x83\xff\xff\xff",
            b"\x84\xff\xff\xff\xff", b"\x84\x40\x00\x00\x00", b"\xff", bytes(((data[start] + 1) & 0xFF,)),
            bytes(((data[start] - 1) & 0xFF,)),
        )  # fmt: skip
        data = data[:start] + lies[(value >> 8) % len(lies)] + data[end:]
    answers[at] = data + status


def _nest(answers: list[bytes], at: int, value: int) -> None:
    """Constructed objects inside one another, as deep as the answer is long."""
    data, status = answers[at][:-2], answers[at][-2:]
    nested = b""
    while len(nested) < len(data) - 4:
        nested = tlv.encode((0x30, 0x62, 0x65, 0xE0)[value % 4], nested)
    answers[at] = nested[: len(data)] + status


SPOILS: dict[str, Spoil] = {
    "flip": _flip,
    "set": _set,
    "truncate": _truncate,
    "lose data": _lose_data,
    "lengthen": _lengthen,
    "status": _status,
    "likely status": _likely_status,
    "swap": _swap,
    "repeat": _repeat,
    "drop": _drop,
    "lie in a length": _lie_in_a_length,
    "nest": _nest,
}


def lengths(data: bytes) -> list[tuple[int, int]]:
    """Where the length fields of (nested) BER-TLV objects begin and end, as far as bytes look like TLV."""
    found: list[tuple[int, int]] = []
    spans = [(0, len(data))]
    while spans and len(found) < 200:
        at, end = spans.pop()
        while at + 1 < end:
            constructed = data[at] & 0x20
            at += 2 if data[at] & 0x1F == 0x1F else 1
            if at >= end:
                break
            size = 1 + (data[at] & 0x7F if data[at] & 0x80 else 0)
            value = int.from_bytes(data[at + 1 : at + size], "big") if size > 1 else data[at]
            found.append((at, min(at + size, end)))
            inside = at + size
            if constructed:
                spans.append((inside, min(inside + value, end)))
            at = inside + value
    return found


def everything_said(error: BaseException) -> str:
    """The texts a person or a log could see of an error: sentence, repr, arguments, printed traceback."""
    return "\n".join((str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))))
