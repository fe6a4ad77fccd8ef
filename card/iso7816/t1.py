"""T=1, the protocol that sends blocks (ISO/IEC 7816-3:2006, clause 11): what both ends do alike, no I/O.

I-blocks carry a message, cut into a chain (M bit) when it is longer than the other end takes; R-blocks
acknowledge a link or ask for a block again; S-blocks set sizes, ask for time, abort and start afresh.
`T1Card` and `T1Host` say what is different: who may ask for what, and who gives up when.

Both machines take bytes in any chunks, never raise, and hold at most one message and 64 KiB.
"""

from __future__ import annotations

from card.iso7816.atr import Atr, InterfaceBytes
from card.iso7816.t1block import (
    MAX_INF,
    OTHER_ERROR,
    S_ABORT,
    S_IFS,
    S_RESPONSE,
    S_RESYNCH,
    S_WTX,
    BadBlock,
    Block,
    Codec,
    i_pcb,
    r_pcb,
)

DEFAULT_IFS = 32
"""INF bytes both ends take before anything else is agreed (11.4.2)."""

MAX_COMMAND = 65_544
"""An extended case 4 command: header, Lc, 65,535 bytes, Le."""

MAX_ANSWER = 65_538
"""65,536 bytes and a status word."""

MAX_TRIES = 3
"""A block is sent once and repeated at most three times (11.6.3.2, rule 7)."""

MAX_EMPTY = 16
"""Links without a byte in them that one message may have."""


def t1_bytes(atr: Atr) -> InterfaceBytes:
    """The first TA, TB, TC that are about T=1: those of a group after TD1 whose TD says 1 (11.4.1)."""
    for before, group in zip(atr.groups[1:], atr.groups[2:], strict=False):
        if before.td is not None and before.td & 0x0F == 1:
            return group
    return InterfaceBytes()


def ifsc_of(atr: Atr) -> int:
    """INF bytes the card takes: TA of T=1, 1 to 254, 32 by default (11.4.2)."""
    value = t1_bytes(atr).ta
    return value if value and value <= MAX_INF else DEFAULT_IFS


def uses_crc(atr: Atr) -> bool:
    """True when TC of T=1 asks for a CRC instead of an LRC (11.4.4)."""
    return bool((t1_bytes(atr).tc or 0) & 1)


