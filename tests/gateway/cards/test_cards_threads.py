"""One practitioner's session cannot be borrowed: several threads, one CPS (promise B7)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal
from reader.errors import SlotTaken

SIGNED = "COMPUTE DIGITAL SIGNATURE 9E9A 32 bytes Le 256 → 9000"


def together(*works: Callable[[], None]) -> None:
    """Run the works at once; the first error of any of them is raised here."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if errors:
        raise errors[0]


def test_threads_share_a_session(bench):
    """Signing and authenticating from four threads over one session: every result verifies."""
    session = bench.verified_cps()
    keys = {
        der: x509.load_der_x509_certificate(der).public_key()
        for der in (session.signature_certificate, session.authentication_certificate)
    }

    def work(mark: int) -> None:
        for at in range(6):
            data = b"%d/%d" % (mark, at)
            signature = session.sign_digest(hashlib.sha256(data).digest())
            proof = session.authenticate(data)
            for der, value in zip(keys, (signature, proof), strict=True):
                keys[der].verify(value, data, padding.PKCS1v15(), hashes.SHA256())

    together(*(lambda mark=mark: work(mark) for mark in range(4)))


def test_nobody_comes_between_pin_and_signature(bench):
    """Two clients with their own sessions: no command of one between PIN and signature of the other."""
    done: list[int] = []

    def client(mark: int) -> None:
        while done.count(mark) < 8:
            try:
                session = CpsSession.open(bench.connect("CPS"))
                with session.exclusive():
                    session.verify_pin(bench.pin)
                    bench.trace("--", bytes((0x80, mark, 0, 0)), b"\x90\x00")
                    for _ in range(2):
                        session.sign_digest(bytes(32))
                    bench.trace("--", bytes((0x80, mark, 0, 1)), b"\x90\x00")
                done.append(mark)
            except SlotTaken:
                continue

    together(lambda: client(1), lambda: client(2))
    inside: list[str] = []
    for line in bench.trace.lines():
        if line.startswith("--"):
            if inside:
                assert len([kept for kept in inside if SIGNED in kept]) == 2
                assert all("POWER ON" not in kept and "VERIFY" not in kept for kept in inside)
                inside = []
            else:
                inside = [line]
        elif inside:
            inside.append(line)


def test_no_signature_without_a_pin_since_power_on(bench):
    """Sessions that take the slot from each other: each signature follows a PIN since the last power-on."""

    def client(mark: int) -> None:
        for _ in range(12):
            try:
                session = CpsSession.open(bench.connect("CPS"))
                if mark:
                    session.verify_pin(bench.pin)
                session.sign_digest(bytes(32))
            except (SlotTaken, CardRefusal):
                continue

    together(lambda: client(0), lambda: client(1), lambda: client(1))
    verified = False
    for line in bench.trace.lines():
        if "POWER ON" in line:
            verified = False
        elif "VERIFY 0001" in line:
            verified = "9000" in line
        elif SIGNED in line:
            assert verified


def test_a_crash_of_the_holder_frees_the_card(bench):
    """A thread that dies inside exclusive() leaves the card to others, who must give the PIN themselves."""
    session = bench.verified_cps()

    def dies() -> None:
        with session.exclusive():
            raise RuntimeError("the holder dies")

    with pytest.raises(RuntimeError):
        together(dies)
    following = CpsSession.open(bench.connect("CPS"))
    with pytest.raises(CardRefusal, match="present the PIN"):
        following.sign_digest(bytes(32))


def test_both_cards_at_once_do_not_lock_up(bench):
    """Threads that need both cards take them in the same order and all finish."""
    cps, vitale = bench.verified_cps(), VitaleSession.open(bench.connect("Vitale"))

    def work() -> None:
        for _ in range(4):
            vitale.authenticate(cps)
            vitale.seal(bytes(32))
            cps.sign_digest(bytes(32))

    together(*[work] * 4)
