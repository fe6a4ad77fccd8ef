"""The mailbox: durable before seen, nothing lost, odd files set aside and reported."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.clock import SimulatedClock
from gateway.errors import InputError, StoreError
from gateway.exchange import mailbox
from gateway.exchange.mailbox import Maildir


@pytest.fixture
def box(tmp_path: Path) -> Maildir:
    return Maildir(tmp_path / "mail")


def files(box: Maildir, folder: str) -> list[str]:
    return sorted(os.listdir(box._path / folder))


def test_delivered_then_pending_then_done(box: Maildir) -> None:
    """A message waits in new until it is done, then it is in cur, once."""
    key = box.deliver(b"hello")
    assert box.pending() == [(key, b"hello")]
    box.done(key)
    assert box.pending() == []
    assert files(box, "cur") == [key]
    assert files(box, "tmp") == []


def test_done_twice_is_harmless_and_done_of_nothing_is_not(box: Maildir) -> None:
    """The second done changes nothing; a key never given is refused."""
    key = box.deliver(b"hello")
    box.done(key)
    box.done(key)
    assert files(box, "cur") == [key]
    for foreign in ("nothing", "../new/x", "", ".", ".."):
        with pytest.raises(InputError, match=r"^mailbox:"):
            box.done(foreign)
        with pytest.raises(InputError, match=r"^mailbox:"):
            box.set_aside(foreign, "odd")
    assert files(box, "aside") == []


def test_oldest_first_and_limited(tmp_path: Path) -> None:
    """Messages come in order of arrival, at most as many as asked."""
    clock = SimulatedClock(datetime(2026, 11, 22, tzinfo=UTC))
    box = Maildir(tmp_path, clock=clock)
    for number in range(12):
        box.deliver(str(number).encode())
        clock.sleep(1)
    assert [raw for _, raw in box.pending()] == [str(number).encode() for number in range(12)]
    assert [raw for _, raw in box.pending(limit=2)] == [b"0", b"1"]


def test_two_deliveries_of_one_moment(tmp_path: Path) -> None:
    """Two messages of the same instant keep apart."""
    box = Maildir(tmp_path, clock=SimulatedClock(datetime(2026, 11, 22, tzinfo=UTC)))
    assert box.deliver(b"a") != box.deliver(b"b")
    assert len(box.pending()) == 2


def test_survives_reopening(tmp_path: Path) -> None:
    """Another program that opens the same directory sees the same messages."""
    key = Maildir(tmp_path).deliver(b"kept")
    assert Maildir(tmp_path).pending() == [(key, b"kept")]


def test_odd_files_are_set_aside_and_reported(box: Maildir) -> None:
    """Empty, huge, hidden, linked or foreign things leave new with a reason, the good message stays."""
    good = box.deliver(b"good")
    new = box._path / "new"
    (new / "empty").touch()
    (new / ".hidden").write_bytes(b"x")
    (new / "folder").mkdir()
    (new / "link").symlink_to("/etc/hostname")
    (new / "white space").write_bytes(b"x")
    (new / "x.reason").write_bytes(b"x")
    with (new / "huge").open("wb") as file:
        file.truncate(mailbox.MAX_FILE + 1)
    assert box.pending() == [(good, b"good")]
    reasons = {one.key: one.reason for one in box.aside()}
    assert reasons["empty"] == "empty file"
    assert reasons["folder"] == reasons["link"] == "not a regular file"
    assert reasons["huge"].startswith("larger than")
    assert sum(key.startswith("odd-") for key in reasons) == 3
    assert len(reasons) == 7
    assert files(box, "new") == [good]


def test_damaged_message_is_set_aside_by_its_reader(box: Maildir) -> None:
    """The reader of the content may set a message aside with its own reason; the content is kept."""
    key = box.deliver(b"not an ARL")
    box.set_aside(key, "the ARL does not parse")
    assert box.pending() == []
    assert [(one.key, one.reason) for one in box.aside()] == [(key, "the ARL does not parse")]
    assert (box._path / "aside" / key).read_bytes() == b"not an ARL"


def test_same_name_twice_keeps_both(box: Maildir) -> None:
    """A stranger that uses a name again overwrites nothing, neither in cur nor in aside."""
    for folder, act in (("cur", box.done), ("aside", lambda key: box.set_aside(key, "odd"))):
        for content in (b"one", b"two"):
            (box._path / "new" / f"name-{folder}").write_bytes(content)
            act(f"name-{folder}")
        kept = [
            (box._path / folder / name).read_bytes() for name in files(box, folder) if "reason" not in name
        ]
        assert sorted(kept) == [b"one", b"two"]


def test_readable_by_the_owner_only(box: Maildir) -> None:
    """Directories 0700 and files 0600, whatever the umask."""
    old = os.umask(0)
    try:
        key = box.deliver(b"x")
        other = Maildir(box._path.parent / "other")
    finally:
        os.umask(old)
    assert (box._path / "new" / key).stat().st_mode & 0o777 == 0o600
    assert (other._path / "new").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_failing_disk_is_said_and_nothing_half_written_is_seen(
    box: Maildir, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """ENOSPC at each step: a StoreError, no message seen, tmp clean; the next delivery works."""

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "rename") if call == "rename" else (os, call)), fail)
        with pytest.raises(StoreError, match="No space left"):
            box.deliver(b"x")
    assert box.pending() == []
    assert files(box, "tmp") == []
    assert box.deliver(b"y")


def test_short_writes_are_completed(box: Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes one octet at a time still gets the whole message."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, view: real(descriptor, view[:1]))
    key = box.deliver(b"whole message")
    assert box.pending() == [(key, b"whole message")]


def test_order_of_a_delivery(box: Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before it is renamed, and the directory after."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("fsync"), fsync(descriptor))[1])
    monkeypatch.setattr(
        Path, "rename", lambda path, target: (steps.append("rename"), rename(path, target))[1]
    )
    box.deliver(b"x")
    assert steps == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize(("point", "seen"), [("mailbox-before-rename", 0), ("mailbox-after-rename", 1)])
def test_killed_around_the_durable_step(tmp_path: Path, point: str, seen: int) -> None:
    """Killed before the rename nothing is seen; killed after it the message is there."""
    code = "import sys; from gateway.exchange.mailbox import Maildir; Maildir(sys.argv[1]).deliver(b'x')"
    env = {**os.environ, "VITALE_FAILPOINT": point}
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=env, check=False)
    assert ended.returncode == 86
    assert len(Maildir(tmp_path).pending()) == seen


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A path that is a file is refused in words."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="mailbox directory"):
        Maildir(tmp_path / "file")
