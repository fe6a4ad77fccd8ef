"""Named places where a test may kill the process: one before and one after each durable step.

A failpoint does nothing unless the environment names it: VITALE_FAILPOINT=name[:n]
ends the process with exit code 86 at the n-th passage (n starts at 1).
"""

from __future__ import annotations

import os

EXIT_CODE = 86

_name, _, _count = os.environ.get("VITALE_FAILPOINT", "").partition(":")
_left = int(_count or 1)


def failpoint(name: str) -> None:
    """End the process here, at once and without any clean-up, when the environment says so."""
    global _left  # noqa: PLW0603
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os._exit(EXIT_CODE)
