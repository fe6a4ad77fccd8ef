"""Slots lent over a network: an agent where the readers are, a gateway elsewhere (see README of the room)."""
