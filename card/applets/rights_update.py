"""How an update kiosk gives a Vitale new rights: PUT DATA `DA 01 F0`, chained, all files or none.

The data is one object 53 a file: its identifier (2 bytes) and its whole new content. Only a kiosk that has
just proved itself (card_to_card.py) may, and only into the protected files of rights.
6982 no kiosk · 6A80 not such objects · 6A82 no such file.
"""

from __future__ import annotations

from card.applets.card_to_card import CardToCard
from card.iso7816 import tlv
from card.iso7816.apdu import CommandAPDU, ResponseAPDU
from card.kernel.access import EXTERNAL_CPS
from card.kernel.applet import DONE
from card.kernel.errors import CardError
from card.kernel.filesystem import TRANSPARENT, Ef
from card.kernel.session import Session

PUT_DATA = 0xDA
# INVENTED(rights-update): how a kiosk writes rights is not public, one PUT DATA of ours does it.
RIGHTS = 0x01F0
_FILE = 0x53
_FIRST, _LAST = 0x2010, 0x2015


class RightsUpdate:
    """The command of the kiosk."""

    def __init__(self, session: Session, card_to_card: CardToCard) -> None:
        self._session, self._card_to_card = session, card_to_card

    def put(self, command: CommandAPDU) -> ResponseAPDU:
        """PUT DATA of rights: durable together before it is answered; what was proved is used up."""
        if command.p1 << 8 | command.p2 != RIGHTS:
            raise CardError(0x6A88)
        session = self._session
        session.require(EXTERNAL_CPS)
        if not self._card_to_card.is_kiosk:
            raise CardError(0x6982)
        contents = self._contents(command.data)
        if not contents:
            raise CardError(0x6A80)
        session.files.rewrite(contents)
        session.enter(session.df)
        return DONE

    def _contents(self, data: bytes) -> dict[Ef, bytes]:
        try:
            items = tlv.parse(data)
        except tlv.TlvError:
            raise CardError(0x6A80) from None
        contents: dict[Ef, bytes] = {}
        for item in items:
            if item.tag != _FILE or len(item.value) < 2:
                raise CardError(0x6A80)
            ef = self._file(int.from_bytes(item.value[:2], "big"))
            if ef in contents:
                raise CardError(0x6A80)
            contents[ef] = item.value[2:]
        return contents

    def _file(self, fid: int) -> Ef:
        node = self._session.df.children.get(fid)
        if not _FIRST <= fid <= _LAST or not isinstance(node, Ef) or node.kind != TRANSPARENT:
            raise CardError(0x6A82)
        return node
