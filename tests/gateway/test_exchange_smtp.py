"""The SMTP client against real servers on loopback: honest, slow, endless, rude, and gone at every step."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gateway.errors import InputError
from gateway.exchange.smtp import Permanent, SmtpSender, Transient

FROM, TO = "01996@996.01.rss.fr", "01349@349.01.rss.fr"
MAIL = b"Subject: SV\r\n\r\n.first\r\ntext\r\n..two\r\n.\r\nlast\r\n"
Script = Callable[["Peer", str], bool | None]


class Peer:
    """One SMTP conversation of the server side: plain, line by line."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server, self.sock = server, sock
        self.file = sock.makefile("rb")

    def say(self, text: str) -> None:
        self.sock.sendall(text.encode() + b"\r\n")

    def run(self) -> None:
        self.server.step(self, "connect") or self.say("220 test")
        while line := self.file.readline():
            verb = line.decode().split(None, 1)[0].upper()
            self.server.seen.append(line.decode().strip())
            if self.server.step(self, verb):
                continue
            if verb == "EHLO":
                self.say("250-test\r\n250 SIZE 100000")
            elif verb == "DATA":
                self.say("354 go")
                self.read_data()
            else:
                self.say("221 bye" if verb == "QUIT" else "250 ok")
            if verb == "QUIT":
                return

    def read_data(self) -> None:
        """Read to CR LF . CR LF and undo the stuffing (RFC 5321 section 4.5.2)."""
        data = b""
        while not (data.endswith(b"\r\n.\r\n") or data == b".\r\n"):
            if self.server.step(self, "body"):
                return
            if not (line := self.file.readline()):
                return
            data += line
        lines = data[:-3].split(b"\r\n")
        self.server.mails.append(b"\r\n".join(line[1:] if line[:1] == b"." else line for line in lines))
        self.server.step(self, "dot") or self.say("250 kept")


class Server:
    """Listens on a free port of loopback; `script[verb]` may take one step over (True = already answered)."""

    def __init__(self, **script: Script) -> None:
        self.script, self.seen, self.mails, self.sessions = script, list[str](), list[bytes](), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def step(self, peer: Peer, verb: str) -> bool:
        action = self.script.get(verb)
        return bool(action and action(peer, verb))

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError, ValueError):
            Peer(self, sock).run()

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Server, SmtpSender]]]:
    made: list[Server | SmtpSender] = []

    def make(timeout: float = 5.0, **script: Script) -> tuple[Server, SmtpSender]:
        server = Server(**script)
        sender = SmtpSender("127.0.0.1", server.port, timeout)
        made.extend((sender, server))
        return server, sender

    yield make
    for one in made:
        one.close()


def reply(text: str) -> Script:
    def answer(peer: Peer, verb: str) -> bool:
        peer.say(text)
        return True

    return answer


def once(action: Script) -> Script:
    left = [1]

    def first_time(peer: Peer, verb: str) -> bool | None:
        return action(peer, verb) if left and left.pop() else None

    return first_time


def hang_up(peer: Peer, verb: str) -> bool:
    peer.sock.shutdown(socket.SHUT_RDWR)
    raise OSError("gone")


def drip(peer: Peer, verb: str) -> bool:
    """A correct reply, one octet at a time: 3 seconds for the whole line."""
    for octet in b"250 " + b"x" * 54 + b"\r\n":
        peer.sock.sendall(bytes((octet,)))
        time.sleep(0.05)
    return True


def silence(peer: Peer, verb: str) -> bool:
    peer.file.read()
    return True


def endless(peer: Peer, verb: str) -> bool:
    while True:
        peer.sock.sendall(b"250-more and more\r\n" * 100)


