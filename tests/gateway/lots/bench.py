"""Figures of the lots room on a lot of 50 FSE: `python -m tests.gateway.lots.bench`."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.cms.policy import MODERN, SESAM, Policy
from gateway.lots.fse import Fse, encode_fse
from gateway.lots.lot import Lot
from gateway.lots.lot_file import parse_file
from gateway.lots.sealing import open_sealed, seal
from gateway.lots.verify import verify_fse, verify_lot
from gateway.pki import Purpose
from tests.gateway.lots.world import INSURED, NOW, PRACTITIONER, SERIAL, World, priced


def best(work: Callable[[], object], times: int, rounds: int = 7) -> float:
    """Microseconds for one call: the best of several rounds."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - start) / times)
    return min(found) * 1e6


def main() -> None:
    """Print one line for each figure."""
    world = World.load()
    price = priced()
    one = world.fse(1)
    lot = world.lot(*(world.fse(number) for number in range(1, 51)))
    request = world.request
    print(f"file of 50 FSE: {len(lot.file)} bytes, {len(lot.file) // 128} records")
    encode = best(
        lambda: encode_fse(1, NOW, PRACTITIONER, INSURED, request, price, vitale_serial=SERIAL), 300
    )
    print(f"encode_fse  {encode:7.1f} us")
    draft = world.draft(1)
    seals = world.seal(draft.digest), world.vitale_certificate, world.cps.sign_digest(draft.digest)
    print(f"sealed      {best(lambda: draft.sealed(*seals), 300):7.1f} us")
    print(f"Fse.parse   {best(lambda: Fse.parse(one.records), 300):7.1f} us")
    check = best(lambda: verify_fse(one, world.cps.certificate, world.vitale_authority), 300)
    print(f"verify_fse  {check:7.1f} us")
    print(f"parse_file  {best(lambda: parse_file(lot.file), 10) / 50:7.1f} us for one FSE")
    whole = best(lambda: verify_lot(lot.file, world.trust, world.vitale_authority, NOW), 5)
    print(f"verify_lot  {whole / 50:7.1f} us for one FSE")
    for policy in (MODERN, SESAM):
        compare(world, lot, policy)


def compare(world: World, lot: Lot, policy: Policy) -> None:
    """Sealing and opening against the bare primitives on the same bytes."""

    def sealing() -> bytes:
        return seal(
            lot, sender="a@b.test", recipient="01349@349.01.rss.fr",
            recipient_certificate=world.receiver.certificate, policy=policy,
            signer=world.cps if policy.signed else None, rng=os.urandom, now=NOW,
        ).message  # fmt: skip

    message = sealing()

    def opening() -> object:
        return open_sealed(
            message, key=world.receiver, policy=policy, trust=world.trust,
            purpose=Purpose.CPS_SIGNATURE, when=NOW,
        )  # fmt: skip

    down, up = primitives(world, lot.file, policy)
    for name, work, raw in (("seal", sealing, down), ("open", opening, up)):
        pairs = [(best(work, 4, 1), best(raw, 4, 1)) for _ in range(25)]
        ours, bare = (min(column) / 1000 for column in zip(*pairs, strict=True))
        print(f"{policy.name:6} {name} {ours:6.2f} ms, primitives {bare:6.2f} ms: {bare / ours:.0%}")


def primitives(
    world: World, file: bytes, policy: Policy
) -> tuple[Callable[[], object], Callable[[], object]]:
    """zlib, SHA-256, RSA and AES alone, on as many bytes."""
    key, iv = os.urandom(32 if policy.signed else 16), os.urandom(12 if policy.signed else 16)
    packed = zlib.compress(file, 6, wbits=31)
    content = os.urandom(len(packed) * 4 // 3 // 16 * 16)
    padding = OAEP(MGF1(SHA256()), SHA256(), None) if policy.signed else PKCS1v15()
    wrapped = world.receiver.private_key.public_key().encrypt(key, padding)
    digest = sha256(content).digest()
    signature = world.cps.sign_digest(digest)
    public = world.receiver.private_key.public_key()
    sealed = AESGCM(key).encrypt(iv, content, None) if policy.signed else b""

    def down() -> None:
        zlib.compress(file, 6, wbits=31)
        sha256(file).digest()
        if policy.signed:
            world.cps.sign_digest(sha256(content).digest())
            AESGCM(key).encrypt(iv, content, None)
        else:
            Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(content)
        public.encrypt(key, padding)

    def up() -> None:
        world.receiver.private_key.decrypt(wrapped, padding)
        if policy.signed:
            AESGCM(key).decrypt(iv, sealed, None)
            sha256(content).digest()
            world.cps._key.public_key().verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
        else:
            Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor().update(content)
        zlib.decompress(packed, wbits=31)

    return down, up


if __name__ == "__main__":
    main()
