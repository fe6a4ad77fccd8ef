"""The reader: bytes between a card and a host."""
