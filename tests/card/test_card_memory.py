"""The durable memory: transactions, journal, damage, and the file under it."""

import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.kernel.errors import ImageError
from card.kernel.memory import END, Memory
from card.kernel.storage import FileStorage, MemoryStorage


def fresh(**items: bytes) -> tuple[MemoryStorage, Memory]:
    storage = MemoryStorage()
    return storage, Memory.create(storage, items)


def test_values_survive_reopening():
    """Put, change and delete are in the image, in order."""
    storage, memory = fresh(a=b"1", b=b"2")
    memory.put("c", b"3")
    memory.put("a", b"")
    memory.delete("b")
    again = Memory(MemoryStorage(storage.read()))
    assert (again.get("a"), again.get("b"), again.get("c")) == (b"", None, b"3")
    assert again.keys() == ("a", "c")


def test_transaction_is_all_or_nothing():
    """An exception inside undoes everything; nested ones join; reads see what is pending."""
    storage, memory = fresh(a=b"1")
    with pytest.raises(RuntimeError), memory.transaction():  # noqa: PT012
        memory.put("a", b"2")
        with memory.transaction():
            memory.put("b", b"3")
        assert memory.get("a") == b"2"
        assert memory.keys() == ("a", "b")
        raise RuntimeError
    assert (memory.get("a"), memory.get("b")) == (b"1", None)
    with memory.transaction():
        memory.put("a", b"2")
        memory.delete("a")
        memory.put("b", b"3")
    assert Memory(storage).keys() == ("b",)


def test_put_at_once_is_not_undone():
    """A counter written inside an abandoned transaction stays written."""
    storage, memory = fresh(tries=b"\3")
    with pytest.raises(RuntimeError), memory.transaction():  # noqa: PT012
        memory.put("a", b"1")
        memory.put_at_once("tries", b"\2")
        raise RuntimeError
    assert memory.get("tries") == Memory(storage).get("tries") == b"\2"
    assert memory.get("a") is None


def test_journal_is_folded_into_the_snapshot():
    """A long journal is replaced by a fresh snapshot; nothing is lost and the image stays small."""
    storage, memory = fresh(a=b"")
    for number in range(3000):
        memory.put("a", number.to_bytes(40, "big"))
    assert len(storage.read()) < 80_000
    assert Memory(storage).get("a") == (2999).to_bytes(40, "big")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda raw: b"", "not a card image"),
        (lambda raw: b"hello" + raw, "not a card image"),
        (lambda raw: raw[:20], "cut short"),
        (lambda raw: raw[:60], "cut short"),
        (lambda raw: raw[:7] + b"\x09" + raw[8:], "format 9"),
        (lambda raw: raw[:50] + bytes((raw[50] ^ 1,)) + raw[51:], "altered"),
    ],
)
def test_damage_is_one_clear_sentence(damage, why):
    """Foreign, cut, newer or altered images are refused with a reason; the sound twin opens."""
    storage, memory = fresh(a=b"1" * 50)
    memory.put("b", b"2")
    raw = storage.read()
    assert Memory(MemoryStorage(raw)).get("b") == b"2"
    with pytest.raises(ImageError, match=why) as caught:
        Memory(MemoryStorage(damage(raw)))
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith(".")


def test_every_altered_byte_is_noticed():
    """One changed bit anywhere, journal included, is refused or drops nothing silently."""
    storage, memory = fresh(a=b"1")
    memory.put("b", b"2")
    memory.put("c", b"3")
    raw = storage.read()
    for at in range(len(raw) - len(END)):
        altered = bytearray(raw)
        altered[at] ^= 0x10
        with pytest.raises(ImageError):
            Memory(MemoryStorage(bytes(altered)))


def test_every_torn_tail_is_dropped_silently():
    """Cut anywhere inside the last record: the card is as before it, and writes go on."""
    storage, memory = fresh(a=b"1")
    memory.put("b", b"2")
    start = len(storage.read())
    memory.put("c", b"3")
    raw = storage.read()
    for cut in range(start, len(raw)):
        torn = MemoryStorage(raw[:cut])
        reopened = Memory(torn)
        assert (reopened.get("b"), reopened.get("c")) == (b"2", None)
        reopened.put("d", b"4")
        assert Memory(torn).keys() == ("a", "b", "d")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.binary(max_size=30)), max_size=25))
def test_memory_equals_a_dictionary(changes):
    """Any history of changes, reopened, equals the same changes on a dict."""
    storage, memory = fresh()
    model: dict[str, bytes] = {}
    for key, value in changes:
        if value is None:
            memory.delete(key)
            model.pop(key, None)
        else:
            memory.put(key, value)
            model[key] = value
    reopened = Memory(storage)
    assert {key: reopened.get(key) for key in reopened.keys("")} == model


def test_file_storage_is_private_and_durable(tmp_path):
    """The image is 0600, leaves no neighbour behind, and reopens after appends."""
    path = tmp_path / "card.img"
    memory = Memory.create(FileStorage(path), {"a": b"1"})
    memory.put("b", b"2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["card.img"]
    assert Memory(FileStorage(path)).get("b") == b"2"


def test_two_programs_on_one_image(tmp_path):
    """The second writer is refused, the image stays sound, the first one goes on."""
    path = tmp_path / "card.img"
    first = Memory.create(FileStorage(path), {"a": b"1"})
    second = Memory(FileStorage(path))
    first.put("a", b"2")
    with pytest.raises(OSError, match="another program"):
        second.put("a", b"3")
    first.put("a", b"4")
    assert Memory(FileStorage(path)).get("a") == b"4"


def test_a_disk_that_was_full_for_a_moment(tmp_path, monkeypatch):
    """Half a write on a real file: the old value stays, and the image heals with the next write."""
    import os

    path = tmp_path / "card.img"
    memory = Memory.create(FileStorage(path), {"a": b"1"})
    real = os.write

    def full(fd, data):
        real(fd, bytes(data)[:7])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(OSError, match="space"):
            memory.put("a", b"2")
        with pytest.raises(OSError, match="space"):
            memory.put("a", b"3")
    assert memory.get("a") == Memory(FileStorage(path)).get("a") == b"1"
    memory.put("a", b"4")
    assert Memory(FileStorage(path)).get("a") == b"4"
    assert [item.name for item in tmp_path.iterdir()] == ["card.img"]


def test_a_failed_write_keeps_the_old_value():
    """A full disk: the value in RAM stays the old one, and the next write repairs the image."""

    class Full(MemoryStorage):
        full = False

        def append(self, data: bytes) -> None:
            if self.full:
                super().append(data[:5])
                raise OSError(28, "No space left on device")
            super().append(data)

    storage = Full()
    memory = Memory.create(storage, {"a": b"1"})
    storage.full = True
    with pytest.raises(OSError, match="space"):
        memory.put("a", b"2")
    assert memory.get("a") == b"1"
    storage.full = False
    memory.put("b", b"3")
    reopened = Memory(MemoryStorage(storage.read()))
    assert (reopened.get("a"), reopened.get("b")) == (b"1", b"3")
