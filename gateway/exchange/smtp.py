"""Sending mail over SMTP: a session kept open, one deadline for the whole call, loopback only by default.

The relay is a peer that may be slow, endless or gone. Every reply is bounded in time and size, every failure
becomes one of two words: Transient (the same bytes again later) or Permanent (they will never be taken).
A reply lost after the final dot is Transient and `uncertain` (RFC 1047): the receiver knows repeats by id.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import smtplib
import socket
import threading
import time
from collections.abc import Callable

from gateway.errors import ExchangeError, InputError

MAX_REPLY_OCTETS = 64 * 1024

_ENVELOPE = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?")
_SIZE = re.compile(r"[0-9]{1,20}")
"""The value of SIZE (RFC 1870 section 4: at most 20 digits, ASCII)."""


class Transient(ExchangeError):
    """Not sent this time, or not known to be: send the same bytes again later.

    `uncertain` is True when the reply after the final dot was lost, so the receiver may have it;
    `unreached` when the relay never came to see this message, so that the failure says nothing about it.
    """

    code = "transient"

    def __init__(self, sentence: str, *, uncertain: bool = False, unreached: bool = False) -> None:
        super().__init__(sentence)
        self.uncertain, self.unreached = uncertain, unreached


class Permanent(ExchangeError):
    """Refused for good: sending the same bytes again will not help."""

    code = "permanent"


class SmtpSender:
    """One SMTP session to one relay, opened at need, reused, and safe to share between threads.

    `host` is an address or a name of this machine unless `allow_remote`; names under rss.fr are never used.
    `timeout` is the time in seconds that one `send` may take, connection included.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeout: float = 30.0,
        *,
        allow_remote: bool = False,
        hello: str = "vitale-gateway.invalid",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = (_guarded(host, allow_remote), port)
        self._timeout, self._hello, self._monotonic = timeout, hello, monotonic
        self._session: _Session | None = None
        self._latest: _Session | None = None
        self._ended = False
        self._lock = threading.Lock()

    def send(self, envelope_from: str, envelope_to: str, raw: bytes) -> None:
        """Hand one message over; returns only when the relay said 250. Raises Transient or Permanent.

        InputError when an address or the message itself could be read as SMTP commands.
        """
        _check_envelope(envelope_from, "envelope_from")
        _check_envelope(envelope_to, "envelope_to")
        body = _stuffed(raw)
        with self._lock:
            if self._ended:
                raise _ended()
            deadline = self._monotonic() + self._timeout
            self._begin(envelope_from, deadline)
            self._hand_over(envelope_to, body)

    def greet(self) -> None:
        """Open a session with the relay and end it, without any message. Raises Transient or Permanent."""
        with self._lock:
            session = self._open(self._monotonic() + self._timeout)
            session.say_quit(self._monotonic() + min(self._timeout, 2.0))

    def close(self) -> None:
        """Say QUIT and close; never raises."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.say_quit(self._monotonic() + min(self._timeout, 2.0))

    def abort(self) -> None:
        """Send nothing more and break off what another thread is sending: it hears Transient at once."""
        self._ended = True
        if self._latest is not None:
            self._latest.break_off()

    def _begin(self, envelope_from: str, deadline: float) -> None:
        """MAIL FROM on the open session; one that the relay closed meanwhile is opened again, once."""
        if self._session is not None:
            try:
                self._session.start(deadline)
                self._step("MAIL FROM", lambda session: session.mail(envelope_from))
            except _Gone:
                self._drop()
            else:
                return
        self._session = self._open(deadline)
        try:
            self._step("MAIL FROM", lambda session: session.mail(envelope_from))
        except _Gone as error:
            raise Transient(
                f"The relay closed the session at MAIL FROM ({error}); it will be tried again.",
                unreached=True,
            ) from error

    def _open(self, deadline: float) -> _Session:
        session = self._latest = _Session(self._monotonic, deadline, self._hello)
        try:
            code, text = session.connect(*self._address)
            if code == 220:
                session.ehlo_or_helo_if_needed()
                return session
        except (OSError, smtplib.SMTPException, _Endless) as error:
            session.close()
            raise Transient(
                f"The relay cannot be reached ({_why(error)}); it will be tried again.", unreached=True
            ) from error
        session.close()
        raise Transient(
            f"The relay gives no service ({code} {_readable(text)}); it will be tried again.", unreached=True
        )

    def _hand_over(self, envelope_to: str, body: bytes) -> None:
        try:
            self._refuse_too_large(len(body))
            self._step("RCPT TO", lambda session: session.rcpt(envelope_to))
            self._step("DATA", lambda session: session.docmd("DATA"), wanted=354)
            self._write(body)
        except _Gone as error:
            self._drop()
            raise Transient(f"The relay closed the session ({error}); it will be tried again.") from error
        try:
            self._step("final dot", lambda session: session.getreply())
        except _Gone as error:
            self._drop()
            raise Transient(
                f"The reply after the final dot was lost ({error}); the same bytes will be sent again.",
                uncertain=True,
            ) from error

    def _refuse_too_large(self, size: int) -> None:
        """RFC 1870: what the relay said it cannot take is not sent at all."""
        limit = self._live().size_limit
        if 0 < limit < size:
            if not self._reset():
                self._drop()
            raise Permanent(
                f"The relay takes {limit} octets at most and the message has {size}; make it smaller."
            )

    def _write(self, body: bytes) -> None:
        try:
            self._live().write(body)
        except OSError as error:
            raise _Gone(_why(error)) from error

    def _step(self, name: str, call: Callable[[_Session], tuple[int, bytes]], wanted: int = 250) -> None:
        """One command and its reply; a refusal ends the transaction, a broken session raises _Gone."""
        try:
            code, text = call(self._live())
        except (OSError, smtplib.SMTPException, _Endless) as error:
            raise _Gone(_why(error)) from error
        if code == wanted or (wanted == 250 and 200 <= code < 300):
            return
        if code in (421, -1):
            raise _Gone(f"reply {code}")
        if not 400 <= code < 600 or not self._reset():
            self._drop()
        raise _refusal(name, code, text)

    def _reset(self) -> bool:
        """RSET after a refusal, so that the session can be used for the next message."""
        try:
            return self._live().docmd("RSET")[0] == 250
        except (OSError, smtplib.SMTPException, _Endless):
            return False

    def _live(self) -> _Session:
        if self._session is None:
            raise _Gone("no session")
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class _Gone(Exception):
    """The session is broken: what it means depends on how far the message was."""


class _Endless(Exception):
    """The relay sends more than a reply can hold."""


class _Socket(socket.socket):
    """A socket with one deadline and one reading budget for a whole call, however the peer drips."""

    deadline: float
    budget: int
    monotonic: Callable[[], float]

    def _spend(self) -> None:
        left = self.deadline - self.monotonic()
        if left <= 0:
            raise TimeoutError("no complete answer in time")
        self.settimeout(left)

    def recv_into(self, buffer, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[no-untyped-def]
        self._spend()
        count = super().recv_into(buffer, nbytes, flags)
        self.budget -= count
        if self.budget < 0:
            raise _Endless(f"more than {MAX_REPLY_OCTETS} octets of replies")
        return count

    def sendall(self, data, flags: int = 0) -> None:  # type: ignore[no-untyped-def]
        self._spend()
        super().sendall(data, flags)


class _Session(smtplib.SMTP):
    """smtplib's client over a `_Socket`."""

    def __init__(self, monotonic: Callable[[], float], deadline: float, hello: str) -> None:
        self._monotonic, self._deadline = monotonic, deadline
        self._opened: _Socket | None = None
        super().__init__(local_hostname=hello)

    def _get_socket(
        self, host: str, port: int, timeout: object
    ) -> _Socket:  # smtplib's seam, used by SMTP_SSL
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = _Socket(family, socket.SOCK_STREAM)
        self._opened = opened  # known from now on, so that the connecting can be broken off too
        opened.monotonic = self._monotonic
        self._arm(opened, self._deadline)
        try:
            opened.settimeout(max(0.001, self._deadline - self._monotonic()))
            opened.connect((host, port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            opened.close()
            raise
        return opened

    @staticmethod
    def _arm(opened: _Socket, deadline: float) -> None:
        opened.deadline, opened.budget = deadline, MAX_REPLY_OCTETS

    @property
    def size_limit(self) -> int:
        """The largest message that the relay announced (RFC 1870); 0 when it did not."""
        text = self.esmtp_features.get("size", "") if self.does_esmtp else ""
        return int(text) if _SIZE.fullmatch(text) else 0

    def start(self, deadline: float) -> None:
        """A new call on this session: a new deadline, a new budget."""
        if not isinstance(self.sock, _Socket):
            raise _Gone("session closed")
        self._arm(self.sock, deadline)

    def write(self, body: bytes) -> None:
        """The octets after 354, already stuffed and ended by the final dot."""
        if self.sock is None:
            raise OSError("session closed")
        self.sock.sendall(body)

    def break_off(self) -> None:
        """End both directions of the line: whoever waits on it is woken. For another thread."""
        if self._opened is not None:
            with contextlib.suppress(OSError):
                self._opened.shutdown(socket.SHUT_RDWR)

    def say_quit(self, deadline: float) -> None:
        """QUIT if it can be said; closed in any case."""
        with contextlib.suppress(OSError, smtplib.SMTPException, _Endless, _Gone):
            self.start(deadline)
            self.docmd("QUIT")
        self.close()


def _ended() -> Transient:
    return Transient("Sending was stopped before this message; it will be sent after the next start.")


def _guarded(host: str, allow_remote: bool) -> str:
    """The address to connect to; nothing under rss.fr is resolved, nothing at all without allow_remote."""
    if host.lower().rstrip(".").endswith("rss.fr"):
        raise InputError(
            "relay: a name under rss.fr is never resolved; give the relay of the bench, 127.0.0.1."
        )
    if host == "localhost":
        return "127.0.0.1"
    if allow_remote:
        return host
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise InputError(
        "relay: only an address of this machine (127.0.0.1, ::1) is used unless remote is allowed."
    )


def _check_envelope(address: str, name: str) -> None:
    if not _ENVELOPE.fullmatch(address):
        raise InputError(f"{name}: not an address that can stand in an SMTP command; correct it.")


def _stuffed(raw: bytes) -> bytes:
    """Dot-stuffed octets with the final dot (RFC 5321 section 4.5.2); a bare CR or LF would be smuggling."""
    pairs = raw.count(b"\r\n")
    if raw.count(b"\r") != pairs or raw.count(b"\n") != pairs or not raw.endswith(b"\r\n"):
        raise InputError("message: lines must end with CR LF only, the last one too; it is not sent.")
    stuffed = raw.replace(b"\r\n.", b"\r\n..")
    return (b"." if raw.startswith(b".") else b"") + stuffed + b".\r\n"


def _refusal(step: str, code: int, text: bytes) -> ExchangeError:
    """4xx is for later, 5xx for good; anything else is a peer that does not speak SMTP: later."""
    said = f"{code} {_readable(text)}"
    if 500 <= code < 600:
        return Permanent(f"The relay refused the message at {step} ({said}); it will not be sent as it is.")
    return Transient(f"The relay did not take the message at {step} ({said}); it will be tried again.")


def _readable(text: bytes) -> str:
    """What the relay said, short and on one line; runs of digits long enough for a NIR are cut out."""
    line = re.sub(rb"[^ -~]+", b" ", text[:120]).decode("ascii")
    return re.sub(r"[0-9][0-9 ]{11,}", "…", line)


def _why(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPServerDisconnected | _Endless):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no complete answer in time"
    return getattr(error, "strerror", None) or type(error).__name__
