"""The web portal of the receiver: what an insured person and the controller see (README.md)."""
