"""A session with a CPS: holder, certificates, PIN, situations, signature, authentication."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.layout import cps as layout
from card.layout.ssv import Group
from gateway.cards.access import decoded, read_file, require_card, select_application, unexpected
from gateway.cards.session import CardSession
from gateway.cards.signing import (
    SIGNATURE_LENGTH,
    checked_signature,
    compute_signature,
    mse_set,
)
from gateway.errors import CardRefusal
from gateway.secret import Secret
from reader.connection import Connection
from reader.errors import CardProtocolError
from reader.pinpad import SW_CANCELLED, SW_LENGTH, SW_TIMED_OUT, PinEntry

PIN_DIGITS = 4
PIN_STORED = 8
"""The code porteur has 4 digits, sent as 8 bytes filled with FF (facts of the card's AODF)."""

DIGEST_INFO_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of a SHA-256, before the digest (RFC 8017, 9.2 note 1)."""

_SIGN = mse_set(0xB6, 0x42, layout.KEY_SIGNATURE)
_AUTHENTICATE = mse_set(0xA4, 0x02, layout.KEY_AUTHENTICATION)


_PAD_REFUSALS = {
    int.from_bytes(SW_TIMED_OUT): ("pin-timeout", "No PIN was typed in time on the pad of"),
    int.from_bytes(SW_CANCELLED): ("pin-cancelled", "The PIN entry was cancelled on the pad of"),
    int.from_bytes(SW_LENGTH): ("pin-format", "Too few or too many digits were typed on the pad of"),
}
"""What the reader itself answers (PC/SC part 10, 2.5.4); the card has seen nothing and counts no try."""

_SAME_NAME = (
    "logical_number",
    "mode",
    "status",
    "sector",
    "structure_id_type",
    "structure_id",
    "structure_name",
    "billing_number",
    "billing_key",
    "convention",
    "specialty",
    "zone",
    "ik_zone",
)


class PinRefusal(CardRefusal):
    """The card did not accept the PIN; `remaining_tries` says how many are left (0: blocked)."""

    def __init__(self, sentence: str, *, code: str, remaining_tries: int) -> None:
        super().__init__(sentence, code=code)
        self.remaining_tries = remaining_tries


@dataclass(frozen=True, slots=True)
class Holder:
    """The practitioner on the card. `national_id` is type and number, "8" followed by 11 RPPS digits."""

    national_id: str
    id_type: str
    civility: str
    name: str = field(repr=False)
    first_name: str = field(repr=False)
    profession: str

    @property
    def full_name(self) -> str:
        """Name and first name, as lots and invoices write them."""
        return f"{self.name} {self.first_name}".strip()

    @classmethod
    def from_file(cls, read: layout.HolderName) -> Holder:
        """The holder as CPS_NAME_PS gives it."""
        return cls(
            national_id=read.national_id,
            id_type=read.id_type,
            civility=read.civility,
            name=read.name,
            first_name=read.first_name,
            profession=read.profession,
        )


@dataclass(frozen=True, slots=True)
class Situation:
    """One place of practice: the fields of SSV group 2."""

    logical_number: str
    mode: str
    status: str
    sector: str
    structure_id_type: str
    structure_id: str
    structure_name: str = field(repr=False)
    billing_number: str
    billing_key: str
    convention: str
    specialty: str
    zone: str
    ik_zone: str
    agreements: tuple[str, ...]
    may_sign_invoice: bool
    may_sign_lot: bool

    @property
    def identifier(self) -> str:
        """Billing number and key, nine digits: what invoices and lots of this place are filed under."""
        return self.billing_number + self.billing_key

    @classmethod
    def from_group(cls, group: Group) -> Situation:
        """The situation written in an SSV group 2."""
        get = group.get
        agreements = (get("agreement_1"), get("agreement_2"), get("agreement_3"))
        return cls(
            **{name: get(name) for name in _SAME_NAME},
            agreements=tuple(agreement for agreement in agreements if agreement not in ("", "00")),
            may_sign_invoice=get("may_sign_invoice") == "1",
            may_sign_lot=get("may_sign_lot") == "1",
        )


class CpsSession(CardSession):
    """An open session with a CPS. A `Signer` once the PIN is verified.

    `serial`, `holder`, `signature_certificate` and `authentication_certificate` (DER) are read by `open`;
    `situations` by `verify_pin`. Every call raises the errors of `reader.errors` when the card is pulled
    out or misbehaves: open a new session after that, the PIN is asked again.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.serial = ""
        self.holder = Holder("", "", "", "", "", "")
        self.situations: tuple[Situation, ...] = ()
        self.signature_certificate = b""
        self.authentication_certificate = b""
        self._verified = False

    @classmethod
    def open(cls, connection: Connection) -> CpsSession:
        """Read what is free on the card; raises CardRefusal (wrong-card) when the slot holds another card."""
        session = cls(connection)
        with connection.exclusive():
            session._read_free_files()
        return session

    @property
    def certificate(self) -> bytes:
        """The signature certificate (DER): what a `Signer` shows."""
        return self.signature_certificate

    @property
    def pin_verified(self) -> bool:
        """True after `verify_pin` until the session ends."""
        return self._verified

    def verify_pin(self, pin: Secret) -> None:
        """Present the code porteur, then read the situations.

        Nothing is sent for an empty or impossible PIN (CardRefusal pin-format: no try is spent). A wrong one
        raises PinRefusal wrong-pin, a blocked card PinRefusal pin-blocked.
        """
        command = CommandAPDU(0, 0x20, 0x00, 0x01, self._pin_block(pin))
        self._verify(lambda: self.connection.transmit(command))

    def verify_pin_on_pad(self) -> None:
        """Let the reader ask for the code porteur on its own pad, then read the situations.

        Raises NoPinPad when it has none, CardRefusal pin-timeout, pin-cancelled or pin-format when nothing
        was given to the card, and what `verify_pin` raises when the card refused what was typed.
        """
        self._verify(lambda: self.connection.verify_on_pad(PinEntry.for_cps()))

    def _verify(self, present: Callable[[], ResponseAPDU]) -> None:
        with self.connection.exclusive():
            self._ready()
            self._verified = False
            answer = present()
            if answer.sw != 0x9000:
                raise self._pin_refused(answer)
            self._verified = True
            self._environment.forget()
            self.situations = self._read_situations()

    def sign_digest(self, digest: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 signature (256 bytes) with the signature key over a SHA-256 digest (32 bytes).

        Raises CardRefusal (access-refused) before `verify_pin`, InputError on another length.
        """
        operation = compute_signature(digest)
        with self.connection.exclusive():
            self._ready()
            answer = self._environment.perform(_SIGN, operation)
        if answer.sw != 0x9000:
            raise self._key_refused("to sign", answer)
        return checked_signature(self.connection, answer)

    def authenticate(self, data: bytes) -> bytes:
        """INTERNAL AUTHENTICATE with the authentication key over SHA-256(data): 256 bytes.

        Raises CardRefusal (access-refused) before `verify_pin`.
        """
        info = DIGEST_INFO_SHA256 + hashlib.sha256(data).digest()
        with self.connection.exclusive():
            self._ready()
            operation = CommandAPDU(0, 0x88, 0x00, 0x00, info, SIGNATURE_LENGTH)
            answer = self._environment.perform(_AUTHENTICATE, operation)
        if answer.sw != 0x9000:
            raise self._key_refused("to authenticate", answer)
        return checked_signature(self.connection, answer)

    def close(self) -> None:
        """End the session: the card is reset and forgets the PIN. Safe when the card has gone."""
        self._verified = False
        super().close()

    def _after_others(self) -> None:
        """Back to the application of the keys; the PIN is the card's own and stays verified meanwhile."""
        super()._after_others()
        select_application(self.connection, layout.AID_CONTACT)

    def _key_refused(self, what: str, answer: ResponseAPDU) -> CardRefusal | CardProtocolError:
        """A card that wants its PIN again says so: another program may have taken it away."""
        if answer.sw == 0x6982:
            self._verified = False
        return unexpected(self.connection, what, answer)

    def _read_free_files(self) -> None:
        connection = self.connection
        self._tenure = connection.tenure
        require_card(connection, "CPS")
        self.serial = decoded(connection, layout.SerialNumber.decode, read_file(connection, layout.FID_SN))
        if not select_application(connection, layout.AID_CONTACT):
            raise CardProtocolError(connection.slot_name, "it has no contact application")
        name = read_file(connection, layout.FID_NAME_PS)
        self.holder = Holder.from_file(decoded(connection, layout.HolderNameFile.decode, name))
        self.signature_certificate = self._read_certificate(layout.FID_CERT_SIGNATURE)
        self.authentication_certificate = self._read_certificate(layout.FID_CERT_AUTHENTICATION)

    def _read_certificate(self, fid: int) -> bytes:
        """One DER object; the file may be longer than its certificate, filled with zeros."""
        content = decoded(self.connection, tlv.parse, read_file(self.connection, fid))
        if len(content) != 1 or content[0].tag != 0x30:
            raise CardProtocolError(self.connection.slot_name, f"file {fid:04X} is not one certificate")
        return content[0].to_bytes()

    def _read_situations(self) -> tuple[Situation, ...]:
        content = read_file(self.connection, layout.FID_SIT_FACT)
        groups = decoded(self.connection, layout.SituationFile.decode, content)
        return tuple(Situation.from_group(group) for group in groups)

    def _pin_block(self, pin: Secret) -> bytes:
        digits = pin.reveal()
        if len(digits) != PIN_DIGITS or not digits.isdigit():
            raise CardRefusal(
                f"The PIN of a CPS has {PIN_DIGITS} digits: type it again "
                f"(nothing was sent to the card in the {self.connection.slot_name} slot).",
                code="pin-format",
            )
        return digits.ljust(PIN_STORED, b"\xff")

    def _pin_refused(self, answer: ResponseAPDU) -> CardRefusal | CardProtocolError:
        where = f"the CPS in the {self.connection.slot_name} slot"
        if answer.sw in _PAD_REFUSALS:
            code, what = _PAD_REFUSALS[answer.sw]
            return CardRefusal(f"{what} the reader of {where}: ask for the PIN again.", code=code)
        tries = 0 if answer.sw == 0x6983 else answer.sw.remaining_tries
        if tries is None:
            return unexpected(self.connection, "the PIN", answer)
        if tries == 0:
            return PinRefusal(
                f"The PIN of {where} is blocked: unblock it with its PUK, or use another CPS.",
                code="pin-blocked",
                remaining_tries=0,
            )
        left = "1 try is left" if tries == 1 else f"{tries} tries are left"
        return PinRefusal(
            f"Wrong PIN for {where}: {left} before it blocks, type it again with care.",
            code="wrong-pin",
            remaining_tries=tries,
        )
