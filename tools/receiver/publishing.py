"""The opposition list as its publisher keeps it: the complete file, and beside it an update a version.

The complete list lies where `--opposition` says, each update in `NAME-000000012.update` beside it. A day
without a new card has its update too: gateways take no list older than 24 hours. Somebody else may write the
complete list anew at any time; cards that were declared here come back onto it with the next update.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import InputError, TrustError
from gateway.pki import OppositionList
from gateway.pki.opposition import Opposition, encode_update

# INVENTED(opposition-daily-update): when the daily update comes is not public: ours does after twelve hours.
RENEWED_AFTER = timedelta(hours=12)
KEPT_UPDATES = 400
"""More than a year of days; older updates are taken away."""
_NUMBERED = re.compile(r".*-([0-9]{9})\.update")


class OppositionPublisher:
    """Keeps one list. `declared` gives the cards that must be on it; `told` hears of each new version."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        told: Callable[[OppositionList], None],
        declared: Callable[[], Iterable[Opposition]] = tuple,
    ) -> None:
        self.path, self.declared = path, declared
        self._clock, self._told = clock, told
        self._guard = threading.Lock()
        self._seen: tuple[int, int] = (0, 0)
        self._issued = datetime.min.replace(tzinfo=UTC)

    def publish(self) -> OppositionList:
        """Bring the list up to date: missing cards, the update of the day. TrustError for a damaged list."""
        with self._guard:
            current = OppositionList.load(self.path)
            added = [one for one in self.declared() if current.lookup(one.serial) is None]
            if added or self._clock.now() - current.issued >= RENEWED_AFTER:
                current = self._update(current, added)
            self._seen, self._issued = _stamp(self.path), current.issued
        self._told(current)
        return current

    def _update(self, current: OppositionList, added: list[Opposition]) -> OppositionList:
        """Write the update first, then the list: who reads the list finds the way to it."""
        issued = max(self._clock.now(), current.issued + timedelta(seconds=1))  # later than the last one
        update = encode_update(current, issued, added, [])
        following = current.apply(update)
        self._update_file(following.number).write_bytes(update)
        self._update_file(following.number - KEPT_UPDATES).unlink(missing_ok=True)
        following.save(self.path)
        return following

    def keep(self) -> None:
        """Now and then: publish when the day is over, or when somebody else has written the list."""
        if not self.path.exists():
            return
        is_old = self._clock.now() - self._issued >= RENEWED_AFTER
        if is_old or _stamp(self.path) != self._seen:
            self.publish()

    def complete(self) -> OppositionList:
        """The present list; TrustError when its file is missing or damaged."""
        return OppositionList.load(self.path)

    def update_after(self, number: int) -> bytes | None:
        """The update that follows a version, as its publisher wrote it.

        None when that version is the present one; InputError when the way from there is not kept: the
        complete list leads on.
        """
        present = self.complete().number
        if number == present:
            return None
        try:
            if number < present:
                return self._update_file(number + 1).read_bytes()
        except FileNotFoundError:
            pass
        except OSError as trouble:
            raise TrustError(f"an opposition update cannot be read ({trouble.strerror})") from None
        raise InputError(f"no update leads on from list {number}: fetch the complete list")

    def updates(self) -> list[int]:
        """The versions whose update is kept, oldest first."""
        found = (_NUMBERED.fullmatch(one.name) for one in self.path.parent.glob(f"{self.path.stem}-*.update"))
        return sorted(int(match[1]) for match in found if match is not None)

    def _update_file(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.stem}-{max(number, 0):09d}.update")


def _stamp(path: Path) -> tuple[int, int]:
    seen = path.stat()
    return seen.st_mtime_ns, seen.st_size
