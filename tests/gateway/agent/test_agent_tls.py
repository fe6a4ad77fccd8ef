"""Who gets in at the agents' door: TLS 1.3, a certificate of the authority, in the register, of the right
practice.
"""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from card.iso7816.apdu import CommandAPDU
from gateway.agent.authority import (
    AgentAuthority,
    certificate_pem,
    key_beside,
    key_pem,
    load_pair,
    new_key,
)
from gateway.agent.register import Register
from gateway.errors import InputError
from reader.agent.borrowed import AgentAway
from reader.errors import ReaderError
from reader.transport import tls
from reader.transport.tls import Identity, context, dial, peer_of
from tests.gateway.agent.hosting import PATIENCE, Hosting, hosting, until
from tests.reader.byte_cards import EchoCard

READ = CommandAPDU(0, 0xB0, 0, 0, b"", 4)
NOW = datetime.now(UTC)


def test_two_practices_two_agents(hosted: Hosting) -> None:
    """Each agent serves its own practice's reader; what is in the one is never seen in the other."""
    north, south = hosted.enrolled("north-1", "north"), hosted.enrolled("south-1", "south")
    readers = hosted.reader("north-1", "north"), hosted.reader("south-1", "south")
    hosted.opens()
    hosted.agent(north, CPS=EchoCard(bytes.fromhex("3B0141")))
    hosted.agent(south, CPS=EchoCard(bytes.fromhex("3B0142")), Vitale=EchoCard())
    until(lambda: readers[0].slot("CPS").is_present and readers[1].slot("Vitale").is_present)
    atrs = [reader.slot("CPS").connect().atr.hex() for reader in readers]
    assert atrs == ["3b0141", "3b0142"]
    assert not readers[0].slot("Vitale").is_present


def test_an_agent_never_serves_another_practice(hosted: Hosting) -> None:
    """The settings give B's desk to an agent of A: it is sent away, and hears why; B's slots stay away."""
    identity = hosted.enrolled("desk-1", "a")
    reader = hosted.reader("desk-1", "b")
    hosted.opens()
    running = hosted.agent(identity, CPS=EchoCard())
    running.says("no reader of the gateway waits for this agent")
    assert isinstance(reader.slot("CPS").emptiness(), AgentAway)


def test_the_name_in_the_certificate_decides(hosted: Hosting) -> None:
    """A's agent with B's agent's settings and its own certificate is A's agent, whatever it says."""
    a, _b = hosted.enrolled("desk-a", "a"), hosted.enrolled("desk-b", "b")
    reader_a, reader_b = hosted.reader("desk-a", "a"), hosted.reader("desk-b", "b")
    hosted.opens()
    hosted.agent(a, CPS=EchoCard())
    until(lambda: reader_a.slot("CPS").is_present)
    assert not reader_b.slot("CPS").is_present


# ---- certificates that open no door


def crossed(hosted: Hosting) -> Identity:
    """The certificate of one agent with the key of another."""
    one, other = hosted.enrolled("desk-1", "a"), hosted.enrolled("desk-2", "b")
    return replace(one, key=other.key)


def own_files(hosted: Hosting, name: str, certificate: bytes, key: bytes) -> Identity:
    """Files of a certificate that was made by hand."""
    files = hosted.folder / f"{name}.cert.pem", hosted.folder / f"{name}.key.pem"
    for file, content in zip(files, (certificate, key), strict=True):
        file.write_bytes(content)
    return Identity(*files, hosted.config.authority)


def of_another_authority(hosted: Hosting) -> Identity:
    """Same names, signed by a stranger; the agent believes our gateway."""
    with hosting(hosted.folder / "elsewhere") as other:
        return replace(other.enrolled("desk-1", "a"), authority=hosted.config.authority)


def expired(hosted: Hosting) -> Identity:
    """Good until yesterday."""
    key = new_key()
    authority = AgentAuthority(load_pair(hosted.config.authority, key_beside(hosted.config.authority)))
    made = authority.issue("desk-1", "a", key.public_key(), NOW - timedelta(days=731))
    return own_files(hosted, "expired", certificate_pem(made), key_pem(key))


