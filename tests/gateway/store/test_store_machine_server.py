"""The machine of test_store_machine on PostgreSQL: the same model, the same answers."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

from tests.gateway.store import servers
from tests.gateway.store.line import Line
from tests.gateway.store.test_store_machine import StoreMachine


class ServerMachine(StoreMachine):
    """Random lives in a database of a server."""

    def make(self, root: Path) -> Line:
        """A store in a fresh database."""
        return servers.line_on_postgres(root)

    def teardown(self) -> None:
        """The trail holds, and the database goes."""
        super().teardown()
        servers.drop(self.line)


ServerMachine.TestCase.settings = settings(max_examples=6, stateful_step_count=20, deadline=None)
TestStoreOnServer = ServerMachine.TestCase
