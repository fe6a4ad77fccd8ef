"""A program that uses our PC/SC driver, in a process of its own: one JSON request a line, one answer a line.

libpcsclite learns where its daemon is once in a process, and two programs on one card are two processes.
`Client` is the end of a test, `Agent` what runs in the process (`python -m tests.interop.pcsc_client`).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from card.iso7816.apdu import CommandAPDU
from gateway.cards.cps import CpsSession
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.secret import Secret
from reader.errors import ReaderError
from reader.pcsc import PcscReader
from tools.pcscd import TOGETHER

CHALLENGE = CommandAPDU(0, 0x84, 0, 0, b"", 8)
SETTLED = 10.0
RESET_BY_ANOTHER = "80100068"


class Refused(Exception):
    """The process answered with a refusal; `code` and the sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Client:
    """The process, from the test's side: `client("visit", 1)`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [*TOGETHER, sys.executable, "-m", "tests.interop.pcsc_client"],
            env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, do: str, *given: Any) -> None:
        """Send a request; the answer is waited for by `answer`."""
        assert self.process.stdin is not None
        print(json.dumps([do, *given]), file=self.process.stdin, flush=True)

    def answer(self) -> Any:
        """The next answer; raises Refused."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the client has ended"
        said = json.loads(line)
        if "refused" in said:
            raise Refused(*said["refused"])
        return said["done"]

    def __call__(self, do: str, *given: Any) -> Any:
        self.ask(do, *given)
        return self.answer()