def never_registered(hosted: Hosting) -> Identity:
    """Signed by our authority, in no register: a stolen authority key, or a register that was set back."""
    key = new_key()
    made = AgentAuthority.open(hosted.config.authority).issue("desk-1", "a", key.public_key(), NOW)
    return own_files(hosted, "unknown", certificate_pem(made), key_pem(key))


def the_gateways_own(hosted: Hosting) -> Identity:
    """The pair of the gateway, good for a server only."""
    return Identity(hosted.config.certificate, hosted.config.key, hosted.config.authority)


REFUSED = {
    of_another_authority: "its certificate is of another authority",
    expired: "the certificate of this agent ended on",
    never_registered: "the certificate of this agent was taken back",
    the_gateways_own: "refuses this agent",
    crossed: "cannot be used as a certificate whose key is",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_certificates_that_open_no_door(hosted: Hosting, make) -> None:
    """Each is refused, the agent says why in one sentence, and the slots stay away."""
    hosted.enrolled("desk-0", "a")
    identity = make(hosted)
    reader = hosted.reader("desk-1", "a")
    hosted.opens()
    running = hosted.agent(identity, CPS=EchoCard())
    running.says(REFUSED[make])
    assert not reader.slot("CPS").is_present
    assert not running.agent.is_connected


def test_an_expired_certificate_is_refused_by_the_gateway_too(hosted: Hosting) -> None:
    """An agent that does not look at its own certificate is refused in the handshake."""
    hosted.enrolled("desk-0", "a")
    identity = expired(hosted)
    hosted.opens()
    stream = dial("127.0.0.1", hosted.port, context(identity, listens=False))
    with pytest.raises(ssl.SSLError, match=r"(?i)expired"):
        stream.receive(PATIENCE)


def test_no_certificate_at_all(hosted: Hosting) -> None:
    """A client that shows none is refused in the handshake."""
    hosted.enrolled("desk-1", "a")
    hosted.opens()
    naked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    naked.load_verify_locations(hosted.config.authority)
    stream = dial("127.0.0.1", hosted.port, naked)
    with pytest.raises(OSError, match=r"(?i)certificate.required|reset|hung up"):
        stream.receive(PATIENCE)


def test_older_tls_is_refused(hosted: Hosting) -> None:
    """TLS 1.2 with a good certificate: no handshake; its twin with 1.3 is heard."""
    identity = hosted.enrolled("desk-1", "a")
    hosted.reader("desk-1", "a")
    hosted.opens()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(identity.authority)
    old.load_cert_chain(identity.certificate, identity.key)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dial("127.0.0.1", hosted.port, old)
    dial("127.0.0.1", hosted.port, context(identity, listens=False)).close()


def test_an_agent_believes_its_own_authority_only(hosted: Hosting, tmp_path: Path) -> None:
    """What answers at the gateway's address with a stranger's certificate, or an agent's own, gets no
    slot.
    """
    identity = hosted.enrolled("desk-1", "a")
    with hosting(tmp_path / "stranger") as stranger:
        stranger.enrolled("desk-1", "a")
        stranger.opens()
        hosted.agent(identity, port=stranger.port).says("shows no certificate of our authority")
    played = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    played.load_cert_chain(identity.certificate, identity.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = hosted.agent(identity, port=listener.getsockname()[1])
        plain, _ = listener.accept()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            played.wrap_socket(plain, server_side=True).recv(1)
        plain.close()
        running.says("shows no certificate of our authority")


# ---- at work


def test_revocation_acts_at_once(hosted: Hosting) -> None:
    """Taken back while it works: sent away, and every later try; another agent of the practice goes on."""
    one, two = hosted.enrolled("desk-1", "a"), hosted.enrolled("desk-2", "a")
    readers = hosted.reader("desk-1", "a"), hosted.reader("desk-2", "a")
    hosted.opens()
    running, _other = hosted.agent(one, CPS=EchoCard()), hosted.agent(two, CPS=EchoCard())
    until(lambda: all(reader.slot("CPS").is_present for reader in readers))
    Register.beside(hosted.config.authority).revoke("desk-1", NOW)
    until(lambda: not readers[0].slot("CPS").is_present, "it is sent away")
    running.says("was taken back")
    assert readers[1].slot("CPS").connect().transmit(READ).sw == 0x9000


def test_a_register_that_cannot_be_read_admits_nobody(hosted: Hosting) -> None:
    """A damaged register shuts the door and says so; mended, the agent comes back by itself."""
    identity = hosted.enrolled("desk-1", "a")
    reader = hosted.reader("desk-1", "a")
    file = hosted.folder / "agents.json"
    good = file.read_bytes()
    hosted.opens()
    file.write_bytes(b"{")
    hosted.agent(identity, CPS=EchoCard())
    until(lambda: any("is not a register of agents" in line for line in hosted.said))
    assert not reader.slot("CPS").is_present
    file.write_bytes(good)
    until(lambda: reader.slot("CPS").is_present, "it is admitted again")


def test_a_damaged_register_is_said_at_start(hosted: Hosting) -> None:
    """A gateway does not open its door with a register that it cannot read; the sentence names the file."""
    hosted.enrolled("desk-1", "a")
    (hosted.folder / "agents.json").write_bytes(b"[{}]")
    with pytest.raises(InputError, match=r"agents.json is not a register of agents: bring it back"):
        hosted.opens()


def test_it_comes_back_by_itself(hosted: Hosting) -> None:
    """The gateway goes down and comes up at the same port: the agent dials again, the slots fill."""
    identity = hosted.enrolled("desk-1", "a")
    with hosting(hosted.folder.parent) as first:
        reader = first.reader("desk-1", "a")
        first.opens()
        running = hosted.agent(identity, port=first.port, CPS=EchoCard())
        until(lambda: reader.slot("CPS").is_present)
        port = first.port
    running.says("the gateway stops")
    again = hosted.reader("desk-1", "a")
    hosted.config = replace(hosted.config, port=port)
    hosted.opens()
    until(lambda: again.slot("CPS").is_present)
    assert again.slot("CPS").connect().transmit(READ).sw == 0x9000


def test_a_reader_that_is_opened_again(hosted: Hosting) -> None:
    """Closed and opened anew, as when another gateway had it for a while: its agent comes to the new one."""
    identity = hosted.enrolled("desk-1", "a")
    first = hosted.reader("desk-1", "a")
    hosted.opens()
    hosted.agent(identity, CPS=EchoCard())
    until(lambda: first.slot("CPS").is_present)
    first.close()
    first.close()
    again = hosted.reader("desk-1", "a")
    until(lambda: again.slot("CPS").is_present, "the agent comes again")
    assert not first.slot("CPS").is_present
    assert again.slot("CPS").connect().transmit(READ).sw == 0x9000


def test_a_renewed_certificate_is_taken_up(hosted: Hosting) -> None:
    """Old and new stand side by side: both are admitted until the name is taken back."""
    from gateway.agent.enrolment import enrol

    old = hosted.enrolled("desk-1", "a")
    saved = own_files(hosted, "old", old.certificate.read_bytes(), old.key.read_bytes())
    enrol(hosted.config, "desk-1", "a", NOW, renew=True)
    reader = hosted.reader("desk-1", "a")
    hosted.opens()
    for identity in (saved, old):
        running = hosted.agent(identity, CPS=EchoCard())
        until(lambda: reader.slot("CPS").is_present)
        running.stop()
        until(lambda: not reader.slot("CPS").is_present)


def test_silent_and_slow_visitors_hold_nobody(hosted: Hosting, monkeypatch) -> None:
    """B5: more connections than may wait, all silent or trickling: they are cut, and a real agent gets in."""
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.4)
    identity = hosted.enrolled("desk-1", "a")
    reader = hosted.reader("desk-1", "a")
    hosted.opens()
    silent = [socket.create_connection(("127.0.0.1", hosted.port)) for _ in range(tls.MAX_WAITING + 8)]
    silent[0].sendall(b"\x16\x03\x01")
    silent[1].sendall(b"GET / HTTP/1.1\r\n\r\n")
    hosted.agent(identity, CPS=EchoCard())
    until(lambda: reader.slot("CPS").is_present)
    for one in silent:
        one.settimeout(PATIENCE)
        try:
            while one.recv(100):
                continue
        except ConnectionError:
            pass
        one.close()


def test_an_end_that_does_not_read(hosted: Hosting, monkeypatch) -> None:
    """B5: a peer whose receive window stays shut is given up after the time of one write, not waited for."""
    monkeypatch.setattr(tls, "SEND_SECONDS", 0.3)
    identity = hosted.enrolled("desk-1", "a")
    arrived: list[tls.TlsStream] = []
    own = Identity(hosted.config.certificate, hosted.config.key, hosted.config.authority)
    released = threading.Event()

    def keep(stream: tls.TlsStream, _peer: object) -> None:
        arrived.append(stream)
        released.wait(PATIENCE)

    port = tls.AgentPort("127.0.0.1", 0, context(own, listens=True), keep)
    deaf = dial("127.0.0.1", port.port, context(identity, listens=False))
    until(lambda: arrived)
    with pytest.raises(TimeoutError):
        arrived[0].send(bytes(50_000_000))
    deaf.close()
    released.set()
    port.close()


def test_two_threads_write_at_once(hosted: Hosting) -> None:
    """Whole frames from several threads while another reads: every byte arrives, none is mixed."""
    identity = hosted.enrolled("desk-1", "a")
    own = Identity(hosted.config.certificate, hosted.config.key, hosted.config.authority)
    got = bytearray()

    def collect(stream: tls.TlsStream, _peer: object) -> None:
        try:
            while True:
                data = stream.receive(PATIENCE)
                got.extend(data)
                stream.send(data[:10])
        except OSError:
            return

    port = tls.AgentPort("127.0.0.1", 0, context(own, listens=True), collect)
    stream = dial("127.0.0.1", port.port, context(identity, listens=False))
    frames = [bytes((number,)) * 300 for number in range(4)]
    writers = [
        threading.Thread(target=lambda f=frame: [stream.send(f) for _ in range(200)]) for frame in frames
    ]
    reading = threading.Thread(target=lambda: [stream.receive(0.05) for _ in range(200)], daemon=True)
    for thread in (*writers, reading):
        thread.start()
    for thread in writers:
        thread.join(PATIENCE)
    until(lambda: len(got) == 4 * 200 * 300, "every byte")
    runs = [got[at : at + 300] for at in range(0, len(got), 300)]
    assert all(len(set(run)) == 1 for run in runs), "two frames were mixed"
    stream.close()
    port.close()


def test_a_port_that_is_taken(hosted: Hosting) -> None:
    """One sentence with the port."""
    hosted.enrolled("desk-1", "a")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        hosted.config = replace(hosted.config, port=taken.getsockname()[1])
        with pytest.raises(ReaderError, match=r"Port \d+ of 127.0.0.1 cannot be opened for agents"):
            hosted.opens()


@pytest.mark.parametrize(
    "subject",
    [
        (),
        ((("commonName", "a"),),),
        ((("commonName", "a"),), (("commonName", "b"),), (("organizationName", "c"),)),
        ((("commonName", "a"),), (("organizationName", "c"),), (("countryName", "FR"),)),
    ],
)
def test_a_subject_names_an_agent_and_its_practice(subject) -> None:
    """A certificate without one of both, with two, or with more is nobody's."""
    shown = {"subject": subject, "notAfter": "Jan  1 00:00:00 2030 GMT", "serialNumber": "01"}
    with pytest.raises(ValueError):
        peer_of(shown)
    good = {**shown, "subject": ((("commonName", "a"),), (("organizationName", "c"),))}
    assert (peer_of(good).name, peer_of(good).practice, peer_of(good).serial) == ("a", "c", 1)


def test_what_is_said_of_certificates_that_end(hosted: Hosting) -> None:
    """Thirty days ahead the start says which agent, and what to type; the twin a year ahead is silent."""
    hosted.enrolled("far-1", "a")
    hosted.enrolled("near-1", "a", NOW - timedelta(days=710))
    hosted.reader("near-1", "a")
    hosted.opens()
    told = [line for line in hosted.said if "certificate of the agent" in line]
    assert len(told) == 1
    assert "near-1 ends on" in told[0]
    assert "vitale-gateway agent enrol near-1 --practice a --renew" in told[0]
