"""What is on the cards: files, their codecs and examples. Knows no behaviour."""
