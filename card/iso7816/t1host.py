"""The host's end of T=1 (ISO/IEC 7816-3:2006, 11.6): who begins, repeats, resynchronises and gives up."""

from __future__ import annotations

from card.iso7816.t1 import DEFAULT_IFS, MAX_ANSWER, MAX_COMMAND, MAX_TRIES, T1Station
from card.iso7816.t1block import (
    MAX_INF,
    OTHER_ERROR,
    S_ABORT,
    S_IFS,
    S_RESPONSE,
    S_RESYNCH,
    S_WTX,
    Block,
    r_pcb,
)

MAX_RESYNCHS = 2
"""Fresh starts during one command."""

MAX_REQUESTS = 100
"""S-block requests of the card during one command."""

MAX_EXTENSION = 600
"""Waiting times (BWT) a card may ask for during one command, over all its S(WTX) requests together."""


class T1Host(T1Station):
    """`start` a command, send what it gives, `feed` what the card says and send what that gives.

    It is over when `answer` is not None or `failure` says why there is none. Whoever reads the line waits
    `extension` times BWT for a block and calls `timeout` when none came.

    A command whose last byte was sent is never sent again: after a resynchronisation nobody knows whether the
    card has carried it out (a PIN compared twice costs two tries), so that is a failure, and the line is
    ready for the next command. After any other failure the next command begins with a resynchronisation.

    ifsc: INF bytes the card takes (its ATR says); ifsd: INF bytes to offer it, 1 to 254.
    """

    def __init__(self, ifsc: int = DEFAULT_IFS, *, use_crc: bool = False, ifsd: int = MAX_INF) -> None:
        super().__init__(ifsc, DEFAULT_IFS, use_crc=use_crc, longest=MAX_ANSWER)
        self._ifsd: int | None = ifsd
        self._command = b""
        self._broken = self._in_doubt = False
        self._resynchs = self._requests = self._extensions = 0
        self.extension = 1
        self.answer: bytes | None = None
        self.failure = "no command was sent"

    def start(self, command: bytes) -> bytes:
        """The first block of an exchange; a command of 1 to 65,544 bytes."""
        self._codec.drop()
        self._forget_messages()
        self._errors = self._resynchs = self._requests = self._extensions = 0
        self._command, self.answer, self.failure = command, None, ""
        if not 0 < len(command) <= MAX_COMMAND:
            self.failure = f"a command has 1 to {MAX_COMMAND} bytes"
            return b""
        return self._resynchronise() if self._broken else self._begin()

    def timeout(self) -> bytes:
        """No block came in time, or an unfinished one: ask again."""
        self._codec.drop()
        return self._invalid(OTHER_ERROR) if self._listens() else b""

    def _begin(self) -> bytes:
        """Agree on sizes once, then the command."""
        if self._ifsd is not None:
            return self._ask(S_IFS, bytes((self._ifsd,)))
        return self._say(self._command)

    def _fail(self, why: str, *, broken: bool = True) -> bytes:
        self.failure, self._broken = why, broken
        self._asked = None
        return b""

    def _listens(self) -> bool:
        return self.answer is None and not self.failure

    def _accepts_nad(self, nad: int) -> bool:
        return nad == 0

    def _send(self, pcb: int, inf: bytes = b"") -> bytes:
        self.extension = 1
        return super()._send(pcb, inf)

    def _invalid(self, error: int) -> bytes:
        self._errors += 1
        if self._errors > MAX_TRIES:
            return self._resynchronise()
        if self._asked is not None:
            return self._ask(*self._asked)
        return self._send(r_pcb(self._nr, error))

    def _repeat(self, block: bytes) -> bytes:
        self._errors += 1
        return block if self._errors <= MAX_TRIES else self._resynchronise()

    def _resynchronise(self) -> bytes:
        """Start afresh (rule 6), or give up when that was tried already."""
        if self._asked is not None and self._asked[0] == S_RESYNCH:
            return self._fail("it does not answer")
        if self._resynchs >= MAX_RESYNCHS:
            return self._fail("it answers nothing that can be used")
        if self._asked is not None and self._asked[0] == S_IFS:
            self._ifsd = None  # a card that does not know S(IFS) is spoken to without
        self._resynchs += 1
        self._in_doubt = bool(self._outgoing) and self._at >= len(self._outgoing)
        self._restart()
        return self._ask(S_RESYNCH)

    def _granted(self, request: int, inf: bytes) -> bytes:
        if request == S_IFS:
            self._ifsd, self._in_max = None, inf[0]
            return self._say(self._command)
        self._broken = False
        if self._in_doubt:
            return self._fail("it may have carried out the command, but its answer was lost", broken=False)
        return self._begin()

    def _take_s(self, block: Block) -> bytes:
        if not block.pcb & S_RESPONSE:
            self._requests += 1
            if self._requests > MAX_REQUESTS:
                return self._fail("it asks for something without end")
        return super()._take_s(block)

    def _supervise(self, block: Block) -> bytes:
        if self._asked is not None:
            return self._invalid(OTHER_ERROR)
        if block.pcb == S_WTX and len(block.inf) == 1 and block.inf[0]:
            return self._extend(block.inf)
        if block.pcb == S_ABORT and not block.inf:
            said = self._send(S_ABORT | S_RESPONSE)
            self._fail("it aborted the exchange")
            return said
        return self._invalid(OTHER_ERROR)

    def _extend(self, inf: bytes) -> bytes:
        """Grant more time, within reason (rule 3)."""
        self._extensions += inf[0]
        if self._extensions > MAX_EXTENSION:
            return self._fail("it asks for more time without end")
        said = self._send(S_WTX | S_RESPONSE, inf)
        self.extension = inf[0]
        return said

    def _message(self, message: bytes) -> bytes:
        if len(message) < 2:
            return self._fail("an answer without a status word")
        self.answer = message
        return b""

    def _too_long(self) -> bytes:
        return self._fail("its answer never comes to an end")
