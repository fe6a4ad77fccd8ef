"""A folder where practice software drops care acts, one JSON file each, and finds the answers.

    inbox/NAME.json               dropped (write elsewhere, then rename into the folder)
    inbox/taken/NAME.json         taken before the cards are asked, so that no act is ever billed twice
    inbox/done/NAME.json          the act, once answered
    inbox/done/NAME.answer.json   {"accepted": true, "number": …} or {"accepted": false, "code": …}

A file that is found in `taken` at start was interrupted: whether its FSE was kept is said by `status`, and a
person decides; it is never billed again by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import InputError

MAX_ACT = 64 * 1024


class Inbox:
    """The folder and its two sub-folders, made at need, readable by the owner only."""

    def __init__(self, path: Path) -> None:
        self._path, self._taken, self._done = path, path / "taken", path / "done"
        for folder in (path, self._taken, self._done):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def waiting(self) -> list[str]:
        """Names of the acts dropped and not yet taken, oldest first."""
        files = [path for path in self._path.glob("*.json") if path.is_file()]
        return [path.name for path in sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))]

    def interrupted(self) -> list[str]:
        """Names of the acts that were taken and never answered."""
        return sorted(path.name for path in self._taken.glob("*.json"))

    def take(self, name: str) -> Mapping[str, Any]:
        """Move one act to `taken`, durably, and read it; InputError when it is not a JSON object."""
        path = self._taken / name
        (self._path / name).rename(path)
        _sync(self._taken)
        if path.stat().st_size > MAX_ACT:
            raise InputError(f"care act {name}: more than {MAX_ACT} bytes; give one care act per file.")
        try:
            data = json.loads(path.read_text("utf-8"))
        except ValueError:
            raise InputError(f"care act {name}: this is not JSON; write one JSON object.") from None
        if not isinstance(data, dict):
            raise InputError(f"care act {name}: this is not a JSON object; write one JSON object.")
        return data

    def answer(self, name: str, answer: Mapping[str, Any]) -> None:
        """Write the answer beside the act in `done`, durably."""
        partial = self._done / f".{name}.partial"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(answer, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self._done / name.replace(".json", ".answer.json"))
        (self._taken / name).rename(self._done / name)
        _sync(self._done)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
