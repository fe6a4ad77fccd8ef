"""Sessions with the two cards over a reader connection: `cps`, `vitale`, and the typed `rights`."""