class T1Station:
    """One end of the line. A subclass decides in `_invalid`, `_message` and `_supervise`.

    out_max: INF bytes the other end takes; in_max: INF bytes this end takes.
    """

    def __init__(self, out_max: int, in_max: int, *, use_crc: bool, longest: int) -> None:
        self._codec = Codec(use_crc=use_crc)
        self._first_out_max, self._in_max = out_max, in_max
        self._longest = longest
        self._nad = 0
        self._restart()

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the other end; the blocks to send back."""
        self._codec.feed(data)
        return self._advance()

    def silence(self) -> bytes:
        """The other end stopped in the middle of a block for longer than CWT (11.4.3): it is not valid."""
        return self._invalid(OTHER_ERROR) if self._listens() and self._codec.drop() else b""

    @property
    def is_partial(self) -> bool:
        """A block has begun to arrive. Nothing is sent before it is whole or `forget_partial` was called."""
        return self._codec.is_partial

    def forget_partial(self) -> None:
        """The line fell silent inside a block that came after one that was answered: its rest is lost.

        Without this, what comes after our own block would be taken for the rest, and a check of one byte may
        not tell.
        """
        if self._listens():
            self._codec.drop()

    # ---- what the ends decide

    def _listens(self) -> bool:
        """Does this end take the next block now?"""
        raise NotImplementedError

    def _invalid(self, error: int) -> bytes:
        """A block that is not valid, for the reason `error`."""
        raise NotImplementedError

    def _message(self, message: bytes) -> bytes:
        """A whole message has come."""
        raise NotImplementedError

    def _supervise(self, block: Block) -> bytes:
        """An S-block other than the response this end waits for and the requests both ends answer."""
        raise NotImplementedError

    def _granted(self, request: int, inf: bytes) -> bytes:
        """The S-block response this end was waiting for."""
        raise NotImplementedError

    def _too_long(self) -> bytes:
        """The message the other end sends never ends."""
        raise NotImplementedError

    # ---- state

    def _restart(self) -> None:
        """As after the ATR (11.6.1): numbers 0, nothing under way.

        We send no more than the first size again, but take what was agreed: the other end may still send it.
        """
        self._out_max = self._first_out_max
        self._ns = self._nr = self._errors = 0
        self._sent: tuple[int, bool] | None = None  # number and M of the last I-block of ours
        self._last_i = self._last = b""
        self._asked: tuple[int, bytes] | None = None  # our S-block request that waits for its response
        self._forget_messages()

    def _forget_messages(self) -> None:
        self._outgoing, self._at = b"", 0
        self._incoming, self._empty = bytearray(), 0

    # ---- blocks in

    def _advance(self) -> bytes:
        said = b""
        while self._listens() and (block := self._codec.next()) is not None:
            said += self._invalid(block.error) if isinstance(block, BadBlock) else self._take(block)
        return said

    def _take(self, block: Block) -> bytes:
        if len(block.inf) > self._in_max or not self._accepts_nad(block.nad):
            return self._invalid(OTHER_ERROR)
        if block.is_i:
            return self._take_i(block)
        if block.is_r:
            return self._invalid(OTHER_ERROR) if self._asked else self._take_r(block.nr)
        return self._take_s(block)

    def _accepts_nad(self, nad: int) -> bool:
        """Addresses are the host's to choose (11.3.2.1); bits 8 and 4 are not used any more."""
        return nad & 0x88 == 0

    def _take_i(self, block: Block) -> bytes:
        chained = self._sent is not None and self._sent[1]
        if self._asked or chained or block.ns != self._nr:
            return self._invalid(OTHER_ERROR)
        self._nr ^= 1
        self._errors, self._sent = 0, None
        self._incoming += block.inf
        self._empty += block.more and not block.inf
        if len(self._incoming) > self._longest or self._empty > MAX_EMPTY:
            return self._too_long()
        if block.more:
            return self._send(r_pcb(self._nr))
        message = bytes(self._incoming)
        self._incoming, self._empty = bytearray(), 0
        return self._message(message)

    def _take_r(self, number: int) -> bytes:
        if self._sent is None or number == self._sent[0] ^ 1:
            if self._sent is not None and self._sent[1]:
                self._errors = 0
                return self._send_i()
            return self._repeat_other()
        return self._repeat(self._last_i)

    def _take_s(self, block: Block) -> bytes:
        pcb, inf = block.pcb, block.inf
        if self._asked is not None and pcb == self._asked[0] | S_RESPONSE and inf == self._asked[1]:
            (request, inf), self._asked, self._errors = self._asked, None, 0
            return self._granted(request, inf)
        if self._asked is None and pcb == S_IFS and len(inf) == 1 and 1 <= inf[0] <= MAX_INF:
            self._out_max = inf[0]
            return self._send(S_IFS | S_RESPONSE, inf)
        return self._supervise(block)

    # ---- blocks out

    def _send(self, pcb: int, inf: bytes = b"") -> bytes:
        self._last = self._codec.encode(pcb, inf, self._nad)
        return self._last

    def _ask(self, request: int, inf: bytes = b"") -> bytes:
        """Send an S-block request and wait for its response."""
        self._asked = request, inf
        return self._send(request, inf)

    def _say(self, message: bytes) -> bytes:
        """The first I-block of a message."""
        self._outgoing, self._at = message, 0
        return self._send_i()

    def _send_i(self) -> bytes:
        """The next I-block of the message."""
        inf = self._outgoing[self._at : self._at + self._out_max]
        self._at += len(inf)
        more = self._at < len(self._outgoing)
        self._sent = self._ns, more
        self._last_i = self._send(i_pcb(self._ns, more=more), inf)
        self._ns ^= 1
        return self._last_i

    def _repeat_other(self) -> bytes:
        """The other end asks for a block that is no I-block: the last R- or S-block, else what we expect."""
        if self._last and self._last is not self._last_i:
            return self._repeat(self._last)
        return self._repeat(self._codec.encode(r_pcb(self._nr, OTHER_ERROR), b"", self._nad))

    def _repeat(self, block: bytes) -> bytes:
        """Say it again, as long as the other end may ask for it."""
        raise NotImplementedError


