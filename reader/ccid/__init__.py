"""CCID (USB device class for smart card readers, rev 1.10): messages, the emulated reader and its host."""
