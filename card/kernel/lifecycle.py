"""Making, removing and activating files (ISO 7816-9), and the end of personalisation.

A card in personalisation state accepts CREATE FILE, DELETE FILE, UPDATE and PUT DATA; once it is
operational they need secure messaging with issuer keys, that is 6982 (facts 7.2, attack K15).
"""

from __future__ import annotations

from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.access import ACTIVATE, CREATE_DF, CREATE_EF, DEACTIVATE, DELETE
from card.kernel.applet import DONE
from card.kernel.errors import CardError
from card.kernel.filesystem import ACTIVATED, CYCLIC, DEACTIVATED, LINEAR, TRANSPARENT, Df, DfSpec, Ef, EfSpec
from card.kernel.session import Session

_KINDS = {0x01: TRANSPARENT, 0x02: LINEAR, 0x06: CYCLIC}
_LARGEST_FILE = 0x7FFF
_LARGEST_DF = 256  # files in one DF; a card has an end
_LARGEST_TREE = 1024  # files in all
_LARGEST_CARD = 1024 * 1024  # bytes of all files: an image must never outgrow what can be opened again
_DEEPEST = 8  # DFs inside one another


class LifeCycleCommands:
    """CREATE FILE E0, DELETE FILE E4, ACTIVATE 44, DEACTIVATE 04."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, command: CommandAPDU) -> ResponseAPDU:
        """A new file below the current DF, described by its FCP; it becomes current."""
        session, parent = self._session, self._session.df
        found = _parameters(command.data) if session.personalising else {}
        is_df = found.get(0x82, b"\x01")[:1] == b"\x38"
        session.require(parent.rules[CREATE_DF if is_df else CREATE_EF])
        if command.p1 or command.p2:
            raise CardError(0x6A86)
        spec = _spec(found, is_df)
        self._check_free(parent, spec)
        node = session.files.create(parent, spec)
        if isinstance(node, Df):
            session.enter(node)
        else:
            session.open(node)
        return DONE

    def delete(self, command: CommandAPDU) -> ResponseAPDU:
        """The current EF (or DF when no EF is current), or the child named in the data field."""
        node = self._target(command)
        self._session.require(node.rules[DELETE])
        if node.parent is None:
            raise CardError(0x6985)
        self._session.files.delete(node)
        self._session.enter(node.parent)
        return DONE

    def activate(self, command: CommandAPDU) -> ResponseAPDU:
        """The current file; on the MF of a card in personalisation: make the card operational."""
        node = self._target(command)
        self._session.require(node.rules[ACTIVATE])
        if node.parent is None:
            self._session.make_operational()
        else:
            self._session.files.set_life(node, ACTIVATED)
        return DONE

    def deactivate(self, command: CommandAPDU) -> ResponseAPDU:
        """The current EF answers 6283 to SELECT and 6985 to use until it is activated again."""
        node = self._target(command)
        self._session.require(node.rules[DEACTIVATE])
        if not isinstance(node, Ef):
            raise CardError(0x6985)
        self._session.files.set_life(node, DEACTIVATED)
        return DONE

    def _target(self, command: CommandAPDU) -> Df | Ef:
        if command.p1 or command.p2:
            raise CardError(0x6A86)
        if not command.data:
            return self._session.ef or self._session.df
        if len(command.data) != 2:
            raise CardError(0x6700)
        node = self._session.df.children.get(int.from_bytes(command.data, "big"))
        if node is None:
            raise CardError(0x6A82)
        return node

    def _check_free(self, parent: Df, spec: DfSpec | EfSpec) -> None:
        files = self._session.files
        if spec.fid in parent.children or spec.fid in (parent.fid, 0x3F00, 0x3FFF, 0xFFFF, 0):
            raise CardError(0x6A89)
        if isinstance(spec, DfSpec) and any(df.name == spec.name and spec.name for df in files.names):
            raise CardError(0x6A8A)
        if spec.sfi is not None and spec.sfi in parent.short:
            raise CardError(0x6A89)
        if files.count >= _LARGEST_TREE or len(parent.children) >= _LARGEST_DF:
            raise CardError(0x6A84)
        if parent.key.count("/") > _DEEPEST:
            raise CardError(0x6A84)
        if isinstance(spec, EfSpec) and files.room_taken + spec.size > _LARGEST_CARD:
            raise CardError(0x6A84)


def _parameters(data: bytes) -> dict[int, bytes]:
    try:
        return {item.tag: item.value for item in tlv.walk(tlv.find(data, 0x62) or b"")}
    except tlv.TlvError:
        raise CardError(0x6A80) from None


def _spec(found: dict[int, bytes], is_df: bool) -> DfSpec | EfSpec:
    fid, size = found.get(0x83, b""), int.from_bytes(found.get(0x80, found.get(0x81, b"")), "big")
    descriptor, short = found.get(0x82, b"\x01"), found.get(0x88)
    if len(fid) != 2 or descriptor[:1] == b"" or (short is not None and len(short) != 1):
        raise CardError(0x6A80)
    if size > _LARGEST_FILE:
        raise CardError(0x6A84)
    number, name = int.from_bytes(fid, "big"), found.get(0x84)
    sfi = short[0] >> 3 if short else None
    try:
        rules = _rules(found)
        if is_df:
            return DfSpec(number, name, rules, (), sfi)
        kind = _KINDS[descriptor[0] & 0x07]
        record_size = 0 if kind is TRANSPARENT else int.from_bytes(descriptor[2:4], "big")
        if kind is not TRANSPARENT and size < record_size:
            raise CardError(0x6A80)
        return EfSpec(number, kind, size, record_size, b"", rules, sfi, name)
    except (KeyError, ValueError, tlv.TlvError):
        raise CardError(0x6A80) from None


def _rules(found: dict[int, bytes]) -> bytes:
    """Access rules for the contact interface: 8C, alone or inside A1; none means "never"."""
    return found.get(0x8C) or tlv.find(found.get(0xA1, b""), 0x8C) or b"\x00"
