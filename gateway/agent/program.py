"""The agent at work: opens its reader, dials the gateway, lends, and dials again when the line ends.

Nothing is asked of it from outside: it listens nowhere but at its page on loopback. Between two tries it
waits, longer each time and never exactly as long as others do.
"""

from __future__ import annotations

import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import datetime
from importlib.metadata import entry_points

from gateway.agent.authority import load_certificate
from gateway.agent.ends import Daily, ends
from gateway.agent.settings import AgentSettings
from gateway.clock import Clock, Rng
from gateway.complaints import Complaints
from gateway.config import ReaderConfig
from gateway.errors import GatewayError, InputError
from gateway.exchange.retry import Backoff
from reader.agent.frames import Reason
from reader.agent.lending import Lending, PinDesk
from reader.agent.machines import Ended
from reader.connected import DRIVERS
from reader.errors import ReaderError
from reader.reader import Reader
from reader.slot import Slot
from reader.transport.tls import context, dial

RETRY = Backoff(first=1.0, cap=60.0)
PATIENT = 6
"""A step of the back-off for what a person has to mend first: about half a minute."""

KEPT_LINES = 12
_ENDED = {
    Reason.STOPPING: "the gateway stops",
    Reason.BROKE_RULES: "the line was not understood: bring agent and gateway to the same version",
    Reason.VERSION: "the gateway speaks another version of the line: bring both to the same version",
    Reason.NOT_EXPECTED: "no reader of the gateway waits for this agent: ask the operator to add it",
    Reason.ALREADY_HERE: "another program has connected with the same certificate: end one of the two",
    Reason.REVOKED: "the certificate of this agent was taken back: ask the operator to enrol it anew",
    Reason.SILENT: "the gateway gave the connection up",
}
_MENDED_BY_HAND = frozenset({Reason.VERSION, Reason.NOT_EXPECTED, Reason.ALREADY_HERE, Reason.REVOKED})


