"""How a card behaves: the card operating system, its files, PINs, keys and memory."""
