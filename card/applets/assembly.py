"""From a card image to a card: which applet answers is written in the image itself."""

from __future__ import annotations

import os
from collections.abc import Callable

from card.applets.cps import CpsApplet
from card.applets.vitale import VitaleApplet
from card.kernel.errors import ImageError
from card.kernel.memory import Memory
from card.kernel.os import CardOS


def assemble(memory: Memory, rng: Callable[[int], bytes] = os.urandom) -> CardOS:
    """The card held by `memory`; raises ImageError when its kind is unknown or a part is missing."""
    kind, atr = memory.get("card/kind"), memory.get("card/atr")
    if atr is None or kind not in (b"cps", b"vitale"):
        raise ImageError("The card image does not say whether it is a CPS or a Vitale; make the card again.")
    if kind == b"cps":
        return CardOS(memory, (CpsApplet(memory, rng),), atr, rng, max_length=CpsApplet.MAX_LENGTH)
    return CardOS(memory, (VitaleApplet(memory, rng),), atr, rng)
