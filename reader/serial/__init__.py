"""Readers and cards on a serial line: GemPC-Twin framing of CCID messages, byte-level interfaces."""