class Agent:
    """One agent. `run` works until `stop`; what it does is said in one line each, and kept for the page."""

    def __init__(
        self,
        settings: AgentSettings,
        pins: PinDesk | None,
        clock: Clock,
        rng: Rng,
        say: Callable[[str], None],
    ) -> None:
        self.settings, self._pins, self._clock, self._rng, self._say = settings, pins, clock, rng, say
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.is_connected = False
        self.slots: Sequence[Slot] = ()
        self.certificate_ends: datetime | None = None
        self.open_reader: Callable[[ReaderConfig], Reader] = open_local
        self._complaints, self._daily = Complaints(self.say, clock), Daily(self.say, clock)
        self._stop = threading.Event()
        self._lending: Lending | None = None

    def say(self, text: str) -> None:
        """One line for whoever looks on, kept for the page."""
        self.lines.append(text)
        self._say(text)

    def stop(self) -> None:
        """End in good order; safe from a signal handler."""
        self._stop.set()
        lending = self._lending
        if lending is not None:
            lending.stop()

    def run(self) -> None:
        """Lend until told to stop."""
        reader = self._opened()
        if reader is None:
            return
        with closing(reader):
            self.slots = reader.slots
            self.say(
                f"reader: {self.settings.reader.driver}, slots {', '.join(slot.name for slot in self.slots)}"
            )
            failed = 0
            while not self._stop.is_set():
                failed = self._lend(failed)
                if not self._stop.is_set():
                    self._stop.wait(RETRY.delay(max(1, failed), self._rng))

    def _opened(self) -> Reader | None:
        """The reader of the settings, waited for; None when told to stop before."""
        failed = 0
        while not self._stop.is_set():
            try:
                return self.open_reader(self.settings.reader)
            except ReaderError as problem:
                failed += 1
                self._complaints.say(f"the reader is waited for: {problem}")
            self._stop.wait(RETRY.delay(failed, self._rng))
        return None

    def _lend(self, failed: int) -> int:
        """Dial once and lend until the line ends; how many tries in a row have failed then."""
        try:
            self._warn()
            ended = self._dialled()
        except (GatewayError, ReaderError) as problem:
            self._complaints.say(str(problem))
            return max(failed + 1, PATIENT)
        except OSError as problem:
            was_connected, self.is_connected = self.is_connected, False
            self._complaints.say(self._why(problem))
            return 1 if was_connected else failed + 1
        was_connected, self.is_connected = self.is_connected, False
        if self._stop.is_set():
            return 0
        self._complaints.say(_ENDED[ended.reason])
        if ended.reason in _MENDED_BY_HAND:
            return max(failed + 1, PATIENT)
        return 1 if was_connected else failed + 1

    def _dialled(self) -> Ended:
        settings = self.settings
        made = context(settings.identity, listens=False)
        stream = dial(settings.host, settings.port, made)
        lending = self._lending = Lending(
            self.slots, stream, self._pins, self._welcomed, each_second=self._each_second
        )
        try:
            if self._stop.is_set():
                lending.stop()
            return lending.run()
        finally:
            self._lending = None
            with suppress(OSError):
                stream.close()

    def _welcomed(self, _said: str) -> None:
        self.is_connected = True
        self._complaints.clear()
        self.say(f"gateway {self.settings.host}:{self.settings.port}: connected, it may use the slots")

    def _each_second(self) -> None:
        if self.certificate_ends is not None:
            self._daily.look(
                "the certificate of this agent", self.certificate_ends, "ask the operator to renew it"
            )

    def _warn(self) -> None:
        """Thirty days before its certificate ends, once a day, and what to do; InputError when it has
        ended.
        """
        last, now = (
            load_certificate(self.settings.identity.certificate).not_valid_after_utc,
            self._clock.now(),
        )
        if last <= now:
            raise InputError(f"the certificate of this agent {ends(last, now)}: ask the operator to renew it")
        self.certificate_ends = last
        self._each_second()

    def _why(self, problem: OSError) -> str:
        where = f"the gateway {self.settings.host}:{self.settings.port}"
        if isinstance(problem, ssl.SSLCertVerificationError):
            return (
                f"{where} shows no certificate of our authority ({problem.verify_message}): correct gateway "
                f"or "
                "authority in the settings"
            )
        if isinstance(problem, ssl.SSLError) and (alert := _ALERTS.get(problem.reason or "")):
            return f"{where} refuses this agent: {alert}"
        if isinstance(problem, ssl.SSLError):
            return f"{where} is no gateway ({problem.reason or 'no TLS'}): correct its address"
        what = problem.strerror or str(problem) or "it hung up"
        if self.is_connected:
            return f"{where}: the connection broke ({what}); it is tried again"
        return f"{where} cannot be reached ({what}); it is tried again"


_ALERTS = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "its certificate has ended, ask the operator to renew it",
    "TLSV1_ALERT_UNKNOWN_CA": "its certificate is of another authority, ask the operator to enrol it",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it shows no certificate, correct certificate in the settings",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it shows no agent's certificate, ask the operator to enrol it",
    "SSLV3_ALERT_BAD_CERTIFICATE": "its certificate is not good, ask the operator to enrol it anew",
    "TLSV1_ALERT_DECRYPT_ERROR": "its key does not fit its certificate, correct both in the settings",
}


def open_local(config: ReaderConfig) -> Reader:
    """The reader of this machine; InputError when there is no such driver, ReaderError when it cannot be
    opened.
    """
    found = entry_points(group=DRIVERS)
    if config.driver not in found.names:
        known = ", ".join(sorted(found.names - {"agent"})) or "none is installed"
        raise InputError(f"reader driver {config.driver!r} is not known: choose one of {known}")
    driver: Callable[..., Reader] = found[config.driver].load()
    return driver(config.slots, alone=True) if config.alone else driver(config.slots)
