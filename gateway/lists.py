"""The opposition list, fetched by the gateway itself: daily updates, signed, applied in order or not at all.

Asked now and then for the update that follows the version held here (gateway.pki.opposition tells a torn,
reordered or rolled-back one apart); when there is no way from here, for the complete list. What was not
signed by a receiver that is trusted, or does not follow, leaves the list as it is: freshness then decides.
The file that the settings name is replaced whole, and every practice of this gateway takes it up by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gateway.clock import Clock, Rng
from gateway.cms.signed import verify
from gateway.errors import ExchangeError, GatewayError, TrustError
from gateway.exchange.fetch import Fetcher
from gateway.exchange.retry import Backoff
from gateway.pki import OppositionList, Purpose, Trust

MAX_LIST = 64 * 1024 * 1024
"""Octets of one answer: four million cards and their signature."""

MOST_UPDATES = 500
"""In one go: more than a year of days."""

FOUND, NOTHING_NEW, NO_WAY = 200, 204, 404
"""The answers of a publisher: a signed list or update, none is newer, no update follows that version."""

_RETRY = Backoff(first=5.0)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is known of the fetching: the last success, and why it fails since, "" when it does not."""

    at: datetime | None = None
    trouble: str = ""
    failures: int = 0


class OppositionSource:
    """Keeps the file of one opposition list up to date; used by one thread.

    `fetch` asks the publisher, `trust` gives what is believed at that moment, `every` is the time between
    two questions; after a failure it is asked again sooner, later each time, with jitter.
    """

    def __init__(
        self,
        fetch: Fetcher,
        file: Path,
        trust: Callable[[], Trust],
        clock: Clock,
        rng: Rng,
        every: timedelta,
    ) -> None:
        self._fetch, self._file, self._trust = fetch, file, trust
        self._clock, self._rng, self._every = clock, rng, every
        self._due = float("-inf")
        self._held: tuple[tuple[int, int], OppositionList] | None = None
        self.known = Fetched()

    @property
    def source(self) -> str:
        """Who is asked."""
        return self._fetch.base

    def look(self) -> OppositionList | None:
        """Ask when it is time; the new list when there is one. GatewayError: the list stays as it is."""
        if self._clock.monotonic() < self._due:
            return None
        return self.fetch()

    def fetch(self) -> OppositionList | None:
        """Ask now."""
        try:
            newer = self._newer()
        except GatewayError as problem:
            failures = self.known.failures + 1
            wait = min(self._every.total_seconds(), _RETRY.delay(failures, self._rng))
            self._due = self._clock.monotonic() + wait
            self.known = Fetched(self.known.at, str(problem), failures)
            raise ExchangeError(
                f"opposition list: {problem}; the list held here stays", code=problem.code
            ) from None
        self._due = self._clock.monotonic() + self._every.total_seconds()
        self.known = Fetched(self._clock.now())
        return newer

    def _newer(self) -> OppositionList | None:
        held = self._present()
        newer = self._complete(None) if held is None else self._following(held)
        if newer is held or newer is None:
            return None
        try:
            newer.save(self._file)
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            raise TrustError(
                f"{self._file} cannot be written ({why}): free the disk or correct its rights"
            ) from None
        return newer

    def _following(self, held: OppositionList) -> OppositionList:
        """The list after every update there is; the complete one when there is no way, or a bad one."""
        newest = held
        try:
            for _ in range(MOST_UPDATES):
                update = self._ask(f"/opposition?after={newest.number}")
                if update is None:
                    return newest
                newest = newest.apply(update)
        except (_NoWay, TrustError) as bad:
            try:
                return self._complete(newest)
            except TrustError as worse:
                raise (worse if isinstance(bad, _NoWay) else bad) from None
        return newest

    def _complete(self, held: OppositionList | None) -> OppositionList:
        content = self._ask("/opposition")
        if content is None:
            raise TrustError(f"{self.source} publishes no list: correct opposition_source of [trust]")
        return OppositionList.parse(content) if held is None else held.replaced_by(content)

    def _ask(self, path: str) -> bytes | None:
        """What the publisher signed; None when there is nothing newer."""
        answer = self._fetch.get(path, MAX_LIST)
        if answer.status == NOTHING_NEW:
            return None
        if answer.status == NO_WAY and "after=" in path:
            raise _NoWay
        if answer.status != FOUND:
            raise ExchangeError(f"{self.source} answers {answer.status}; it will be tried again")
        now = self._clock.now()
        signer = verify(answer.body, self._trust(), now, purpose=Purpose.RECEIVER_SIGNATURE, limit=MAX_LIST)
        return signer.content

    def _present(self) -> OppositionList | None:
        """The list of the file, read again only when the file has changed; a damaged one is fetched anew."""
        try:
            seen = self._file.stat()
        except OSError:
            return None
        stamp = (seen.st_mtime_ns, seen.st_size)
        if self._held is None or self._held[0] != stamp:
            try:
                self._held = stamp, OppositionList.load(self._file)
            except TrustError:
                return None
        return self._held[1]


class _NoWay(Exception):
    """The publisher keeps no update that follows the version held here."""
