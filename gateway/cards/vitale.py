"""A session with a Carte Vitale: free reading, card-to-card authentication, rights, seal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from card.iso7816.apdu import CommandAPDU
from card.layout import vitale as layout
from card.layout.rights import RIGHTS_FILES, decode_rights
from card.layout.vitale import Holder
from gateway.cards.access import decoded, read_file, require_card, select_application, unexpected
from gateway.cards.cps import CpsSession
from gateway.cards.rights import Rights
from gateway.cards.session import CardSession
from gateway.cards.signing import checked_signature, compute_signature, mse_set
from gateway.errors import CardRefusal
from reader.connection import Connection
from reader.errors import CardProtocolError

CHALLENGE_LENGTH = 16

_SEAL = mse_set(0xB6, 0x42, layout.KEY_SEAL)
_GET_CHALLENGE = CommandAPDU(0, 0x84, 0, 0, b"", CHALLENGE_LENGTH)


class VitaleSession(CardSession):
    """An open session with a Vitale.

    `serial` (20 digits), `validity_end`, `certificate` (the 7F21 object) and `holders` are free to read;
    rights and the seal need `authenticate(cps)` first. Every call raises the errors of
    `reader.errors` when the card is pulled out or misbehaves: open a new session after that.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.serial = ""
        self.validity_end = date.min
        self.certificate = b""
        self.holders: tuple[Holder, ...] = ()
        self._authenticated = False

    @classmethod
    def open(cls, connection: Connection) -> VitaleSession:
        """Read what is free on the card and select the VITALE application.

        Raises CardRefusal (wrong-card) when the slot holds something else.
        """
        session = cls(connection)
        with connection.exclusive():
            session._read_free_files()
        return session

    def _read_free_files(self) -> None:
        connection = self.connection
        self._tenure = connection.tenure
        require_card(connection, "Vitale")
        self.serial = decoded(connection, layout.Pan.decode, read_file(connection, layout.FID_PAN))
        self.holders = decoded(connection, layout.Identity.decode, read_file(connection, layout.FID_IDENTITY))
        content = read_file(connection, layout.FID_CERTIFICATE)
        certificate = decoded(connection, layout.Certificate.decode, content)
        if certificate.serial.hex().upper() != self.serial:
            raise CardProtocolError(connection.slot_name, "its certificate names another card")
        self.certificate, self.validity_end = content, certificate.expiry
        if not select_application(connection, layout.AID_VITALE):
            raise CardProtocolError(connection.slot_name, "it has no VITALE application")

    def check_validity(self, today: date) -> None:
        """Raise CardRefusal (vitale-expired) when the card's last day is before `today`."""
        if self.validity_end < today:
            raise CardRefusal(
                f"The Vitale in the {self.connection.slot_name} slot has expired: bill without the card, and "
                "have the patient ask the caisse for a new one.",
                code="vitale-expired",
            )

    @property
    def is_authenticated(self) -> bool:
        """True after `authenticate(cps)`: the card gives its rights and seals."""
        return self._authenticated

    def authenticate(self, cps: CpsSession) -> None:
        """Let the CPS prove itself to this card: certificate, challenge, answer (ISO/IEC 7816-8, 7816-4 7.5).

        The CPS needs its PIN verified. Raises CardRefusal (cps-refused) when this card does not accept it.
        """
        with cps.exclusive(), self.connection.exclusive():
            self._ready()
            self._authenticated = False
            self._accepted(CommandAPDU(0, 0x2A, 0x00, 0xAE, cps.authentication_certificate))
            challenge = self._challenge()
            proof = cps.authenticate(challenge + bytes.fromhex(self.serial))
            self._accepted(CommandAPDU(0, 0x82, 0x00, 0x00, proof))
            self._authenticated = True

    def read_rights(self) -> Rights:
        """The rights of everyone on the card; raises CardRefusal (access-refused) before `authenticate`."""
        with self.connection.exclusive():
            self._ready()
            self._environment.forget()
            files = {fid: read_file(self.connection, fid) for fid in RIGHTS_FILES}
        return decoded(self.connection, _rights, files)

    def seal(self, digest: bytes) -> bytes:
        """The card's RSA signature (256 bytes, PKCS#1 v1.5) over a SHA-256 digest.

        Raises CardRefusal (access-refused) before `authenticate`, InputError on a digest of another length.
        """
        operation = compute_signature(digest)
        with self.connection.exclusive():
            self._ready()
            answer = self._environment.perform(_SEAL, operation)
        if answer.sw != 0x9000:
            raise unexpected(self.connection, "the seal", answer)
        return checked_signature(self.connection, answer)

    def close(self) -> None:
        """End the session: the card is reset and forgets the CPS. Safe when the card has gone."""
        self._authenticated = False
        super().close()

    def _challenge(self) -> bytes:
        answer = self.connection.transmit(_GET_CHALLENGE)
        if answer.sw != 0x9000:
            raise unexpected(self.connection, "a challenge", answer)
        if len(answer.data) != CHALLENGE_LENGTH:
            raise CardProtocolError(self.connection.slot_name, "a challenge of the wrong length")
        return answer.data

    def _accepted(self, command: CommandAPDU) -> None:
        """Send one step of the card-to-card authentication; any refusal of it is a CardRefusal."""
        answer = self.connection.transmit(command)
        if answer.sw != 0x9000:
            raise CardRefusal(
                f"The Vitale in the {self.connection.slot_name} slot does not accept this CPS "
                f"({answer.sw.describe()}): use a CPS of the same authority as the Vitale.",
                code="cps-refused",
            )


def _rights(files: Mapping[int, bytes]) -> Rights:
    return Rights.from_groups(decode_rights(files))
