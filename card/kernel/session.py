"""What a card knows between power on and power off: current files, status, key choices."""

from __future__ import annotations

from collections.abc import Callable

from card.kernel.access import NEVER, SecurityStatus
from card.kernel.blueprint import OPERATIONAL, PERSONALISATION
from card.kernel.errors import CardError
from card.kernel.filesystem import Df, Ef, FileSystem
from card.kernel.memory import Memory


class Environment:
    """The current security environment: templates set by MSE, the hash made by PSO HASH.

    templates: control reference tag (AA hash, B6 signature, A4 authentication, B8 confidentiality)
    → (algorithm, key reference).
    """

    def __init__(self) -> None:
        self.templates: dict[int, tuple[int, int]] = {}
        self.digest: tuple[int, bytes] | None = None

    def clear(self) -> None:
        """No key is chosen, no hash is waiting."""
        self.templates.clear()
        self.digest = None


class Session:
    """The volatile half of an applet, shared by its groups of commands."""

    def __init__(self, memory: Memory, rng: Callable[[int], bytes], tree: str = "ias") -> None:
        self.memory = memory
        self.rng = rng
        self.files = FileSystem(memory, tree)
        self.security = SecurityStatus()
        self.environment = Environment()
        self.serial = memory.get("card/serial") or b""
        self._personalising = memory.get("card/life") == bytes((PERSONALISATION,))
        self.df: Df = self.files.mf
        self.reset()

    def reset(self) -> None:
        """Everything proved or chosen is forgotten; the MF is current."""
        self.security.reset()
        self.enter(self.files.mf)

    def enter(self, df: Df) -> None:
        """Make a DF current: what belonged to the application before it ends."""
        self.df = df
        self.ef: Ef | None = None
        self.record = 0
        self.challenge = b""
        self.certified_key: object | None = None
        self.environment.clear()
        self.security.leave_application()

    def open(self, ef: Ef) -> None:
        """Make an EF current, and its DF when that is another one."""
        if ef.parent is not self.df:
            self.enter(ef.parent)
        self.ef = ef
        self.record = 0

    @property
    def personalising(self) -> bool:
        """True until the card is made operational: access rules do not apply yet."""
        return self._personalising

    def make_operational(self) -> None:
        """End personalisation, durably and for ever."""
        self.memory.put("card/life", bytes((OPERATIONAL,)))
        self._personalising = False

    def require(self, condition: int) -> None:
        """6982 unless the access condition is fulfilled."""
        if not (self._personalising or self.security.satisfies(condition)):
            raise CardError(0x6982)

    def require_personalising(self) -> None:
        """6982 on an operational card: what only the issuer may do (facts 7.2, attack K15)."""
        if not self._personalising:
            self.require(NEVER)
