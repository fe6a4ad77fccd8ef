"""The only files of the reader that touch sockets, terminals, USB or PC/SC.

For an emulated reader: `loop` waits for everything in one thread, `pty` is its serial line, `serial_plug`
connects the GemPC-Twin machine to it, `tcp` the cards behind vpcd, `control` takes orders, `terminal` is the
keypad, `claim` keeps two programs off one path. Machines decide; here bytes are only moved.
"""
