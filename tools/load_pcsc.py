"""The part `pcsc` of the benchmark: stock pcscd with libccid and vpcd before our emulated readers.

One pcscd of our own holds three readers: ours on a serial line, a constant one, and ours behind vpcd.
They are measured in turns through pyscard, SELECT and READ BINARY by one program.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from reader.slot import Slot
from tools.bench import TEST_PIN, Bench
from tools.measure import in_turns
from tools.pcscd import Pcscd

PAIR = (bytes.fromhex("00A4020C02D003"), bytes.fromhex("00B000000C"))
"""SELECT EF.SN and READ BINARY of it: what a client sends most."""
BUDGET_SECONDS, VISITS, READY_SECONDS = 0.6, 9, 20.0
DRIVERS = Path("/usr/lib/pcsc/drivers/serial")

OURS, CONSTANT, VIRTUAL = "Vitale Gateway Twin", "Constant", "Virtual PCD"


def pcsc(bench: Bench) -> dict[str, float]:
    """APDU rates through pcscd, and a whole visit in milliseconds.

    `pcscd_ratio`: time of one exchange with our reader over that with the reader that answers a constant.
    """
    bench.make_cards(["cps-gp-sector1", "vitale-family"])
    with ExitStack() as stack:
        pcscd = _three_readers(bench, stack)
        os.environ["PCSCLITE_CSOCK_NAME"] = pcscd.socket_name  # read once, at the first call of the library
        ours, constant, virtual = in_turns(
            _Client(OURS, 1).pair,
            _Client(CONSTANT, 0).pair,
            _Client(VIRTUAL, 0).pair,
            budget=BUDGET_SECONDS,
        )
        return {
            "pcscd_apdu_per_s": 2 / ours,
            "pcscd_ratio": ours / constant,
            "vpcd_apdu_per_s": 2 / virtual,
            "visit_ms": _visits() * 1000,
        }


def _three_readers(bench: Bench, stack: ExitStack) -> Pcscd:
    folder = bench.directory("pcsc")
    conf = folder / "pcscd"
    conf.mkdir(parents=True)
    cps, vitale = bench.card_file("cps-gp-sector1"), bench.card_file("vitale-family")
    virtual = shutil.copy(cps, folder / "virtual.card")  # an image belongs to one program
    port = _free_port()
    (conf / "constant").write_text(
        _entry(CONSTANT, f"{folder / 'constant'}:GemCoreSIMPro2", "libccidtwin", 7)
    )
    (conf / "virtual").write_text(_entry(VIRTUAL, f"/dev/null:0x{port:04X}", "libifdvpcd", port))
    serial = ["--serial", "gemcoresimpro2", "--link", str(folder / "tty"), "--pcscd-conf", str(conf)]
    _start(
        stack,
        folder / "ours.log",
        "reader.cli",
        "emulate",
        "--slot",
        str(vitale),
        "--slot",
        str(cps),
        *serial,
    )
    _start(stack, folder / "constant.log", "tools.constant_reader", str(folder / "constant"))
    _start(
        stack,
        folder / "virtual.log",
        "reader.cli",
        "emulate",
        "--slot",
        str(virtual),
        "--vpcd",
        f"127.0.0.1:{port}",
    )
    for log in ("ours", "constant", "virtual"):
        _wait(folder / f"{log}.log")
    return stack.enter_context(Pcscd(conf, folder / "pcscd.log", "--error"))


def _entry(name: str, device: str, library: str, channel: int) -> str:
    """One entry of a reader.conf file."""
    return (
        f'FRIENDLYNAME "{name}"\nDEVICENAME {device}\nLIBPATH {DRIVERS / library}.so\nCHANNELID {channel}\n'
    )


def _start(stack: ExitStack, log: Path, *command: str) -> None:
    """A program of ours in a process of its own, ended with the measurement."""
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )
    stack.callback(process.wait, 10)
    stack.callback(process.terminate)


def _wait(log: Path) -> None:
    """Until the program says that it is ready."""
    end = time.monotonic() + READY_SECONDS
    while "ready" not in log.read_text(encoding="utf-8").lower():
        if time.monotonic() > end:
            raise RuntimeError(
                f"the emulated reader does not start: {log.read_text(encoding='utf-8').strip()}"
            )
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Client:
    """One card through PC/SC, with nothing between the measurement and the library."""

    def __init__(self, reader: str, slot: int) -> None:
        from smartcard import scard  # noqa: PLC0415 - after PCSCLITE_CSOCK_NAME is set

        self._scard = scard
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        self._context = context
        self._card = self._connect(re.compile(rf"{reader} \d\d {slot:02d}"))  # pcscd numbers the readers
        self._commands = [list(command) for command in PAIR]

    def _connect(self, pattern: re.Pattern[str]) -> object:
        scard, end = self._scard, time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            _, names = scard.SCardListReaders(self._context, [])
            for name in filter(pattern.fullmatch, names):
                found = scard.SCardConnect(
                    self._context, name, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0
                )
                if found[0] == scard.SCARD_S_SUCCESS:
                    return found[1]
            time.sleep(0.05)
        raise RuntimeError(f"no card in {pattern.pattern}")

    def pair(self) -> None:
        """SELECT and READ BINARY."""
        scard = self._scard
        for command in self._commands:
            result, answer = scard.SCardTransmit(self._card, scard.SCARD_PCI_T0, command)
            if result != scard.SCARD_S_SUCCESS or answer[-2:] != [0x90, 0x00]:
                raise RuntimeError(f"exchange failed: {scard.SCardGetErrorMessage(result)}")


def _visits() -> float:
    """Seconds of one complete card visit, median of several."""
    from reader.pcsc import open_pcsc  # noqa: PLC0415 - after PCSCLITE_CSOCK_NAME is set

    with open_pcsc([OURS]) as reader:
        return statistics.median(_visit(reader.slot("Vitale"), reader.slot("CPS")) for _ in range(VISITS))


def _visit(vitale_slot: Slot, cps_slot: Slot) -> float:
    """Both cards, PIN, rights of three beneficiaries, one signature by each card."""
    digest = hashlib.sha256(b"sheet").digest()
    start = time.perf_counter()
    with CpsSession.open(cps_slot.connect()) as cps:
        cps.verify_pin(TEST_PIN)
        with VitaleSession.open(vitale_slot.connect()) as vitale:
            vitale.authenticate(cps)
            assert len(vitale.read_rights().beneficiaries) == 3
            vitale.seal(digest)
            cps.sign_digest(digest)
    return time.perf_counter() - start
