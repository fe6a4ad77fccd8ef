"""Records on the wire: B2, NOEMIE, ARL. Codecs as field tables, each with EXAMPLES. Pure."""
