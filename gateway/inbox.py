"""A folder where practice software drops care acts, one JSON file each, and finds the answers.

    inbox/NAME.json               dropped (write elsewhere, then rename into the folder); not NAME.answer.json
    inbox/taken/NAME.json         taken before the cards are asked, so that no act is ever billed twice
    inbox/done/NAME.json          the act, once answered
    inbox/done/NAME.answer.json   {"accepted": true, "number": …} or {"accepted": false, "code": …}

A file that is found in `taken` at start was interrupted: whether its FSE was kept is said by `status`, and a
person decides; it is never billed again by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.care import MAX_ACT, cards_of, parse_act
from gateway.errors import InputError, StoreError
from gateway.folder import sync_folder

ANSWER = ".answer.json"


class Inbox:
    """The folder and its two sub-folders, made at need, readable by the owner only.

    StoreError when the folder does not take or give what it should: nothing is lost, try again.
    """

    def __init__(self, path: Path) -> None:
        self.path = self._path = path
        self._taken, self._done = path / "taken", path / "done"
        with self._at_work():
            for folder in (path, self._taken, self._done):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def waiting(self) -> list[str]:
        """Names of the acts dropped and not yet taken, oldest first."""
        with self._at_work():
            files = [path for path in self._path.glob("*.json") if path.is_file()]
            acts = [path for path in files if not path.name.endswith(ANSWER)]
            return [path.name for path in sorted(acts, key=lambda path: (path.stat().st_mtime_ns, path.name))]

    def cards_needed(self, name: str) -> tuple[str, ...]:
        """Which cards a waiting act asks for (cps, vitale); one that cannot be read waits for both."""
        try:
            with (self._path / name).open("rb") as file:
                data = parse_act(file.read(MAX_ACT + 1), "the file")
        except (OSError, InputError):
            return ("cps", "vitale")
        return cards_of(data)

    def interrupted(self) -> list[str]:
        """Names of the acts that were taken and never answered."""
        return sorted(path.name for path in self._taken.glob("*.json"))

    def take(self, name: str) -> None:
        """Move one act to `taken`, durably: from now on it is never billed again by itself."""
        with self._at_work():
            (self._path / name).rename(self._taken / name)
            sync_folder(self._taken)

    def read(self, name: str) -> Mapping[str, Any]:
        """The JSON object of an act that was taken; InputError when it is not one."""
        try:
            with (self._taken / name).open("rb") as file:
                raw = file.read(MAX_ACT + 1)
        except OSError as problem:
            raise InputError(
                f"the file cannot be read ({problem.strerror}); give it to the gateway's user."
            ) from None
        return parse_act(raw, "the file")

    def answer(self, name: str, answer: Mapping[str, Any]) -> None:
        """Write the answer beside the act in `done`, durably."""
        partial = self._done / f".{name}.partial"
        with self._at_work():
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            # A name may hold bytes that are no characters: an escape is what JSON has for them.
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                json.dump(answer, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self._done / (name.removesuffix(".json") + ANSWER))
            (self._taken / name).rename(self._done / name)
            sync_folder(self._done)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise StoreError(
                f"the inbox {self._path} cannot be used ({problem.strerror}): "
                "free the disk or correct its rights"
            ) from None
