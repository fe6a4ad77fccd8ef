"""The dated tables: acts, rates, exemptions, pathway effects, contracts. Data, loaded once and checked."""

from __future__ import annotations

from pathlib import Path

DIRECTORY = Path(__file__).with_name("tables")


class Tables:
    """Every row that a price may rest on."""

    @classmethod
    def load(cls, directory: Path = DIRECTORY) -> Tables:
        """Read every TOML file of the directory; raises InputError naming file and row."""
        raise NotImplementedError
