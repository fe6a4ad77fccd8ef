"""A PostgreSQL server of one's own, for tests and benches: made in a temporary folder, gone at the end.

    python -m tools.postgres        a server and an empty database, until Ctrl-C

The server listens on a Unix socket only, in a folder that nobody else may enter, and takes every user who can
reach it. It never runs as root (PostgreSQL refuses that): root runs it as the user `postgres`. It ends with
the program that started it, however that one ends.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

START_SECONDS, STOP_SECONDS = 60.0, 30.0
USER = "vitale"
_DEBIAN = Path("/usr/lib/postgresql")
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",  # the folder decides who may come in
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "logging_collector": "off",
    "dynamic_shared_memory_type": "mmap",  # inside its folder: nothing stays in /dev/shm when it is killed
    "log_min_messages": "warning",
    "fsync": "on",
    "synchronous_commit": "on",
}


class PostgresError(Exception):
    """One sentence: why no PostgreSQL server of one's own can run here, and what to do."""


def programs() -> Path:
    """The folder of `initdb` and `postgres`, the newest when there are several."""
    found = [path.parent for path in _DEBIAN.glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: [int(part) for part in path.parent.name.split(".")])
    if where := shutil.which("postgres"):
        return Path(where).resolve().parent
    raise PostgresError(
        "There is no PostgreSQL server on this machine: install the Debian package postgresql."
    )


class PostgresServer:
    """One server for the length of a `with` block.

    `parent`: where its temporary folder is made; a disk for figures, memory (/dev/shm) for tests. `settings`
    come over our own.
    """

    def __init__(self, parent: Path | None = None, **settings: str) -> None:
        self._settings = _SETTINGS | settings
        self._parent = parent
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._make()
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    @property
    def folder(self) -> Path:
        """Where the server keeps everything, its socket and its log included."""
        assert self._folder is not None, "the server was not started"
        return self._folder

    def url(self, database: str) -> str:
        """The address of a database, as the settings of a gateway name a store."""
        return f"postgresql://{USER}@/{quote(database)}?host={quote(str(self.folder), safe='')}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database, as a copy of another one that nobody is connected to; its address."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._run(statement.format(sql.Identifier(database), sql.Identifier(template)))
        return self.url(database)

    def rest(self) -> None:
        """Bring everything to the disk now, so that it is not brought there while something is measured."""
        self._run(sql.Composed([sql.SQL("CHECKPOINT")]))
        os.sync()

    def drop(self, database: str) -> None:
        """Remove a database and cut off who is connected to it."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def disconnect(self, database: str) -> None:
        """Cut off everybody who is connected to this database, as a server that is restarted does."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
        self._run(sql.SQL(query).format(sql.Literal(database)))

    def start(self) -> None:
        """Start the server and wait until it takes connections; PostgresError says why it does not."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(programs() / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_somebody("--pdeathsig", "INT"), *command, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        end = time.monotonic() + START_SECONDS
        while True:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres")).close()
                return
            if self._process.poll() is not None or time.monotonic() > end:
                raise PostgresError(f"PostgreSQL does not start; it says: {self._last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, as if switched off: what the server had committed is there at the next start."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGQUIT)  # no farewell to anybody
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _make(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir=self._parent))
        if os.geteuid() == 0:
            shutil.chown(self._folder, *_somebody())
        command = [str(programs() / "initdb"), "-D", str(self.folder / "data"), "-U", USER]
        made = subprocess.run(
            [*_as_somebody(), *command, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            capture_output=True, text=True, cwd="/", timeout=120, check=False,
        )  # fmt: skip
        if made.returncode:
            raise PostgresError(f"initdb fails: {made.stderr.strip().splitlines()[-1]}")

    def _remove(self) -> None:
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _last_words(self) -> str:
        said = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return said[-1] if said else "nothing"


def _somebody() -> tuple[int, int]:
    """Whom root lets the server be: the user that Debian's package makes."""
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        sentence = "PostgreSQL does not run as root, and there is no user postgres for it"
        raise PostgresError(f"{sentence}: install the Debian package postgresql.") from None
    return user.pw_uid, user.pw_gid


def _as_somebody(*ending: str) -> list[str]:
    """What stands before a command so that it does not run as root; `ending`: more for setpriv."""
    if os.geteuid():
        return ["setpriv", *ending] if ending else []
    user, group = _somebody()
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *ending]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server until Ctrl-C and say how to use it."""
    parser = argparse.ArgumentParser(prog="python -m tools.postgres", description=__doc__.splitlines()[0])
    parser.add_argument("--in", dest="parent", type=Path, help="make its temporary folder there")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with PostgresServer(options.parent) as server:
            url = server.create("gateway")
            print("a PostgreSQL server is ready; in the settings of a gateway, until Ctrl-C here:\n")
            print(f'[store]\nurl = "{url}"\nkey = "gateway.key"\nowner = "gateway-1"', flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("\nthe server is stopped and its data is removed")
    except (PostgresError, OSError) as problem:
        print(f"postgres: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