class T1Card(T1Station):
    """The card's end. `feed` bytes of the host; carry out `command` when there is one, then `answer` it.

    After three blocks in a row that are not valid it is silent until a valid one comes (rule 7.4).
    wanted_ifsc: INF bytes it asks the host, once, to send from then on.
    """

    def __init__(
        self, ifsc: int = DEFAULT_IFS, *, use_crc: bool = False, wanted_ifsc: int | None = None
    ) -> None:
        super().__init__(DEFAULT_IFS, ifsc, use_crc=use_crc, longest=MAX_COMMAND)
        self._wanted_ifsc = wanted_ifsc
        self.command: bytes | None = None
        self._ready: bytes | None = None

    def answer(self, response: bytes) -> bytes:
        """What the card says when the command is done; `response` is data and status word, or empty: mute.

        An answer to a command that a RESYNCH has made void is dropped.
        """
        if self.command is None:
            return b""
        self.command = None
        if self._asked is not None:  # the host still owes the response to our S(WTX request)
            self._ready = response
            return b""
        return self._answered(response)

    def busy(self, multiple: int = 1) -> bytes:
        """What the card says while it works on a command: S(WTX request), unless one is on its way."""
        if self.command is None or self._asked is not None:
            return b""
        return self._ask(S_WTX, bytes((multiple,)))

    def _answered(self, response: bytes) -> bytes:
        if (wanted := self._wanted_ifsc) and response:
            self._wanted_ifsc, self._ready = None, response
            return self._ask(S_IFS, bytes((wanted,))) + self._advance()
        return (self._say(response) if response else b"") + self._advance()

    def _listens(self) -> bool:
        return self.command is None or self._asked is not None

    def _accepts_nad(self, nad: int) -> bool:
        if not super()._accepts_nad(nad):
            return False
        self._nad = nad >> 4 | (nad & 0x0F) << 4
        return True

    def _invalid(self, error: int) -> bytes:
        self._errors += 1
        if self._errors > MAX_TRIES:
            return self._given_up()
        if self._asked is not None:
            return self._ask(*self._asked)
        return self._send(r_pcb(self._nr, error))

    def _given_up(self) -> bytes:
        """Wait for a block that is valid; a request that nobody answers is given up."""
        self._asked, ready, self._ready = None, self._ready, None
        return b"" if ready is None else self._answered(ready)

    def _message(self, message: bytes) -> bytes:
        self.command = message
        return b""

    def _supervise(self, block: Block) -> bytes:
        if block.pcb == S_RESYNCH and not block.inf:
            self._restart()
            self.command = self._ready = None
            return self._send(S_RESYNCH | S_RESPONSE)
        if block.pcb == S_ABORT and not block.inf and self.command is None:
            self._forget_messages()
            self._sent = self._asked = None
            return self._send(S_ABORT | S_RESPONSE)
        return self._invalid(OTHER_ERROR)

    def _granted(self, request: int, inf: bytes) -> bytes:
        if request == S_ABORT:
            self._forget_messages()
            return self._send(r_pcb(self._nr))
        if request == S_IFS:
            self._in_max = inf[0]
        ready, self._ready = self._ready, None
        return b"" if ready is None else self._answered(ready)

    def _too_long(self) -> bytes:
        self._forget_messages()
        return self._ask(S_ABORT)

    def _repeat(self, block: bytes) -> bytes:
        self._errors += 1
        return block if self._errors <= MAX_TRIES else b""
