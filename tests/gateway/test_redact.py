"""The second net: what looks like a NIR does not pass a log."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.redact import MASK, RedactingFilter, redact

NIR = "2501962643002"


@pytest.mark.parametrize(
    "text",
    [
        NIR, NIR + "68", "nir=" + NIR, "'" + NIR + "'", "2 50 19 62 643 002 68", "2 50 19 62 643 002",
        "2-50-19-62-643-002-68", "18001 2A 001 001".replace(" ", ""), "180012A001001",
        "1 80 01 2b 001 001 88",
        "x" + NIR + "y", NIR + "\n", "9991962643002",
    ],
)  # fmt: skip
def test_what_looks_like_a_nir_is_removed(text: str) -> None:
    """Plain, spaced, hyphenated, Corsican and embedded forms, with and without key."""
    assert redact(text).count(MASK) == 1
    assert not any(part in redact(text) for part in ("643002", "643 002", "001001", "001 001", "643-002"))


@pytest.mark.parametrize(
    "text",
    [
        "", "lot 12 of 2026-03-02", "compostage 2026030209000000001", "sender 00000099123456",
        "FSE 123456789", "810000000000", "2026-03-02T09:00:00.000000Z", "192.168.10.1 port 2525",
    ],
)  # fmt: skip
def test_what_people_need_stays(text: str) -> None:
    """Dates, FSE numbers, sender numbers, national ids and compostages are not touched."""
    assert redact(text) == text


@settings(max_examples=200, deadline=None)
@given(
    st.from_regex(r"[12][0-9]{2}(?:1[3-9]|20)(?:[0-9]{2}|2[AB])[0-9]{6}(?:[0-9]{2})?", fullmatch=True),
    st.text("abc ,;:=()", max_size=8),
)
def test_no_nir_survives_in_a_sentence(nir: str, around: str) -> None:
    """Any NIR with an impossible month, as all our test people have, is removed wherever it stands."""
    assert nir not in redact(f"{around}{nir}{around}")


def test_log_filter_covers_arguments_and_tracebacks() -> None:
    """Message, arguments, exception text and stack are all redacted; ordinary lines pass unchanged."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    log = logging.getLogger("test-redact")
    log.propagate = False
    log.addHandler(handler)
    try:
        log.warning("patient %s of lot %d", NIR, 12)
        try:
            raise ValueError(f"bad NIR {NIR}")
        except ValueError:
            log.exception("refused", stack_info=True)
        log.warning("lot %d sent", 12)
    finally:
        log.removeHandler(handler)
    text = stream.getvalue()
    assert NIR not in text
    assert f"patient {MASK} of lot 12" in text
    assert f"ValueError: bad NIR {MASK}" in text
    assert "lot 12 sent" in text