def test_delivered_unchanged(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """The receiver gets the very same octets, dots at line starts included."""
    server, sender = serve()
    sender.send(FROM, TO, MAIL)
    sender.send(FROM, TO, b".\r\n..\r\n.x\r\n")
    sender.send(FROM, TO, b"no dots\r\n")
    assert server.mails == [MAIL, b".\r\n..\r\n.x\r\n", b"no dots\r\n"]
    assert f"MAIL FROM:<{FROM}>" in [line.upper().replace("RSS.FR", "rss.fr") for line in server.seen]


def test_session_is_reused(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """Twenty messages go through one session, ended by QUIT."""
    server, sender = serve()
    for _ in range(20):
        sender.send(FROM, TO, MAIL)
    sender.close()
    sender.close()
    assert server.sessions == 1
    assert len(server.mails) == 20
    assert sum(line.startswith(("EHLO", "ehlo")) for line in server.seen) == 1


def test_sending_again_after_close(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """A closed sender opens a new session at need."""
    server, sender = serve()
    sender.send(FROM, TO, MAIL)
    sender.close()
    sender.send(FROM, TO, MAIL)
    assert (server.sessions, len(server.mails)) == (2, 2)


def test_session_closed_by_the_relay_between_messages(
    serve: Callable[..., tuple[Server, SmtpSender]],
) -> None:
    """A relay that closed an idle session costs a new session, not a failure, and no message twice."""
    server, sender = serve()
    sender.send(FROM, TO, MAIL)
    server.script["mail"] = server.script["MAIL"] = once(hang_up)
    sender.send(FROM, TO, MAIL)
    assert (server.sessions, len(server.mails)) == (2, 2)


def test_421_between_messages(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """A 421 (idle too long) on a reused session opens a new one."""
    server, sender = serve()
    sender.send(FROM, TO, MAIL)
    server.script["MAIL"] = once(reply("421 idle"))
    sender.send(FROM, TO, MAIL)
    assert (server.sessions, len(server.mails)) == (2, 2)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize(
    ("text", "kind"), [("451 later", Transient), ("550 never", Permanent), ("777 what", Transient)]
)
def test_refusals_at_every_step(
    serve: Callable[..., tuple[Server, SmtpSender]], verb: str, text: str, kind: type[Exception]
) -> None:
    """4xx is Transient, 5xx Permanent, nonsense Transient, at each step; the next message goes through."""
    server, sender = serve(**{verb: once(reply(text))})
    with pytest.raises(kind, match=text[:3]) as refusal:
        sender.send(FROM, TO, MAIL)
    assert not getattr(refusal.value, "uncertain", False)
    assert TO not in str(refusal.value)
    server.mails.clear()
    sender.send(FROM, TO, MAIL)
    assert server.mails == [MAIL]


FAULTS = [
    *((verb, fault) for verb in ("connect", "EHLO", "MAIL", "RCPT", "DATA", "dot")
      for fault in (hang_up, silence, drip, endless)),
    ("body", hang_up),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "fault"), FAULTS, ids=[f"{verb}-{fault.__name__}" for verb, fault in FAULTS]
)
def test_faults_at_every_step(
    serve: Callable[..., tuple[Server, SmtpSender]], verb: str, fault: Script
) -> None:
    """A peer that leaves, is silent, drips or never ends is left in time; only the final dot is uncertain."""
    server, sender = serve(0.3, **{verb: fault})
    with pytest.raises(Transient) as refusal:
        sender.send(FROM, TO, MAIL)
    assert refusal.value.uncertain is (verb in ("dot", "body"))
    server.script.clear()
    server.mails.clear()
    sender._timeout = 5.0
    sender.send(FROM, TO, MAIL)
    assert server.mails == [MAIL]


def test_reply_lost_after_the_final_dot(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """RFC 1047: the receiver has the message, the sender cannot know: Transient and uncertain."""
    server, sender = serve(dot=once(hang_up))
    with pytest.raises(Transient, match="final dot") as refusal:
        sender.send(FROM, TO, MAIL)
    assert refusal.value.uncertain
    sender.send(FROM, TO, MAIL)
    assert server.mails == [MAIL, MAIL]


def test_relay_gives_no_service(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """A relay that turns everybody away at the greeting says nothing about this message: Transient."""
    _, sender = serve(connect=reply("554 no service"))
    with pytest.raises(Transient, match="no service"):
        sender.send(FROM, TO, MAIL)


def test_connection_refused() -> None:
    """Nobody listens: Transient, nothing uncertain."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Transient, match="cannot be reached") as refusal:
        SmtpSender("127.0.0.1", port, 2.0).send(FROM, TO, MAIL)
    assert not refusal.value.uncertain


def test_peer_that_does_not_read(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """A relay that stops reading in the middle of a large message is left at the deadline."""
    stop = threading.Event()

    def stall(peer: Peer, verb: str) -> bool:
        stop.wait(5)
        return True

    server, sender = serve(0.5, body=stall, EHLO=reply("250 test"))
    with pytest.raises(Transient) as refusal:
        sender.send(FROM, TO, b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 200_000)
    stop.set()
    assert not refusal.value.uncertain
    assert server.mails == []


def test_announced_size_is_respected(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """RFC 1870: a message larger than the relay announced is not offered; a small one still goes."""
    server, sender = serve()
    with pytest.raises(Permanent, match="100000 octets at most"):
        sender.send(FROM, TO, b"x" * 100_000 + b"\r\n")
    sender.send(FROM, TO, MAIL)
    assert server.mails == [MAIL]
    assert sum(line.upper().startswith("DATA") for line in server.seen) == 1


@pytest.mark.parametrize("size", ["\u00b2", "9" * 5000, "-1", "1e3", ""])
def test_a_size_that_is_no_number_is_none(serve: Callable[..., tuple[Server, SmtpSender]], size: str) -> None:
    """A relay that announces nonsense as its SIZE has announced nothing: the mail leaves."""

    def announce(peer: Peer, _verb: str) -> bool:
        peer.sock.sendall(f"250-test\r\n250 SIZE {size}\r\n".encode("latin-1"))
        return True

    server, sender = serve(EHLO=announce)
    sender.send(FROM, TO, MAIL)
    assert server.mails == [MAIL]


def test_helo_only_relay(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """A relay that knows only HELO is used all the same."""
    server, sender = serve(EHLO=reply("502 what"))
    sender.send(FROM, TO, MAIL)
    assert server.mails == [MAIL]


SMUGGLED = {
    "bare LF": b"a\nb\r\n",
    "bare CR": b"a\rb\r\n",
    "LF dot LF": b"a\r\n\n.\nMAIL FROM:<x@y.fr>\r\n",
    "LF dot CRLF": b"a\n.\r\nMAIL FROM:<x@y.fr>\r\n",
    "CR dot CR": b"a\r.\rMAIL FROM:<x@y.fr>\r\n",
    "CR CR LF": b"a\r\r\n",
    "no last CRLF": b"a",
    "nothing": b"",
}


@pytest.mark.parametrize("raw", SMUGGLED.values(), ids=SMUGGLED)
def test_smuggling_is_refused_before_anything_is_sent(
    serve: Callable[..., tuple[Server, SmtpSender]], raw: bytes
) -> None:
    """A message with any line end but CR LF is refused and the relay is not even called."""
    server, sender = serve()
    with pytest.raises(InputError, match=r"^message:"):
        sender.send(FROM, TO, raw)
    assert server.sessions == 0


def test_end_of_data_inside_the_message_stays_inside(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """A line with a single dot and commands after it arrive as text of one message."""
    raw = b"a\r\n.\r\nMAIL FROM:<x@y.fr>\r\nRCPT TO:<x@y.fr>\r\nDATA\r\n.\r\n"
    server, sender = serve()
    sender.send(FROM, TO, raw)
    assert server.mails == [raw]


@pytest.mark.parametrize(
    "address", ["", "a", "a@b\r\nRCPT TO:<c@d>", "a b@c.fr", "<a@b.fr>", "a@b.fr>", "é@b.fr", "a@b.fr\0"]
)
@pytest.mark.parametrize("place", [0, 1])
def test_no_command_in_an_address(
    serve: Callable[..., tuple[Server, SmtpSender]], address: str, place: int
) -> None:
    """An envelope address that could be read as a command is refused and the relay is not called."""
    server, sender = serve()
    envelope = [FROM, TO]
    envelope[place] = address
    with pytest.raises(InputError, match=r"^envelope_"):
        sender.send(*envelope, MAIL)
    assert server.sessions == 0


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "8.8.8.8",
        "::2",
        "0.0.0.0",
        "relay.example",
        "349.01.rss.fr",
        "RSS.FR.",
        "localhost.rss.fr",
        "",
    ],
)
def test_loopback_guard(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but this machine is refused at once, without any name being resolved."""

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("a name was resolved")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    with pytest.raises(InputError, match=r"^relay:"):
        SmtpSender(host, 25)
    for mine in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        SmtpSender(mine, 25)


def test_rss_fr_is_never_used_even_when_remote_is_allowed() -> None:
    """allow_remote opens the relay of an operator, never the national names."""
    SmtpSender("relay.example", 587, allow_remote=True)
    with pytest.raises(InputError, match="never resolved"):
        SmtpSender("511.01.rss.fr", 25, allow_remote=True)


def test_a_nir_in_a_reply_is_not_repeated(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """What a relay says may quote the message: long runs of digits do not reach the error text."""
    _, sender = serve(RCPT=reply("550 unknown 2 50 19 62 643 002 68 and 250196264300268"))
    with pytest.raises(Permanent) as refusal:
        sender.send(FROM, TO, MAIL)
    assert "643" not in str(refusal.value)


def test_two_threads_share_one_sender(serve: Callable[..., tuple[Server, SmtpSender]]) -> None:
    """Messages of several threads never mix."""
    server, sender = serve()
    mails = [f"m{number}\r\n".encode() * 50 for number in range(16)]
    threads = [threading.Thread(target=sender.send, args=(FROM, TO, raw)) for raw in mails]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.mails) == sorted(mails)
    assert server.sessions == 1
