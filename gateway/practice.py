"""Everything the straight line needs from outside, in one value: store, clock, tables, trust, keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.billing.tables import Tables
from gateway.clock import Clock, Rng
from gateway.cms.enveloped import DecryptionKey
from gateway.cms.policy import Policy
from gateway.errors import CardRefusal
from gateway.exchange.calendar import territory_of
from gateway.pki import OppositionList, Trust, VitaleAuthority
from gateway.store.store import Store


@dataclass(frozen=True)
class Practice:
    """One practice at work. `id` is its short name in the store, `address` its mail address.

    `receiver_certificate` (DER) encrypts what leaves, `decryption` opens what comes back; `other_receivers`
    and `other_keys` stand beside them while an old one and a new one overlap (gateway.certificates chooses).
    `files`: where a certificate (DER) was read from.
    `optam` and `zone` are what no card says of the practice's tariffs; `holidays` names the territory whose
    public holidays count there, "" when the zone tells it;
    `lot_size` is the most FSE in one lot.
    """

    id: str
    address: str
    store: Store
    clock: Clock
    rng: Rng = field(repr=False)
    tables: Tables = field(repr=False)
    trust: Trust = field(repr=False)
    vitale_authority: VitaleAuthority = field(repr=False)
    opposition: OppositionList = field(repr=False)
    policy: Policy
    receiver_certificate: bytes = field(repr=False)
    decryption: DecryptionKey = field(repr=False)
    optam: bool = False
    zone: str = "metropole"
    practitioners: tuple[str, ...] = ()
    lot_size: int = 50
    other_receivers: tuple[bytes, ...] = field(default=(), repr=False)
    other_keys: tuple[DecryptionKey, ...] = field(default=(), repr=False)
    holidays: str = ""
    files: Mapping[bytes, Path] = field(default_factory=dict, repr=False)

    @property
    def territory(self) -> str:
        """Where it lies, for its public holidays (gateway.exchange.calendar.TERRITORIES)."""
        return self.holidays or territory_of(self.zone)

    def admit(self, national_id: str, slot: str) -> None:
        """Refuse a CPS whose holder does not work here; an empty list of `practitioners` admits everybody."""
        if self.practitioners and national_id not in self.practitioners:
            raise CardRefusal(
                f"The holder of the CPS in the {slot} slot does not bill in this practice: "
                "insert another CPS, or add the practitioner to the settings.",
                code="practitioner-unknown",
            )
