"""Stores as past releases left them, from tests/vectors/stores; see the README there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "stores"

ADDED = ("share_body", "share", "rectification", "fse_twin", "fse_act", "place", "answer")
"""Tables that the first stores of the first release had not yet."""


def write_old_store(folder: Path, release: str = "schema1", *, early: bool = False) -> str:
    """Write the store of a past release into a folder and return its address; `early`: the first shape."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "gateway.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript((VECTORS / f"{release}.sql").read_text())
        for table in ADDED if early else ():
            database.execute(f"DROP TABLE {table}")
        database.commit()
    key = bytes.fromhex((VECTORS / f"TEST-ONLY-{release}.key").read_text())
    path.with_name("gateway.db.key").write_bytes(key)
    return f"sqlite:///{path}"


def dump(path: Path) -> list[str]:
    """All that a database file says, as SQL."""
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())
