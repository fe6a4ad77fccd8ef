"""Nothing of anybody in traces, errors and reprs of a whole visit (promise A11)."""

from __future__ import annotations

import base64

import pytest

from gateway.cards.cps import CpsSession
from gateway.cards.vitale import VitaleSession
from gateway.errors import CardRefusal
from gateway.secret import Secret


def encodings(secret: str) -> set[str]:
    """The ways a secret could be written in a line of text."""
    text = secret.encode()
    forms = {
        secret,
        secret[::-1],
        " ".join(secret),
        text.hex(),
        text.hex(" "),
        base64.b64encode(text).decode()[:-4],
    }
    if secret.isdecimal():
        packed = bytes.fromhex(secret if len(secret) % 2 == 0 else secret + "f")
        forms |= {packed.hex(), packed.hex(" ")}
    return {form for form in forms if len(form) >= 3} | {form.upper() for form in forms if len(form) >= 3}


def test_a_whole_visit_leaves_no_trace_of_anybody(bench):
    """After open, PIN (wrong, right), card-to-card, rights, seal and signature: no NIR, name, date or PIN."""
    said: list[str] = []
    cps, vitale = CpsSession.open(bench.connect("CPS")), VitaleSession.open(bench.connect("Vitale"))
    for refused in (vitale.read_rights, lambda: cps.verify_pin(Secret("7391"))):
        with pytest.raises(CardRefusal) as error:
            refused()
        said += [str(error.value), repr(error.value)]
    cps.verify_pin(bench.pin)
    vitale.authenticate(cps)
    rights = vitale.read_rights()
    vitale.seal(bytes(32))
    cps.sign_digest(bytes(32))
    said += [
        *bench.trace.lines(),
        repr(rights),
        repr(cps),
        repr(vitale),
        repr(cps.holder),
        repr(vitale.holders),
    ]
    said += [repr(cps.situations), repr(bench.reader), repr(bench.reader.slots)]

    secrets = {"7391", "1234", rights.insured_nir, rights.insured_nir + rights.nir_key}
    secrets |= {cps.holder.name, cps.holder.first_name}
    for person in rights.beneficiaries:
        secrets |= {person.name, person.first_name, person.own_nir, f"{person.birth_date:%Y%m%d}"}
    secrets.discard("")
    assert len(secrets) > 8
    text = "\n".join(said)
    assert not {s for s in secrets if s != "1234" and any(form in text for form in encodings(s))}
    assert "31323334" not in text.replace(" ", "")


def test_the_trace_tells_the_story(bench):
    """Positive twin: the trace does name every step, with its status in words."""
    cps, vitale = CpsSession.open(bench.connect("CPS")), VitaleSession.open(bench.connect("Vitale"))
    cps.verify_pin(bench.pin)
    vitale.authenticate(cps)
    story = "\n".join(bench.trace.lines())
    for words in (
        "CPS    POWER ON → ATR 3B AC 00 40",
        "CPS    VERIFY 0001 data **** → 9000 normal processing",
        "CLA 10 PSO VERIFY CERTIFICATE 00AE 255 bytes → 9000",
        "GET CHALLENGE 0000 Le 16 → 9000 normal processing, 16 bytes",
        "INTERNAL AUTHENTICATE 0000 51 bytes Le 256 → 9000 normal processing, 256 bytes",
        "EXTERNAL AUTHENTICATE 0000 1 bytes → 9000",
    ):
        assert words in story
