"""Connections whose other end is gone without a word: a machine that lost its power, a cable pulled out."""

from __future__ import annotations

import socket

IDLE, EVERY, TIMES = 30, 10, 3
"""Seconds of quiet before the kernel asks whether the other end is there, between two questions; how many."""


def notice_dead_peers(connected: socket.socket) -> None:
    """Let the kernel end this TCP connection a minute after its other end vanished (RFC 9293, 3.8.4).

    A quiet connection is not a dead one: a host may hold a reader for hours between two patients.
    """
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, EVERY)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, TIMES)
