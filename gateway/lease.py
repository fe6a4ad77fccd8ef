"""The right of this gateway to one card reader, among the gateways that share a store."""

from __future__ import annotations

from datetime import timedelta

from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.store.store import Store

LEASE = timedelta(minutes=1)
"""A gateway that died gives its readers free after so long; one that works renews three times meanwhile."""


class ReaderLease:
    """`take` before the reader is opened, `keep` again and again while it is used, `give_back` at the end.

    `owner`: the name of this gateway, that of the store unless said.
    """

    def __init__(self, store: Store, name: str, clock: Clock, owner: str = "") -> None:
        self._store, self._name, self._clock = store, name, clock
        self._owner = owner or store.owner
        self._renewed = float("-inf")

    def take(self) -> None:
        """The reader is ours from now on; StoreError reader-taken while it is another gateway's."""
        asked = self._clock.monotonic()
        self._store.take_reader(self._name, self._owner, LEASE)
        self._renewed = asked

    def keep(self) -> None:
        """Renew in time. StoreError: it is another's, or may be by now: use it no longer."""
        spent = self._clock.monotonic() - self._renewed
        if spent < LEASE.total_seconds() / 3:
            return
        try:
            self.take()
        except StoreError as problem:
            if problem.code == "reader-taken" or spent >= LEASE.total_seconds():
                raise

    def give_back(self) -> None:
        """Another gateway may have it at once."""
        self._renewed = float("-inf")
        self._store.give_reader_back(self._name, self._owner)
