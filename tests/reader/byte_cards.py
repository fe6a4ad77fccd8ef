"""Cards and runs for the tests of the ISO 7816-3 machines."""

from __future__ import annotations

from collections.abc import Callable

from card.iso7816.t0 import T0Card, T0Host
from card.iso7816.t1 import T1Card
from card.iso7816.t1host import T1Host

ATR_T0 = bytes.fromhex("3B00")


def with_tck(body: str) -> bytes:
    """An ATR and its check byte."""
    raw = bytes.fromhex(body)
    check = 0
    for byte in raw[1:]:
        check ^= byte
    return raw + bytes((check,))


T1_DEFAULT = with_tck("3B8001")
T1_IFSC_254 = with_tck("3B808131FE45")
T1_CRC = with_tck("3B808151FE01")
BOTH = with_tck("3B90138001")


def pattern(size: int) -> bytes:
    """`size` bytes that differ from their neighbours."""
    return bytes((7 * at + 3 + at // 256) & 0xFF for at in range(size))


class EchoCard:
    """B0: Le bytes. D6: takes data. 88: takes data and gives them back, behind 61xx when no Le is there."""

    def __init__(self, atr: bytes = ATR_T0) -> None:
        self.atr, self.log, self.waiting = atr, [], b""

    def power_on(self) -> bytes:
        self.waiting = b""
        return self.atr

    def power_off(self) -> None:
        self.waiting = b""

    def transmit(self, apdu: bytes) -> bytes:
        self.log.append(apdu)
        ins, waiting, self.waiting = apdu[1], self.waiting, b""
        if ins == 0xB0:
            return pattern(apdu[4] or 256) + b"\x90\x00" if len(apdu) == 5 else b"\x67\x00"
        if ins == 0xC0:
            return waiting + b"\x90\x00" if len(apdu) == 5 and waiting else b"\x69\x85"
        if ins == 0x88 and len(apdu) > 5:
            data = apdu[5 : 5 + apdu[4]]
            if len(apdu) == 6 + len(data):
                return data + b"\x90\x00"
            self.waiting = data
            return bytes((0x61, len(data)))
        return b"\x90\x00" if ins == 0xD6 else b"\x6d\x00"


Line = Callable[[bytes], bytes]


def clean(data: bytes) -> bytes:
    """A line that loses nothing."""
    return data


def run_t0(
    command: bytes, card: T0Card, execute: Callable[[bytes], bytes], host: T0Host | None = None
) -> T0Host:
    """One command through both ends of T=0; the host."""
    host = host or T0Host()
    sent = host.start(command)
    for _ in range(2000):
        if not sent:
            break
        received = card.feed(sent)
        while card.command is not None:
            received += card.answer(execute(card.command))
        sent = host.feed(received)
    return host


def run_t1(
    host: T1Host,
    card: T1Card,
    command: bytes,
    execute: Callable[[bytes], bytes],
    to_card: Line = clean,
    to_host: Line = clean,
) -> T1Host:
    """One command through both ends of T=1, over lines that may spoil it; the host."""
    sent = host.start(command)
    for _ in range(200_000):
        if host.answer is not None or host.failure:
            break
        received = card.feed(to_card(sent)) + (card.silence() if sent else b"")
        while card.command is not None:
            received += card.answer(execute(card.command))
        received = to_host(received)
        sent = host.feed(received)
        if sent:
            host.forget_partial()
        if not sent and host.answer is None and not host.failure:
            sent = host.timeout()
    else:
        raise AssertionError("the exchange never ends")
    card.feed(sent)
    return host
