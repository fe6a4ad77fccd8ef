"""The card: a software Carte Vitale and CPS. Pure: no socket, no clock, no log."""
