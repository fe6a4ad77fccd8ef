"""The address of somebody who publishes over HTTP: which ones are asked at all."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from gateway.errors import InputError


def checked(base: str, *, allow_remote: bool = False) -> SplitResult:
    """The parts of the address of a publisher; InputError when it is none, or not of this machine."""
    try:
        parts = urlsplit(base)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("must be an address such as http://127.0.0.1:8430") from None
    plain = base.isascii() and base.isprintable() and not set(base) & set(' "<>\\^`{|}')
    if parts.scheme not in ("http", "https") or not host or not plain or parts.query or parts.fragment:
        raise InputError("must be an address such as http://127.0.0.1:8430")
    if parts.username is not None or parts.password is not None:
        raise InputError("must hold no name and no password: what is published needs none")
    if host.rstrip(".").endswith("rss.fr"):
        raise InputError("names rss.fr, which is never resolved: give the publisher of the bench")
    if not (allow_remote or host == "localhost" or _is_loopback(host)):
        raise InputError("is not of this machine: set opposition_remote to ask another one")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
