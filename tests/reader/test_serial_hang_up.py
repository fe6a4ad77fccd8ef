"""An emulated reader that ends owes its host nothing: a host that waits on a dead line may wait for ever."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reader.serial.gempc import VARIANTS, GemPcDevice, framed
from reader.transport.loop import Loop
from reader.transport.pty import Pty
from reader.transport.serial_plug import SerialPlug

STATUS = bytes.fromhex("65 00000000 00 07 000000")
ANSWER = framed(bytes.fromhex("81 00000000 00 07 02 00 01"))  # no card, clock stopped
PART = framed(STATUS)[:5]


@pytest.fixture
def loop() -> Iterator[Loop]:
    with closing(Loop()) as made:
        yield made


@pytest.fixture
def plug(loop: Loop, tmp_path: Path) -> SerialPlug:
    """A reader on its line that nobody serves: everything that happens, happens at the end."""
    return SerialPlug(
        loop, Pty(tmp_path / "tty"), GemPcDevice(VARIANTS["gemcoresimpro2"]), lambda _slot: None
    )


@pytest.fixture
def host(plug: SerialPlug, tmp_path: Path) -> Iterator[int]:
    """The host's end of the line."""
    fd = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)
    yield fd
    os.close(fd)


def heard(host: int, size: int) -> bytes:
    """What the host reads until it has `size` bytes or the line is dead (a dead line reads as empty)."""
    data = b""
    while len(data) < size and select.select([host], [], [], 5)[0]:
        try:
            more = os.read(host, size - len(data))
        except OSError:
            break
        if not more:
            break
        data += more
    return data


@pytest.mark.parametrize("turn", range(20))
def test_a_command_under_way_is_answered(plug: SerialPlug, host: int, turn: int) -> None:
    """The reader ends at the very moment of a command: the answer is whole before the line is dead."""
    answers = []
    reading = threading.Thread(target=lambda: answers.append(heard(host, len(ANSWER))))
    os.write(host, framed(STATUS))
    reading.start()
    plug.close()
    reading.join(timeout=10)
    assert answers == [ANSWER], turn


def test_a_command_after_the_end_is_an_error(plug: SerialPlug, host: int) -> None:
    """The twin: the line is dead, and says so."""
    plug.close()
    with pytest.raises(OSError, match="Input/output"):
        os.write(host, framed(STATUS))


def test_half_a_command_holds_nobody(plug: SerialPlug, host: int) -> None:
    """A host that stops in the middle of a frame gets no answer, and the reader ends all the same."""
    os.write(host, PART)
    plug.close()
    assert heard(host, 1) == b""


def test_a_host_that_never_reads_holds_nobody(plug: SerialPlug, host: int) -> None:
    """The answer is left where it is: the end does not wait for a host that has stopped reading."""
    os.write(host, framed(STATUS))
    ending = threading.Thread(target=plug.close)
    ending.start()
    ending.join(timeout=10)
    assert not ending.is_alive()


def test_a_host_that_writes_meanwhile_is_told(loop: Loop, plug: SerialPlug, host: int) -> None:
    """Commands without end: each is answered whole or refused as an error, none is swallowed in between."""
    outcomes: list[bytes | str] = []

    def work() -> None:
        for _ in range(100_000):
            try:
                os.write(host, framed(STATUS))
            except OSError:
                outcomes.append("error")
                return
            outcomes.append(heard(host, len(ANSWER)))
            if outcomes[-1] != ANSWER:
                return

    working, serving = threading.Thread(target=work), threading.Thread(target=loop.work)
    working.start()
    serving.start()
    while len(outcomes) < 20 and working.is_alive():
        serving.join(timeout=0.001)
    loop.stop()
    serving.join(timeout=10)
    plug.close()
    working.join(timeout=10)
    assert not working.is_alive()
    assert outcomes[-1] == "error"
    assert set(outcomes[:-1]) <= {ANSWER}
