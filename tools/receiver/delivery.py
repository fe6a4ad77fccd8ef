"""The outbox: mails reach the mailboxes after the commit, at least once, the same bytes each time."""

from __future__ import annotations

from gateway.clock import Clock
from gateway.failpoint import failpoint
from tools.receiver.directory import PracticeDirectory
from tools.receiver.ledger import Ledger


class Postman:
    """Delivers what waits in the outbox. One thread only."""

    def __init__(self, ledger: Ledger, directory: PracticeDirectory, clock: Clock) -> None:
        self._ledger, self._directory, self._clock = ledger, directory, clock

    def deliver(self) -> dict[str, int]:
        """Deliver everything that waits; counts by kind of mail. StoreError leaves the rest for later."""
        counts: dict[str, int] = {}
        while waiting := self._ledger.waiting_mail(self._clock.now().timestamp()):
            done = []
            for row, kind, sender, body in waiting:
                failpoint("receiver-deliver-before")
                mailbox = self._directory.mailbox(sender)
                if mailbox is not None:
                    mailbox.deliver(body)
                    counts[kind] = counts.get(kind, 0) + 1
                done.append(row)
                failpoint("receiver-deliver-after")
            self._ledger.delivered(done, self._clock.now().timestamp())
        return counts
