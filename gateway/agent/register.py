"""The register of agents: which certificates are admitted, and which were taken back.

A certificate of the authority that is not in this file opens no door: a lost register shuts everybody out,
and lets nobody in. It is read again when it has changed, so that a revocation acts on connections that are
open.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.entries import EntriesFile
from gateway.errors import InputError
from reader.agent.lobby import Peer

FILE = "agents.json"
AGENT_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One certificate. `serial` in hexadecimal; `made`, `ends`, `revoked` ISO 8601, the last one "" until
    then.
    """

    name: str
    practice: str
    serial: str
    made: str
    ends: str
    revoked: str = ""

    @property
    def last_moment(self) -> datetime:
        """When the certificate ends."""
        return datetime.fromisoformat(self.ends)


class Register:
    """The file of the register in the authority's folder; InputError names it when it is not one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = EntriesFile(path, "a register of agents", _entry, self._wrong)

    @classmethod
    def beside(cls, authority: Path) -> Register:
        """The register of the authority with this certificate."""
        return cls(authority.with_name(FILE))

    def entries(self) -> tuple[Enrolled, ...]:
        """What the file holds now, oldest first; nothing when there is none."""
        return self._file.entries()

    def of(self, name: str) -> tuple[Enrolled, ...]:
        """The certificates of this agent that are not taken back."""
        return tuple(entry for entry in self.entries() if entry.name == name and not entry.revoked)

    def check_new(self, name: str, practice: str, *, renew: bool) -> None:
        """InputError when this name cannot be enrolled: taken, of another practice, or nothing to renew."""
        if not AGENT_NAME.fullmatch(name):
            raise InputError("an agent's name has 1 to 40 letters, digits, - or _, and is no person's name")
        known = self.of(name)
        if any(entry.practice != practice for entry in known):
            raise InputError(f"the agent {name} belongs to another practice: choose another name")
        if known and not renew:
            raise InputError(
                f"the agent {name} is enrolled already: add --renew for a newer certificate, or take it "
                f"back with "
                f"vitale-gateway agent revoke {name}"
            )
        if renew and not known:
            raise InputError(f"no agent is called {name}: leave out --renew to enrol it")

    def add(self, entry: Enrolled, *, renew: bool) -> None:
        """Admit a certificate from now on, durably."""
        with self._changing():
            self.check_new(entry.name, entry.practice, renew=renew)
            self._file.write((*self.entries(), entry))

    def revoke(self, name: str, now: datetime) -> int:
        """Take every certificate of this agent back; how many there were. InputError: there were none."""
        with self._changing():
            known = self.of(name)
            if not known:
                raise InputError(f"no agent is called {name}: vitale-gateway agent list shows them")
            taken = tuple(
                replace(entry, revoked=now.isoformat()) if entry in known else entry
                for entry in self.entries()
            )
            self._file.write(taken)
            return len(known)

    def admits(self, peer: Peer, now: datetime) -> bool:
        """Whether this certificate is in the register as it is, not taken back and not ended."""
        shown = f"{peer.serial:x}"
        found = [entry for entry in self.entries() if entry.serial == shown]
        return (
            len(found) == 1
            and not found[0].revoked
            and (found[0].name, found[0].practice) == (peer.name, peer.practice)
            and now < peer.ends
        )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One program at a time changes the register."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_name(f".{self._path.name}.lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _wrong(self, what: str) -> InputError:
        return InputError(
            f"the register {self._path} {what}: bring it back from a backup, or enrol the agents anew"
        )


def _entry(item: dict[str, Any]) -> Enrolled:
    entry = Enrolled(**item)
    if not all(isinstance(value, str) for value in asdict(entry).values()):
        raise TypeError
    datetime.fromisoformat(entry.ends)
    return entry
