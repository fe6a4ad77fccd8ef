"""Backups of a store on PostgreSQL, by the server's own tools: `pg_dump` while gateways work, `psql` back.

A password never stands on a command line: it goes through the environment of the one process.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.errors import StoreError
from gateway.store import schema
from gateway.store.copies import sync_file

_SECONDS = 3600
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_LAST = "SELECT coalesce(max(at), '') FROM audit"
_HAS_STORE = "SELECT count(*) FROM pg_tables WHERE tablename = 'audit' AND schemaname = current_schema()"


def is_postgres(url: str) -> bool:
    """Whether a store address is one of PostgreSQL."""
    return url.startswith("postgresql")


def dump(url: str, file: Path) -> None:
    """A consistent dump of the whole database into `file` (0600, on the disk)."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")
    sync_file(file)


def restore(file: Path, url: str, marks: Mapping[str, bytes], *, over: bool, made_at: str) -> None:
    """Put a dump in place of the store, with marks in its `meta`, in one transaction."""
    if _ask(url, _OTHERS) != "0":
        sentence = "is open in another program: stop its gateways, then restore"
        raise StoreError(f"the store {_name(url)} {sentence}", code="in-use")
    if _ask(url, _HAS_STORE) != "0" and (last := _ask(url, _LAST)) > made_at and not over:
        sentence = (
            f"has gone on since the backup (until {last}): restore it with --over, which keeps it beside"
        )
        raise StoreError(f"the store {_name(url)} {sentence}", code="newer")
    with tempfile.TemporaryDirectory(prefix="vitale-restore-") as folder:
        script, before, after = (Path(folder) / name for name in ("store.sql", "before.sql", "after.sql"))
        _run(
            url, "pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(file), connected=False
        )
        before.write_text(_drop(), encoding="utf-8")
        after.write_text("".join(_set(name, value) for name, value in marks.items()), encoding="utf-8")
        files = [f"--file={one}" for one in (before, script, after)]
        _run(url, "psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", *files)


def _drop() -> str:
    names = ", ".join(f'"{name}"' for name in (*schema.metadata.tables, "alembic_version"))
    return f"DROP TABLE IF EXISTS {names} CASCADE;\n"


def _set(name: str, value: bytes) -> str:
    return (
        "RESET search_path;\n"  # a dump empties it for its own statements
        f"INSERT INTO meta (name, value) VALUES ('{name}', '\\x{value.hex()}') "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value;\n"
    )


def _ask(url: str, query: str) -> str:
    return _run(url, "psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={query}").strip()


def _run(url: str, tool: str, *arguments: str, connected: bool = True) -> str:
    """Run one of the server's tools; its complaint becomes one sentence without the password."""
    at = _address(url)
    environment = dict(os.environ)
    if at.password:
        environment["PGPASSWORD"] = str(at.password)
    plain = at.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    command = [tool, *([f"--dbname={plain}"] if connected else []), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - the tool is ours to choose, nothing of it comes from outside
            command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        sentence = f"{tool} is not installed: install the client programs of PostgreSQL (postgresql-client)"
        raise StoreError(
            f"the store {_name(url)} needs them for its backup: {sentence}", code="backup"
        ) from None
    except subprocess.TimeoutExpired:
        sentence = f"{tool} did not end within {_SECONDS} seconds: look at the server"
        raise StoreError(f"the store {_name(url)}: {sentence}", code="backup") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise StoreError(f"the store {_name(url)}: {tool} refused: {said}", code="backup")
    return done.stdout


def _name(url: str) -> str:
    at = _address(url)
    return f"{at.database} on {at.host or 'this machine'}"


def _address(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        sentence = "the address of the store makes no sense: write postgresql://user@host/database"
        raise StoreError(sentence, code="url") from None
