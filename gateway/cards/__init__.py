"""Sessions with the two cards over a reader connection."""
