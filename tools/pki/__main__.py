"""python -m tools.pki DIR: make a whole test authority, or publish fresh revocation lists in one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reader.console import finish


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when done, 1 when refused (one sentence), 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m tools.pki", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the authority lives (made 0700)")
    parser.add_argument("--practice", action="append", default=[], help="also issue this practice's key")
    options = parser.parse_args(arguments)
    from card.issuer import IssuerError  # noqa: PLC0415
    from gateway.errors import GatewayError  # noqa: PLC0415

    return finish("pki", lambda: _make(options.directory, options.practice), (GatewayError, IssuerError))


def _make(directory: Path, practices: Sequence[str]) -> int:
    from gateway.clock import SystemClock  # noqa: PLC0415
    from tools.pki.authority import Authority  # noqa: PLC0415

    now = SystemClock().now()
    authority = Authority.open(directory, now)
    authority.renew_crls(now)
    for practice in practices:
        authority.practice_keys(practice)
    print(f"test authority ready in {directory}; give {authority.trust_directory} to gateway and receiver")
    return 0


if __name__ == "__main__":
    sys.exit(main())