class Agent:
    """What the process can be asked to do."""

    def __init__(self) -> None:
        self.reader: PcscReader | None = None
        self.raw: dict[str, Any] = {}

    def open(self, *patterns: str) -> list[bool]:
        """Open the driver; which slots have a card."""
        self.reader = PcscReader(patterns, wait=2)
        self.desk = Desk(self.reader)
        return self.present()

    def open_alone(self, *patterns: str) -> list[bool]:
        """Open the driver so that nobody else may connect to a card in use."""
        self.reader = PcscReader(patterns, wait=2, alone=True)
        self.desk = Desk(self.reader)
        return self.present()

    def present(self) -> list[bool]:
        """Which slots have a card."""
        assert self.reader is not None
        return [slot.is_present for slot in self.reader.slots]

    def settle(self, *expected: bool) -> list[bool]:
        """Wait until exactly these slots have a card."""
        end = time.monotonic() + SETTLED
        while self.present() != list(expected) and time.monotonic() < end:
            time.sleep(0.01)
        return self.present()

    def trouble(self) -> str:
        """What keeps slots from having cards."""
        return str(self.desk.trouble or "")

    def unlock(self, pin: str) -> str:
        """The CPS with its PIN; the serial number of the card."""
        return self.desk.unlock(Secret(pin)).serial

    def unlock_on_pad(self) -> str:
        """The CPS with the PIN that is typed on the reader."""
        return self.desk.unlock().serial

    def is_unlocked(self) -> bool:
        """Whether the CPS needs its PIN again."""
        return self.desk.is_unlocked

    def sign(self) -> str:
        """A signature by the CPS that is unlocked."""
        return self.desk.cps.sign_digest(bytes(32)).hex()

    def hang_in_block(self) -> None:
        """Stay inside an exclusive block for ever."""
        with self.desk.cps.exclusive():
            time.sleep(1000)

    def lock(self) -> None:
        """End the CPS session."""
        self.desk.lock()

    def visit(self, times: int = 1) -> dict[str, Any]:
        """Both cards from beginning to end, so often; beneficiaries, signatures, milliseconds each."""
        spent = []
        for _ in range(times):
            start = time.perf_counter()
            done = self._visit()
            spent.append((time.perf_counter() - start) * 1000)
        return done | {"milliseconds": spent}

    def _visit(self) -> dict[str, Any]:
        digest = hashlib.sha256(b"digest").digest()
        cps = self.desk.unlock(Secret("1234"))
        with self.desk.vitale() as vitale:
            vitale.authenticate(cps)
            rights = vitale.read_rights()
            seal, signature = vitale.seal(digest), cps.sign_digest(digest)
        certificate = cps.certificate
        self.desk.lock()
        return {
            "beneficiaries": len(rights.beneficiaries),
            "seal": seal.hex(),
            "signature": signature.hex(),
            "certificate": certificate.hex(),
        }

    def pulled_visit(self, slot: str, after: int, *pull: str) -> dict[str, Any]:
        """A visit during which the command `pull` is run after so many exchanges."""
        assert self.reader is not None
        left = [after]

        def watch(*_: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                subprocess.run(pull, check=True, capture_output=True, timeout=30)

        self.reader.observe(watch)
        try:
            return self._visit()
        finally:
            left[0] = -1
            self.desk.lock()

    def exchanges(self) -> int:
        """How many exchanges a visit has."""
        assert self.reader is not None
        count: list[int] = []
        self.reader.observe(lambda *_: count.append(1))
        self._visit()
        return len(count)

    def ask_for_ever(self, slot: str) -> int:
        """Ask the card for challenges until something ends it."""
        assert self.reader is not None
        connection = self.reader.slot(slot).connect()
        while True:
            connection.transmit(CHALLENGE)

    def sign_many(self, times: int) -> int:
        """PIN and signature in one exclusive block, so often, in one session."""
        assert self.reader is not None
        with CpsSession.open(self.reader.slot("CPS").connect()) as cps:
            for _ in range(times):
                with cps.exclusive():
                    cps.verify_pin(Secret("1234"))
                    cps.sign_digest(bytes(32))
        return times

    # another program: plain calls, a shared connection, no manners of ours

    def raw_open(self, slot: str) -> int:
        """Connect as any other program does, to the reader whose name ends so: the card is left as it is."""
        from smartcard import scard

        _, self.raw["context"] = scard.SCardEstablishContext(0)
        _, names = scard.SCardListReaders(self.raw["context"], [])
        name = next(name for name in names if name.endswith(slot))
        code, self.raw["handle"], _ = scard.SCardConnect(self.raw["context"], name, 2, 3)
        return int(code & 0xFFFFFFFF)

    def raw_transmit(self, command: str) -> list[str]:
        """One command: return code and answer, in hex."""
        from smartcard import scard

        sent = list(bytes.fromhex(command))
        code, answer = scard.SCardTransmit(self.raw["handle"], scard.SCARD_PCI_T0, sent)
        return [f"{code & 0xFFFFFFFF:08X}", bytes(answer).hex().upper() if not code else ""]

    def raw_many(self, times: int) -> int:
        """Plain commands until so many were answered; a card that was reset is taken up again."""
        answered = 0
        end = time.monotonic() + SETTLED
        while answered < times and time.monotonic() < end:
            code = self.raw_transmit(CHALLENGE.to_bytes().hex())[0]
            answered += code == "00000000"
            if code == RESET_BY_ANOTHER:
                self.raw_take_up()
            elif code != "00000000":  # the card is in a transaction of the other
                time.sleep(0.001)
        return answered

    def raw_take_up(self) -> int:
        """Go on with a card that another program has reset, as it is."""
        from smartcard import scard

        return int(scard.SCardReconnect(self.raw["handle"], 2, 3, 0)[0] & 0xFFFFFFFF)

    def raw_reset(self) -> None:
        """Reset the card under everybody's hands."""
        from smartcard import scard

        scard.SCardReconnect(self.raw["handle"], 2, 3, 1)

    def raw_begin(self) -> None:
        """Keep the card."""
        from smartcard import scard

        scard.SCardBeginTransaction(self.raw["handle"])

    def raw_end(self) -> None:
        """Let it go."""
        from smartcard import scard

        scard.SCardEndTransaction(self.raw["handle"], 0)


def main() -> None:
    """Answer requests until standard input ends."""
    agent = Agent()
    for line in sys.stdin:
        do, *given = json.loads(line)
        try:
            said = {"done": getattr(agent, do)(*given)}
        except (ReaderError, GatewayError) as wrong:
            said = {"refused": [wrong.code, str(wrong)]}
        print(json.dumps(said), flush=True)
    if agent.reader is not None:
        agent.reader.close()


if __name__ == "__main__":
    main()
