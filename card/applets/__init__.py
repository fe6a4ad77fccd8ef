"""The applications on the cards: Vitale and CPS."""
