"""The bench, run from a checkout: test authority, receiver, demo, load."""
