"""Reader agents: who may lend slots to this gateway, and the program that lends them (see README.md)."""
