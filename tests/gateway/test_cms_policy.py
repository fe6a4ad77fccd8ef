"""B13 and A8: only the listed algorithms, and no function that answers "yes" or nothing at all."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
import typing
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from asn1crypto import algos

import gateway.cms
from gateway.cms import enveloped, oids, signed
from gateway.cms.policy import MODERN, POLICIES, SESAM, Policy, policy_named
from gateway.cms.refusal import Refused
from gateway.errors import InputError
from gateway.pki import Purpose, der
from tools.pki import evil, evil_envelope
from tools.pki.workbench import Workbench

DIGESTS = {**algos.DigestAlgorithmId._map}
SIGNATURES = {**algos.SignedDigestAlgorithmId._map}
CIPHERS = {**algos.EncryptionAlgorithmId._map}
EVERY_OID = sorted(
    {*DIGESTS, *SIGNATURES, *CIPHERS, *algos.HmacAlgorithmId._map, "1.2.840.113549.1.9.16.3.18"}
)
PARAMETERS = (b"", b"\x05\x00")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench.make(tmp_path_factory.mktemp("policy"))


def accepted_signed(bench: Workbench, message: evil.Message) -> bool:
    try:
        signed.verify(message.render(), bench.trust, bench.now, purpose=Purpose.CPS_SIGNATURE)
    except Refused:
        return False
    return True


def accepted_envelope(bench: Workbench, envelope: evil_envelope.Envelope, policy: Policy) -> bool:
    try:
        enveloped.decrypt(envelope.render(), bench.receiver.decryption, policy)
    except Refused:
        return False
    return True


def test_digests_and_signatures(bench: Workbench) -> None:
    """Of every OID known to asn1crypto, SHA-256 and the two names of RSA with it are read; no other."""
    good = evil.message(bench)
    digests, signatures = set(), set()
    for dotted in EVERY_OID:
        for parameters in PARAMETERS:
            name = evil.algorithm(dotted, parameters)
            changed = good.edit_signer(lambda one, name=name: replace(one, digest=name))
            if accepted_signed(bench, replace(changed, digests=der.wrap(der.SET, name))):
                digests.add(dotted)
            if accepted_signed(
                bench, good.edit_signer(lambda one, name=name: replace(one, signature_algorithm=name))
            ):
                signatures.add(dotted)
    assert digests == {"2.16.840.1.101.3.4.2.1"}
    assert signatures == {"1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"}


@pytest.mark.parametrize("policy", [MODERN, SESAM], ids=lambda policy: policy.name)
def test_ciphers_and_key_transports(bench: Workbench, policy: Policy) -> None:
    """Of every OID known to asn1crypto, one cipher and one key transport (two ciphers to read in `sesam`)."""
    certificate = bench.receiver.decryption.certificate
    good = (evil_envelope.modern if policy is MODERN else evil_envelope.sesam)(certificate)
    ciphers, transports = set(), set()
    parameters = good.algorithm[der.read(good.algorithm, 2, len(good.algorithm))[2] :]
    short = der.wrap(der.OCTETS, bytes(8))
    for dotted in EVERY_OID:
        for part in (parameters, short, *PARAMETERS):
            name = evil.algorithm(dotted, part)
            if accepted_envelope(bench, replace(good, algorithm=name), policy):
                ciphers.add(CIPHERS[dotted])
            recipient = replace(good.recipients[0], transport=name)
            if accepted_envelope(bench, replace(good, recipients=(recipient,)), policy):
                transports.add(CIPHERS[dotted])
    # 3DES and a bare rsaes_oaep need other keys and parameters than the twin's: the interop tests read them.
    assert (ciphers, transports) == {
        "modern": ({"aes256_gcm"}, set()),
        "sesam": ({"aes128_cbc"}, {"rsaes_pkcs1v15"}),
    }[policy.name]
    assert accepted_envelope(bench, good, policy)


def test_the_table_is_fixed() -> None:
    """Two profiles, frozen, never sharing a cipher or a key transport; no setting widens them."""
    assert set(POLICIES) == {"modern", "sesam"}
    assert not MODERN.reads & SESAM.reads
    assert MODERN.key_transport != SESAM.key_transport
    assert (MODERN.is_authenticated, SESAM.is_authenticated) == (True, False)
    assert SESAM.writes == "aes128-cbc"
    for field in fields(Policy):
        with pytest.raises(FrozenInstanceError):
            setattr(MODERN, field.name, "")
    assert len(enveloped.OAEP_IDENTIFIERS) == 4
    assert set(enveloped.BLOCK_CIPHERS) == SESAM.reads
    assert enveloped.BLOCK_CIPHERS["des-ede3-cbc"].identifier == oids.DES_EDE3_CBC


def test_profiles_by_name() -> None:
    """A profile is asked for by name; an unknown name gets a sentence with the two that exist."""
    assert policy_named("modern") is MODERN
    assert policy_named("sesam") is SESAM
    for name in ("", "Modern", "none"):
        with pytest.raises(InputError, match="choose modern or sesam"):
            policy_named(name)


def test_no_function_answers_with_a_bool_or_nothing() -> None:
    """A8: in gateway.cms success is a value that says who or what; failure is an exception."""
    checked = 0
    for module in pkgutil.iter_modules(gateway.cms.__path__, "gateway.cms."):
        for name, function in functions_of(importlib.import_module(module.name)):
            if name.startswith("__"):
                continue
            answer = typing.get_type_hints(function)["return"]
            assert answer is not bool, f"{module.name}.{name}"
            assert type(None) not in (answer, *typing.get_args(answer)), f"{module.name}.{name}"
            checked += 1
    assert checked > 25


def functions_of(module: types.ModuleType) -> list[tuple[str, types.FunctionType]]:
    """Functions and methods written in this module; properties describe, they do not decide."""
    found: list[tuple[str, types.FunctionType]] = []
    for holder in (module, *(one for _name, one in inspect.getmembers(module, inspect.isclass))):
        if getattr(holder, "__module__", module.__name__) == module.__name__:
            found += [
                (name, one)
                for name, one in inspect.getmembers(holder, inspect.isfunction)
                if one.__module__ == module.__name__
            ]
    return found
