"""Trust: certificate paths, revocation lists, the opposition list."""
