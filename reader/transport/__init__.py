"""The only files of the reader that touch sockets, terminals, USB or PC/SC."""
