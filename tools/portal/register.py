"""Who is insured, as the portal knows them: one family a NIR, its access code, its tag in the ledger.

A tag is a keyed digest, so that nothing in the ledger's clear columns names anybody. A code is derived from
the same key: it is the same after a restart and stands in no file.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from card.personalise import list_outcomes, list_profiles, load_profile
from card.profile import CpsProfile, InsuredProfile
from gateway.errors import InputError

KEY_FILE = "ledger.key"
CONTROLLER = "controleur"
_CODE_BYTES = 10


@dataclass(frozen=True)
class Family:
    """An insured person with the beneficiaries. `tag`: 32 bytes that stand for them in the ledger."""

    profile: InsuredProfile = field(repr=False)
    tag: bytes

    @property
    def nir(self) -> str:
        """Thirteen characters."""
        return self.profile.nir[:13]

    @property
    def name(self) -> str:
        """The profile's name, never a person's."""
        return self.profile.name

    @property
    def holder(self) -> str:
        """The insured person's name, for the pages of that person."""
        first = self.profile.people[0]
        return f"{first.first_name} {first.name}"


@dataclass(frozen=True)
class Doctor:
    """A professional who may be chosen as médecin traitant. `number`: billing number, 9 digits."""

    number: str
    label: str


class Seal:
    """Tags and access codes, from the key that lies beside the ledger."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"portal", "sha256")

    @classmethod
    def beside(cls, state: Path) -> Seal:
        """The seal of a receiver's state directory; InputError when it has never served."""
        try:
            return cls((state / KEY_FILE).read_bytes())
        except OSError:
            raise InputError(f"{state.name}: no key of a ledger here; start the receiver first") from None

    def family(self, nir: str) -> bytes:
        """The tag of everybody insured under this NIR (13 characters)."""
        return hmac.digest(self._key, f"family {nir}".encode("ascii"), "sha256")

    def person(self, nir: str, birth_date: str) -> bytes:
        """The tag of one beneficiary; `birth_date` is AAMMJJ."""
        return hmac.digest(self._key, f"person {nir} {birth_date}".encode("ascii"), "sha256")

    # INVENTED(portal-access-code): how people really sign in is another service; 16 letters stand for it.
    def code(self, name: str) -> str:
        """The access code of a profile: four groups of four letters and digits, 80 bits."""
        digest = hmac.digest(self._key, f"code {name}".encode(), "sha256")[:_CODE_BYTES]
        text = base64.b32encode(digest).decode("ascii")
        return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


class Register:
    """Every family of the shipped profiles and of `profiles` (names or files), and every doctor.

    `practitioners`: billing number → what the profile is, for everybody who bills.
    """

    def __init__(self, seal: Seal, profiles: Iterable[str] = ()) -> None:
        self.seal = seal
        self._families: dict[bytes, Family] = {}
        self.doctors: dict[str, Doctor] = {}
        self.practitioners: dict[str, str] = {}
        for name in (*list_profiles(), *list_outcomes(), *profiles):
            self._add(name)
        self._codes = {self._key(seal.code(family.name)): family for family in self}

    def _add(self, name: str) -> None:
        try:
            profile = load_profile(name)
        except ValueError as error:
            raise InputError(str(error)) from None
        if isinstance(profile, InsuredProfile):
            tag = self.seal.family(profile.nir[:13])
            self._families.setdefault(tag, Family(profile, tag))
        elif isinstance(profile, CpsProfile) and profile.outcome is None:
            self.practitioners.setdefault(profile.situations[0].billing_number, profile.label)
            self._add_doctor(profile)

    def _add_doctor(self, profile: CpsProfile) -> None:
        situation = profile.situations[0]
        if situation.group.get("convention") in ("1", "2") and profile.profession == "10":
            label = f"Dr {profile.first_name} {profile.last_name}, {situation.group.get('structure_name')}"
            self.doctors.setdefault(situation.billing_number, Doctor(situation.billing_number, label))

    def __iter__(self) -> Iterator[Family]:
        return iter(self._families.values())

    def family(self, tag: bytes) -> Family | None:
        """The family of this tag."""
        return self._families.get(tag)

    def of_nir(self, nir: str) -> Family | None:
        """The family of this NIR (13 characters)."""
        return self._families.get(self.seal.family(nir))

    def enter(self, code: str) -> Family | None:
        """Whose access code this is; None when it is nobody's."""
        return self._codes.get(self._key(code))

    def is_controller(self, code: str) -> bool:
        """Whether this is the code of the caisse's controller."""
        return hmac.compare_digest(self._key(code), self._key(self.seal.code(CONTROLLER)))

    def _key(self, code: str) -> bytes:
        """What a code is looked up by: a digest, so that the look-up tells nothing by its time."""
        plain = "".join(code.split()).replace("-", "").upper().encode("utf-8", "replace")[:64]
        return self.seal.person(plain.hex(), "code")


def code_lines(state: Path, profiles: Iterable[str] = ()) -> list[str]:
    """The access codes, a line each: the profile's name and its code; the controller's last."""
    register = Register(Seal.beside(state), profiles)
    names = [*(family.name for family in register), CONTROLLER]
    return [f"{name:28} {register.seal.code(name)}" for name in names]
